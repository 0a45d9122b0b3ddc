# SPDX-License-Identifier: GPL-3.0-or-later
"""The audit reads the files of a host and reports what is wrong; tests/proxy/ runs it with a real nginx."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.baremetal.synapse.plugins.module_utils.conformance.members import Member
from ansible_collections.baremetal.synapse.plugins.module_utils.conformance.verdict import Verdict
from ansible_collections.baremetal.synapse.plugins.module_utils.replay.configuration import upstream_servers
from ansible_collections.baremetal.synapse.plugins.module_utils.replay.errors import ReplayError
from ansible_collections.baremetal.synapse.plugins.module_utils.replay.messages import Reception, Recorded, Request
from ansible_collections.baremetal.synapse.plugins.modules import routing_audit

from tests.unit.fake_systemd import run_module

HTTP_CONF = "upstream main { server unix:/main.sock; } upstream reader { server unix:/reader.sock; }"
SITE_CONF = "server { listen 443 ssl; location / { proxy_pass http://main; } }"
VERSIONS = "/_matrix/client/versions"
BOTH: dict[str, Any] = {"main": ["client"], "worker": ["client"], "when": None, "writes": None, "session": False}
REGISTRY = {
    "release": "1.163.2",
    "routes": [
        {"path": VERSIONS, "methods": ["GET"], **BOTH},
        {"path": "/_matrix/client/v3/logout", "methods": ["POST"], **BOTH, "worker": []},
    ],
}


def listener(path: str) -> dict[str, Any]:
    return {"type": "http", "path": path, "resources": [{"names": ["client"]}]}


HOSTS = [
    {"shared": {}, "own": [{"listeners": [listener("/main.sock")]}], "mas": False},
    {"shared": {}, "own": [{"worker_name": "reader-1", "worker_listeners": [listener("/reader.sock")]}], "mas": False},
]


class FakeReplay:
    """A replay whose nginx sends every public request to the process that a function names."""

    def __init__(self, route: Callable[[Request], str], http_conf: str) -> None:
        self.servers = upstream_servers(http_conf)
        self._route = route

    def __enter__(self) -> FakeReplay:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def send(self, requests: Sequence[Request]) -> list[Recorded]:
        return [self._answer(request) for request in requests]

    def _answer(self, request: Request) -> Recorded:
        if request.path.rstrip("/") not in (VERSIONS, "/_matrix/client/v3/logout"):
            # Those of the same room, user or server meet the same process; leaks are refused.
            keyed = "/rooms/" in request.path or "ync?" in request.path or "/send/" in request.path
            return Recorded(200, (Reception("unix:/main.sock", b"GET / HTTP/1.1"),) if keyed else (), b"")
        head = f"{request.method} {request.path} HTTP/1.1".encode()
        return Recorded(200, (Reception(f"unix:/{self._route(request)}.sock", head),), b"")


class Audit:
    """The module on a host with nginx's files."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
        self.http_conf, self.site_conf = folder / "http.conf", folder / "site.conf"
        self.http_conf.write_text(HTTP_CONF)
        self.site_conf.write_text(SITE_CONF)
        self.hosts: list[dict[str, Any]] = HOSTS
        self.started: list[tuple[Any, ...]] = []
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        monkeypatch.setattr(AnsibleModule, "get_bin_path", lambda _module, name, **_options: f"/usr/sbin/{name}")

    def run(self, route: Callable[[Request], str], **arguments: Any) -> dict[str, Any]:
        """Runs the module; nginx sends requests as `route` says."""

        def replay(*given: Any, **named: Any) -> FakeReplay:
            self.started.append((*given, named))
            return FakeReplay(route, given[1])

        self._monkeypatch.setattr(routing_audit, "Replay", replay)
        options = {
            "registry": json.dumps(REGISTRY),
            "processes": [json.dumps(host) for host in self.hosts],
            "http_conf": str(self.http_conf),
            "site_conf": str(self.site_conf),
            "server_name": "example.org",
            **arguments,
        }
        return run_module(routing_audit.main, self._capsys, options)


