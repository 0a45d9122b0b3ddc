# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes are read from the configuration of Synapse."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.baremetal.synapse.plugins.module_utils.conformance.members import MONOLITH, Member, members_of
from ansible_collections.baremetal.synapse.plugins.module_utils.conformance.registry import Registry


def test_members_are_read_from_the_configuration_of_synapse() -> None:
    shared = {"stream_writers": {"typing": ["w1"], "events": ["master"]}, "enable_media_repo": False}
    http = {"type": "http", "resources": [{"names": ["client", "media"]}]}
    replication = {"type": "http", "path": "/r.sock", "resources": [{"names": ["replication"]}]}
    metrics = {"type": "metrics", "port": 9000, "bind_addresses": ["127.0.0.1"]}
    own: list[dict[str, Any]] = [
        {"listeners": [{**http, "path": "/main.sock"}, replication, metrics]},
        {
            "worker_name": "w1",
            "enable_media_repo": True,
            "worker_listeners": [{**http, "port": 8000, "bind_addresses": ["fd00::1"]}],
        },
    ]
    assert members_of(shared, own) == [
        Member("main", "unix:/main.sock", frozenset({"client", "media"}), False, frozenset({"events"})),
        Member("w1", "[fd00::1]:8000", frozenset({"client", "media"}), True, frozenset({"typing"})),
    ]


@pytest.mark.parametrize(
    ("member", "method", "served"),
    [
        (Member("main", "", frozenset({"client"}), True, frozenset()), "POST", True),
        (Member("main", "", frozenset({"client"}), True, frozenset()), "OPTIONS", True),
        (Member("main", "", frozenset({"client"}), True, frozenset()), "GET", False),
        (Member("main", "", frozenset({"client"}), True, frozenset()), "HEAD", False),
        (Member("main", "", frozenset({"client"}), False, frozenset()), "POST", False),
        (Member("media-1", "", frozenset({"media"}), True, frozenset()), "POST", True),
        (Member("media-1", "", frozenset({"client"}), True, frozenset()), "POST", False),
        (MONOLITH, "POST", True),
    ],
)
def test_a_process_serves_by_listener_method_and_store(member: Member, method: str, served: bool) -> None:
    upload = {
        "path": "/_matrix/media/v3/upload",
        "methods": ["POST"],
        "main": ["client"],
        "worker": ["media"],
        "when": "enable_media_repo",
        "writes": None,
        "session": False,
    }
    (route,) = Registry([upload]).routes
    assert member.serves(route, method) is served
