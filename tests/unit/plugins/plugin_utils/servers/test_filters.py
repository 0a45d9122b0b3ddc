# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters of the servers: results of modules go in, plain data comes out."""

from __future__ import annotations

import base64
import json
from typing import Any

from tests.unit.filters import load_filter
from tests.unit.fleets import several_hosts_inputs

FLEET = json.dumps(several_hosts_inputs(postgres_tls=True))
FOUND: dict[str, Any] = {
    "distribution": "Debian",
    "distribution_major_version": "13",
    "memtotal_mb": 8192,
    "processor_vcpus": 4,
    "packages": [],
    "postgres_clusters": [
        {"version": "17", "name": "synapse", "port": 5432, "running": True, "ours": True, "content": None}
    ],
}
OWN = {"postgres_server_certificate": "/etc/ssl/db.pem", "postgres_server_certificate_key": "/etc/ssl/db.key"}
ROW = {
    "reload": False,
    "pending": [],
    "hba_errors": [],
    "max_connections": 200,
    "database": None,
    "owner": None,
}


def slurped(text: str) -> dict[str, str]:
    return {"content": base64.b64encode(text.encode()).decode()}


def looked_for(**exists: bool) -> list[dict[str, Any]]:
    return [{"item": f"/etc/ssl/db.{name}", "stat": {"exists": there}} for name, there in exists.items()]


def test_postgresql_is_plain_data() -> None:
    server = load_filter("postgres_server")(FLEET, "db1", FOUND, OWN, "deploy")
    assert json.loads(json.dumps(server)) == server
    answers = {"stdout": f"yes\n[]\n{json.dumps([ROW])}\n"}
    state = load_filter("postgres_state")(server, answers, slurped("*:*:synapse:matrix-synapse:abc\n"))
    assert json.loads(json.dumps(state)) == state
    assert "CREATE ROLE" in state["statements"] and "abc" not in state["statements"]
    assert (state["unread"], state["work"]) == (True, True)
    assert state["unfinished"] == []


def test_postgresql_that_was_not_asked() -> None:
    server = load_filter("postgres_server")(FLEET, "db1", FOUND, OWN, "check")
    assert not load_filter("postgres_state")(server, {"skipped": True}, changed=True)["work"]


def test_redis_is_plain_data() -> None:
    server = load_filter("redis_server")(FLEET, "cache1", FOUND, {}, "deploy", slurped("abc\n"))
    assert json.loads(json.dumps(server)) == server
    assert server["settings"]["requirepass"] == "abc"
    assert load_filter("redis_server")(FLEET, "cache1", FOUND, {}, "render", "xyz")["settings"]["requirepass"] == "xyz"
    state = load_filter("redis_state")(server, {"rc": 0, "stdout": json.dumps(server["settings"])})
    assert state == {"start": False, "step": {}, "unread": False, "unfinished": []}
    assert load_filter("redis_state")({**server, "existed": True}, {"rc": 3})["start"]
