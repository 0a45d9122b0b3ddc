# SPDX-License-Identifier: GPL-3.0-or-later
"""Sockets that stand for servers; nginx itself is in tests/proxy/."""

from __future__ import annotations

from ansible_collections.baremetal.synapse.plugins.module_utils.replay.nginx import socket_name


def test_names_of_sockets_are_short_and_differ() -> None:
    long = [f"unix:/run/matrix-synapse/{'x' * 80}-{number}.sock" for number in range(2)]
    names = [socket_name(address) for address in (*long, "unix:/run/a.sock", "[fd00::1]:8008")]
    assert names[2:] == ["run_a.sock", "[fd00::1]:8008"]
    assert len(set(names)) == len(names)
    assert max(map(len, names)) <= 60