@pytest.fixture
def audit(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Audit:
    return Audit(monkeypatch, capsys, tmp_path)


def right(request: Request) -> str:
    return "reader" if "versions" in request.path else "main"


def test_nothing_is_wrong_where_each_request_goes_to_a_process_that_serves_it(audit: Audit) -> None:
    result = audit.run(right)
    assert (result["changed"], result["wrong"], result["wrong_count"]) == (False, [], 0)
    assert (result["release"], result["offloadable"]) == ("1.163.2", [])
    assert audit.started == [(Path("/usr/sbin/nginx"), HTTP_CONF, SITE_CONF, {"host": "example.org"})]


def test_the_table_has_the_release_and_the_pools(audit: Audit) -> None:
    table = audit.run(right)["table"]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table if line]
    assert [row[0] for row in rows if len(row) > 4][0::2] == ["release", "1.163.2"]
    assert [row[:2] for row in rows if len(row) == 4] == [["pool", "processes"], ["main", "1"], ["reader", "1"]]


def test_what_goes_wrong_is_named_and_counted(audit: Audit) -> None:
    result = audit.run(lambda _: "reader")
    assert "misrouted: POST /_matrix/client/v3/logout went to reader-1" in result["wrong"]
    assert result["wrong_count"] == len(result["wrong"]) > 1


def test_a_long_list_is_cut_and_still_counted(audit: Audit) -> None:
    routes = [{"path": f"/_matrix/client/v3/logout{number}", "methods": ["POST"], **BOTH} for number in range(200)]
    result = audit.run(right, registry=json.dumps({"release": "1.163.2", "routes": routes}))
    assert len(result["wrong"]) == 100
    assert result["wrong_count"] >= 200


def test_what_a_worker_could_serve_is_named_unless_it_has_a_reason(audit: Audit) -> None:
    assert audit.run(lambda _: "main")["offloadable"] == [f"GET {VERSIONS}", f"HEAD {VERSIONS}"]
    assert audit.run(lambda _: "main", kept_on_main=[VERSIONS])["offloadable"] == []


def test_one_host_with_mas_decides_for_the_fleet(audit: Audit) -> None:
    routes = [{"path": VERSIONS, "methods": ["GET"], **BOTH, "when": "matrix_authentication_service"}]
    registry = json.dumps({"release": "1.163.2", "routes": routes})
    without = audit.run(right, registry=registry)["table"]
    audit.hosts = [HOSTS[0], {**HOSTS[1], "mas": True}]
    assert audit.run(right, registry=registry)["table"] != without


def test_an_address_that_no_process_has_is_a_leak(audit: Audit) -> None:
    audit.hosts = HOSTS[:1]
    assert any("nginx names unix:/reader.sock" in line for line in audit.run(lambda _: "main")["wrong"])


@pytest.mark.parametrize("name", ["http_conf", "site_conf"])
def test_a_missing_file_is_an_error_that_says_what_to_do(audit: Audit, name: str, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.conf")
    result = audit.run(right, **{name: missing})
    assert result["failed"] is True
    assert result["msg"] == f"{name} is '{missing}': No such file or directory. Deploy nginx first: site.yml."


def test_a_configuration_that_nginx_refuses_is_an_error_with_its_words(audit: Audit) -> None:
    def refuse(_: Request) -> str:
        raise ReplayError('unknown directive "no_such" in site.conf:3')

    result = audit.run(refuse)
    assert result["failed"] is True
    assert result["msg"] == f'{audit.http_conf} and {audit.site_conf}: unknown directive "no_such" in site.conf:3'


def test_pools_are_summed() -> None:
    names = ("main", "app1-sync-1", "app1-sync-2", "app2-sync-1")
    members = [Member(name, "", frozenset(), False, frozenset()) for name in names]
    verdict = Verdict(
        per_process=Counter({"app1-sync-1": 3, "app1-sync-2": 4, "main": 1}), wrong_per_process=Counter(main=1)
    )
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in routing_audit.pools(verdict, members)]
    assert rows == [
        ["pool", "processes", "requests", "misrouted to it"],
        ["app1-sync", "2", "7", "0"],
        ["app2-sync", "1", "0", "0"],
        ["main", "1", "1", "1"],
    ]
