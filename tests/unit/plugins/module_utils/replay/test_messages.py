# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages are read byte for byte."""

from __future__ import annotations

from ansible_collections.baremetal.synapse.plugins.module_utils.replay.messages import Reception, Recorded


def test_a_reception_is_read_byte_for_byte() -> None:
    head = b"GET /a%2Fb//c/..%2f?q=%zz HTTP/1.1\r\nHost: h:8448\r\nX-A: 1\r\nx-a: 2"
    recorded = Recorded(200, (Reception("one", b"GET / HTTP/1.1"), Reception("two", head)), b"HTTP/1.1 200 OK\r\nB: c")
    assert recorded.tried == ("one", "two")
    assert recorded.raw_path == "/a%2Fb//c/..%2f?q=%zz"
    assert recorded.headers == {"host": "h:8448", "x-a": "1, 2"}
    assert recorded.answer_headers == {"b": "c"}


def test_what_nobody_received_has_no_path() -> None:
    recorded = Recorded(404, (), b"")
    assert (recorded.tried, recorded.raw_path, recorded.headers) == ((), None, {})
