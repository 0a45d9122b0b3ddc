# SPDX-License-Identifier: GPL-3.0-or-later
"""The judge finds nothing wrong with a right proxy, and names what is wrong with each wrong one."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any
from zlib import crc32

import pytest
from ansible_collections.baremetal.synapse.plugins.module_utils.conformance.judge import Fleet
from ansible_collections.baremetal.synapse.plugins.module_utils.conformance.members import Member
from ansible_collections.baremetal.synapse.plugins.module_utils.conformance.probes import LEAKS
from ansible_collections.baremetal.synapse.plugins.module_utils.conformance.registry import Registry
from ansible_collections.baremetal.synapse.plugins.module_utils.conformance.verdict import Verdict
from ansible_collections.baremetal.synapse.plugins.module_utils.replay.messages import Reception, Recorded, Request

V = "/_matrix/client/{version:v3|unstable}"
BOTH = {"main": ["client"], "worker": ["client"]}
MAIN_ONLY = {"main": ["client"], "worker": []}


def route(path: str, *methods: str, **more: Any) -> dict[str, Any]:
    return {"path": path, "methods": list(methods), "when": None, "writes": None, "session": False, **BOTH, **more}


ROUTES = [
    route(f"{V}/sync", "GET"),
    route(f"{V}/rooms/{{room_id}}/messages", "GET"),
    route(f"{V}/rooms/{{room_id}}/typing/{{user_id}}", "PUT", writes="typing"),
    route(f"{V}/logout", "POST", **MAIN_ONLY),
    route("/_synapse/client/oidc/callback", "GET", "POST", session=True, when="oidc_providers"),
    route("/_synapse/client/pick_idp", "GET", session=True),
    route("/_synapse/client/rendezvous", "GET", when="experimental_features.msc4108_enabled"),
    route("/_synapse/admin/v1/server_version", "GET", **MAIN_ONLY),
    route("/_matrix/media/v3/upload", "POST", main=["client"], worker=["media"], when="enable_media_repo"),
    route("/_matrix/client/v3/login", "POST", when="!matrix_authentication_service"),
    route("/_matrix/client/v1/auth_metadata", "GET", when="matrix_authentication_service"),
]


def member(name: str, *resources: str, media: bool = False, streams: Sequence[str] = ()) -> Member:
    return Member(name, f"unix:/{name}.sock", frozenset(resources or ["client"]), media, frozenset(streams))


MEMBERS = [
    member("main", "client", "federation"),
    member("reader-1"),
    member("reader-2"),
    member("sync-1"),
    member("sync-2"),
    member("typing-1", streams=["typing"]),
    member("sso-1"),
    member("media-1", "media", "client", media=True),
    member("federation-1", "federation"),
    member("federation-2", "federation"),
]
HTTP_CONF = """
upstream main { server unix:/main.sock; }
upstream reader { server unix:/reader-1.sock; server unix:/reader-2.sock; }
upstream sync { server unix:/sync-1.sock; server unix:/sync-2.sock; }
upstream federation { server unix:/federation-1.sock; server unix:/federation-2.sock; }
"""
SITE_CONF = (
    "server { listen 443 ssl; location /_synapse/admin/ { allow 10.0.0.0/8; deny all; proxy_pass http://main; } }"
)

Wrong = Callable[[Request], Any]


_PROCESSES = (
    ("/typing/", "typing-1"),
    ("oidc|pick_idp", "sso-1"),
    ("upload", "media-1"),
    ("logout|rendezvous", "main"),
)


def _either(key: str) -> int:
    return 1 + crc32(key.encode()) % 2


def _is_room(request: Request) -> bool:
    return "/rooms/" in request.path and "/typing/" not in request.path


def right(request: Request) -> str | None:
    """Returns the process that a right proxy chooses, None where it refuses."""
    path, _, query = request.path.partition("?")
    if request.path in LEAKS:
        return None
    if path.startswith("/_synapse/admin"):
        return "main" if (request.source or "").startswith("10.") else None
    if path.startswith("/_matrix/federation"):
        return f"federation-{_either(request.source or '')}"
    token = re.search(r"(?:Bearer |access_token=)([^& ]+)", " ".join([*dict(request.headers).values(), query]))
    user = re.sub(r"^(syt_[^_]+).*", r"\1", token[1]) if token else ""
    if re.search(r"[sS]ync$", path):
        return f"sync-{_either(user)}"
    room = re.search(r"/rooms/(?:!|%21)([^/:%]+)", path)
    for pattern, process in _PROCESSES:
        if re.search(pattern, path):
            return process
    return f"reader-{_either(room[1] if room else '')}"


class Proxy:
    """A proxy that is right but for one thing."""

    servers = tuple(entry.address for entry in MEMBERS)

    def __init__(self, wrong: Wrong) -> None:
        self._wrong = wrong

    def send(self, requests: Sequence[Request]) -> list[Recorded]:
        return [self._answer(request) for request in requests]

    def _answer(self, request: Request) -> Recorded:
        name = self._wrong(request) or right(request)
        if name in (None, "nobody"):
            return Recorded(404, (), b"")
        head = f"{request.method} {request.path} HTTP/1.1\r\n\r\n".encode()
        return Recorded(200, (Reception(f"unix:/{name}.sock", head),), b"")


def judge(
    wrong: Wrong = lambda _: None, *, kept: Sequence[str] = ("/_synapse/client/rendezvous",), **more: Any
) -> Verdict:
    return Fleet(Registry(ROUTES, **more), MEMBERS, kept).judge(Proxy(wrong), HTTP_CONF, SITE_CONF)


def test_nothing_is_wrong_with_a_right_proxy() -> None:
    for mas in (False, True):
        verdict = judge(mas=mas)
        assert verdict.wrong == []
        assert verdict.offloadable == set()
        assert verdict.kept == {"/_synapse/client/rendezvous"}
        assert verdict.requests > 500


@pytest.mark.parametrize(
    ("what", "wrong"),
    [
        ("misrouted: POST /_matrix/client/v3/logout went to reader-1", lambda r: "logout" in r.path and "reader-1"),
        ("misrouted: POST /_matrix/media/v3/upload went to reader-1", lambda r: "upload" in r.path and "reader-1"),
        ("misrouted: GET /_matrix/client/v3/sync is refused", lambda r: r.path.endswith("v3/sync") and "nobody"),
        ("write at a non-writer: PUT /_matrix/client/v3/rooms/", lambda r: "/typing/" in r.path and "reader-1"),
        ("write at a non-writer: PUT /_matrix/client/v3/rooms/", lambda r: "/typing/" in r.path and "main"),
        ("leak: GET /_synapse/metrics", lambda r: r.path == "/_synapse/metrics" and "main"),
        ("leak: GET /_matrix/client/..%2f", lambda r: r.path.startswith("/_matrix/client/..%2f") and "reader-1"),
        (
            "leak: GET /_synapse/admin/v1/server_version from 203.0.113.9",
            lambda r: "/admin/v1/server" in r.path and "main",
        ),
        ("broken affinity: room (!room", lambda r: _is_room(r) and f"reader-{_either(r.path)}"),
        ("broken affinity: room (!room", lambda r: _is_room(r) and f"reader-{1 + int((r.source or '1')[-1]) % 2}"),
        ("broken affinity: room (!room", lambda r: _is_room(r) and f"reader-{_either(str(r.headers))}"),
        ("broken affinity: room: all of them", lambda r: _is_room(r) and "reader-1"),
        (
            "broken affinity: sync?since=s1& (user",
            lambda r: "/sync?" in r.path and f"sync-{_either(str(r.headers) + r.path)}",
        ),
        ("broken affinity: sync?since=s1&: all of them", lambda r: "/sync?" in r.path and "sync-1"),
        ("broken affinity: /send/", lambda r: "/send/" in r.path and f"federation-{_either(r.path)}"),
        ("broken affinity: sessions", lambda r: "callback" in r.path and r.method == "POST" and "reader-1"),
        ("broken affinity: sessions", lambda r: "pick_idp" in r.path and "main"),
    ],
)
def test_each_kind_of_wrong_is_named(what: str, wrong: Wrong) -> None:
    assert any(line.startswith(what) for line in judge(lambda request: wrong(request) or None).wrong)


def test_what_main_has_although_a_worker_could_is_named() -> None:
    verdict = judge(lambda r: "main" if r.path.startswith("/_matrix/client/v3/login") else None)
    assert verdict.wrong == []
    assert verdict.offloadable == {"POST /_matrix/client/v3/login"}
    assert judge(kept=()).offloadable == {"GET /_synapse/client/rendezvous", "HEAD /_synapse/client/rendezvous"}


def test_an_address_that_is_no_http_listener_is_a_leak() -> None:
    fleet = Fleet(Registry(ROUTES), MEMBERS[1:], ())
    assert any(
        "unix:/main.sock, which is no HTTP listener" in line
        for line in fleet.judge(Proxy(right), HTTP_CONF, SITE_CONF).leaks
    )
