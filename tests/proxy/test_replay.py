# SPDX-License-Identifier: GPL-3.0-or-later
"""The replay itself, with a real nginx and a small configuration."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.baremetal.synapse.plugins.module_utils.replay.errors import ReplayError
from ansible_collections.baremetal.synapse.plugins.module_utils.replay.messages import Recorded, Request
from ansible_collections.baremetal.synapse.plugins.module_utils.replay.replay import Replay

from tools.nginx import nginx_binary

A, B, C = "10.0.0.1:8001", "10.0.0.2:8001", "unix:/run/example/c.sock"
HTTP = f"""
log_format short '$request_method $request_uri $status $upstream_addr';
map $request_uri $chosen {{
  default "pair";
  "~^/single" "single";
}}
upstream pair {{
  zone pair 128k;
  server {A};
  server {B};
  keepalive 4;
}}
upstream single {{ server {C}; keepalive 4; }}
"""
SITE = """
server {
  listen 80;
  return 301 https://$host$request_uri;
}
server {
  listen 443 ssl;
  listen 8448 ssl;
  access_log /var/log/nginx/access.log short;
  ssl_certificate /none;
  ssl_certificate_key /none;
  merge_slashes off;
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_set_header Host $http_host;
  proxy_set_header X-Forwarded-For $remote_addr;
  proxy_set_header X-Forwarded-Proto $scheme;
  client_max_body_size 1m;
  location / { proxy_pass http://$chosen; }
  location /refused { return 403; }
  location /silent { return 444; }
  location /private { allow 192.0.2.0/24; deny all; proxy_pass http://single; }
}
"""


@pytest.fixture(scope="module")
def running() -> Iterator[Replay]:
    with Replay(nginx_binary(), HTTP, SITE) as replay:
        yield replay


@pytest.fixture
def replay(running: Replay) -> Replay:
    running.restart()
    return running


def one(replay: Replay, method: str, path: str, headers: tuple[tuple[str, str], ...] = ()) -> Recorded:
    (recorded,) = replay.send([Request(method, path, headers)])
    return recorded


def test_requests_are_recorded_where_they_arrive(replay: Replay) -> None:
    recorded = one(replay, "GET", "/single/a?b=c", (("Host", "example.org:8448"), ("X-Forwarded-For", "198.51.100.1")))
    assert recorded.status == 200
    assert recorded.tried == (C,)
    assert recorded.raw_path == "/single/a?b=c"
    assert recorded.headers["host"] == "example.org:8448"
    assert recorded.headers["x-forwarded-for"] == "127.0.0.1"
    assert recorded.headers["x-forwarded-proto"] == "https"


@pytest.mark.parametrize("path", ["/a%2Fb", "/a/..%2fb", "//a//b", "/a/%zz?%2F//", "/single/a/../b", "/%21r:x?a=/../b"])
def test_paths_arrive_byte_for_byte(replay: Replay, path: str) -> None:
    recorded = one(replay, "GET", path)
    # nginx refuses what is no valid encoding.
    expected = (400, None) if "%zz" in path else (200, path)
    assert (recorded.status, recorded.raw_path) == expected


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH"])
def test_methods_arrive(replay: Replay, method: str) -> None:
    recorded = one(replay, method, "/x")
    assert recorded.status == 200
    assert [reception.method for reception in recorded.receptions] == [method]


def test_answers_are_in_the_order_of_the_requests(replay: Replay) -> None:
    requests = [Request("HEAD" if number % 3 else "GET", f"/{number}") for number in range(500)]
    recorded = replay.send(requests)
    assert [item.raw_path for item in recorded] == [request.path for request in requests]
    assert {item.tried for item in recorded} == {(A,), (B,)}


def test_one_connection_keeps_the_order_of_time(replay: Replay) -> None:
    recorded = replay.send([Request("GET", f"/{number}") for number in range(6)], connections=1)
    assert [item.tried for item in recorded] in ([(A,), (B,)] * 3, [(B,), (A,)] * 3)
    lines = replay.log(6)
    assert lines == [f"GET /{number} 200 {item.tried[0]}" for number, item in enumerate(recorded)]


def test_bodies_are_sent(replay: Replay) -> None:
    small, large, too_large = replay.send([Request("PUT", "/x", body=b"x" * size) for size in (2, 1 << 20, 1 << 21)])
    assert small.headers["content-length"] == "2"
    assert (large.status, large.headers["content-length"]) == (200, str(1 << 20))
    assert (too_large.status, too_large.tried) == (413, ())


def test_what_nginx_refuses_reaches_nobody(replay: Replay) -> None:
    paths = ["/refused", "/silent", "/x"]
    recorded = replay.send([Request("GET", path) for path in paths])
    assert [item.status for item in recorded] == [403, 0, 200]
    assert [len(item.tried) for item in recorded] == [0, 0, 1]


def test_the_other_ports_have_their_own_blocks(replay: Replay) -> None:
    plain, federation = replay.send([Request("GET", "/x", port=80), Request("GET", "/single", port=8448)])
    assert (plain.status, plain.tried) == (301, ())
    assert plain.answer_headers["location"] == "https://localhost/x"
    assert federation.tried == (C,)


@pytest.mark.parametrize(
    ("source", "status"), [(None, 403), ("192.0.2.7", 200), ("198.51.100.7", 403), ("127.0.0.9", 403)]
)
def test_requests_come_from_their_source(replay: Replay, source: str | None, status: int) -> None:
    private, public = replay.send([Request("GET", path, source=source) for path in ("/private", "/x")])
    assert private.status == status
    assert public.headers["x-forwarded-for"] == (source or "127.0.0.1")


def test_a_configuration_with_its_own_realip_keeps_it() -> None:
    site = SITE.replace("merge_slashes", "set_real_ip_from 127.0.0.9; real_ip_header X-Forwarded-For; merge_slashes")
    with Replay(nginx_binary(), HTTP, site) as replay:
        told = (("X-Forwarded-For", "192.0.2.7"),)
        trusted, other = replay.send([Request("GET", "/x", told, source=f"127.0.0.{last}") for last in (9, 8)])
        assert trusted.headers["x-forwarded-for"] == "192.0.2.7"
        assert other.headers["x-forwarded-for"] == "127.0.0.8"


OWN = "set_real_ip_from 127.0.0.9; real_ip_header X-Forwarded-For; real_ip_recursive on;"
SOURCES = ["192.0.2.7", "127.0.0.8", "2001:db8::7", "::1"]


def arrived_from(replay: Replay, source: str | None, *headers: tuple[str, str], port: int = 443) -> str:
    (recorded,) = replay.send([Request("GET", "/x", headers, source=source, port=port)])
    return recorded.headers["x-forwarded-for"]


def test_an_ipv6_loopback_address_is_told(replay: Replay) -> None:
    assert arrived_from(replay, "::1") == "::1"


@pytest.mark.parametrize(
    ("http", "server"),
    [
        ("", OWN),
        (OWN, ""),
        ("real_ip_header X-Forwarded-For;", "set_real_ip_from 127.0.0.9;"),
        ("set_real_ip_from 127.0.0.9;", "real_ip_header X-Client;"),
        ("", "set_real_ip_from 127.0.0.9; set_real_ip_from 10.0.0.0/8;"),
        ("set_real_ip_from 127.0.0.9;", ""),
        ("", "real_ip_header X-Forwarded-For;"),
        ("real_ip_header X-Forwarded-For;", ""),
        ("real_ip_recursive on;", ""),
    ],
)
def test_requests_come_from_their_source_with_realip_of_the_configuration(http: str, server: str) -> None:
    with Replay(nginx_binary(), HTTP + http, SITE.replace("merge_slashes", f"{server} merge_slashes")) as replay:
        assert [arrived_from(replay, source) for source in SOURCES] == SOURCES
        private = [Request("GET", "/private", source=source) for source in ("192.0.2.7", "198.51.100.7")]
        assert [item.status for item in replay.send(private)] == [200, 403]
        assert arrived_from(replay, None) == "127.0.0.1"


def test_a_header_that_the_request_carries_is_left_alone() -> None:
    with Replay(nginx_binary(), HTTP, SITE.replace("merge_slashes", f"{OWN} merge_slashes")) as replay:
        told = ("x-forwarded-for", "198.51.100.1, 192.0.2.8")
        assert arrived_from(replay, "192.0.2.7", told) == "192.0.2.8"


def test_trust_without_a_header_goes_by_the_default_of_nginx() -> None:
    site = SITE.replace("merge_slashes", "set_real_ip_from 127.0.0.9; merge_slashes")
    with Replay(nginx_binary(), HTTP, site) as replay:
        headers = (("X-Real-IP", "192.0.2.7"), ("X-Replay-Source", "192.0.2.8"), ("X-Forwarded-For", "192.0.2.9"))
        assert [arrived_from(replay, source, *headers) for source in ("127.0.0.9", "127.0.0.8")] == [
            "192.0.2.7",
            "127.0.0.8",
        ]


def test_a_header_without_trust_is_not_believed() -> None:
    site = SITE.replace("merge_slashes", "real_ip_header X-Forwarded-For; merge_slashes")
    with Replay(nginx_binary(), HTTP, site) as replay:
        told = ("X-Forwarded-For", "192.0.2.9")
        assert [arrived_from(replay, source, told) for source in (None, "192.0.2.7")] == ["127.0.0.1", "192.0.2.7"]


def test_server_blocks_differ_in_their_realip() -> None:
    other = SITE.replace("listen 80;", "listen 81;").replace("listen 443 ssl;", "listen 444;").replace("8448", "8449")
    site = SITE.replace("merge_slashes", f"{OWN} merge_slashes") + other
    with Replay(nginx_binary(), HTTP, site) as replay:
        for port in (443, 444):
            assert [arrived_from(replay, source, port=port) for source in SOURCES] == SOURCES


@pytest.mark.parametrize(
    ("http", "server"),
    [
        ("", "set_real_ip_from 127.0.0.9; real_ip_header proxy_protocol;"),
        ("real_ip_header proxy_protocol;", "set_real_ip_from 127.0.0.9;"),
    ],
)
def test_without_a_header_to_tell_it_in_a_source_is_refused(http: str, server: str) -> None:
    with Replay(nginx_binary(), HTTP + http, SITE.replace("merge_slashes", f"{server} merge_slashes")) as replay:
        with pytest.raises(ReplayError, match=r"cannot come from 192\.0\.2\.7: on port 443"):
            arrived_from(replay, "192.0.2.7")
        assert arrived_from(replay, "127.0.0.8") == "127.0.0.8"


def test_a_server_that_is_down_gets_nothing(replay: Replay) -> None:
    replay.send([Request("GET", "/warm")] * 20)  # so that there are connections to close
    replay.down([A])
    recorded = replay.send([Request("POST", "/x")] * 20)
    assert {(item.status, item.tried) for item in recorded} == {(200, (B,))}


def test_without_a_server_there_is_no_answer(replay: Replay) -> None:
    replay.down([A, B])
    assert (one(replay, "GET", "/x").status, one(replay, "GET", "/single").status) == (502, 200)


def test_a_server_that_is_up_again_is_used(replay: Replay) -> None:
    replay.down([C])
    assert one(replay, "GET", "/single").status == 502
    replay.up([C])
    assert one(replay, "GET", "/single").tried == (C,)


def test_a_restart_makes_nginx_forget_failures(replay: Replay) -> None:
    replay.down([A])
    replay.send([Request("GET", "/x")] * 8)
    replay.restart()
    assert {item.tried for item in replay.send([Request("GET", "/x")] * 8)} == {(A,), (B,)}


def test_a_broken_server_makes_nginx_repeat_only_what_may_be_repeated(replay: Replay) -> None:
    replay.broken([A, B])
    for method in ("GET", "PUT", "POST"):
        replay.restart()
        replay.broken([A, B])
        recorded = one(replay, method, "/x")
        assert recorded.status == 502
        assert sorted(recorded.tried) == ([A, B] if method != "POST" else [recorded.tried[0]])


def test_a_broken_server_breaks_connections_in_use_too(replay: Replay) -> None:
    replay.send([Request("GET", "/warm")] * 20)
    replay.broken([A, B])
    assert {len(item.tried) for item in replay.send([Request("POST", "/x")] * 2)} == {1}


@pytest.fixture(scope="module")
def impatient() -> Iterator[Replay]:
    with Replay(
        nginx_binary(), HTTP, SITE.replace("merge_slashes", "proxy_read_timeout 200ms; merge_slashes")
    ) as replay:
        yield replay


def test_a_silent_server_gets_the_request_and_nginx_asks_the_next(impatient: Replay) -> None:
    impatient.restart()
    impatient.send([Request("GET", "/warm")] * 20)  # so that there are connections in use
    impatient.silent([A])
    recorded = impatient.send([Request("GET", f"/{number}") for number in range(4)])
    assert {item.status for item in recorded} == {200}
    assert (A, B) in {item.tried for item in recorded}


def test_a_timeout_is_the_answer_where_nothing_may_be_repeated(impatient: Replay) -> None:
    impatient.restart()
    impatient.silent([A, B, C])
    post, large, single = impatient.send(
        [Request("POST", "/x"), Request("POST", "/x", body=b"x" * (1 << 20)), Request("GET", "/single")]
    )
    assert [item.status for item in (post, large, single)] == [504] * 3
    assert [len(item.tried) for item in (post, large, single)] == [1] * 3


@pytest.mark.parametrize("end", ["up", "restart", "broken", "down"])
def test_silence_ends(impatient: Replay, end: str) -> None:
    impatient.restart()
    impatient.silent([C])
    assert one(impatient, "GET", "/single").status == 504
    if end == "restart":
        impatient.restart()
    else:
        getattr(impatient, end)([C])
    recorded = one(impatient, "GET", "/single")
    expected = {"broken": (502, (C,)), "down": (502, ())}.get(end, (200, (C,)))
    assert (recorded.status, recorded.tried) == expected


def test_nginx_says_itself_what_it_refuses() -> None:
    with pytest.raises(ReplayError, match=r'unknown directive "no_such" in site.conf:18'):
        Replay(nginx_binary(), HTTP, SITE.replace("  client_max_body_size 1m;", "  no_such thing;")).__enter__()


def test_a_configuration_that_would_reach_a_real_address_is_not_started() -> None:
    with pytest.raises(ReplayError, match=r"10\.0\.0\.9:8008"):
        Replay(nginx_binary(), HTTP, SITE.replace("http://single", "http://10.0.0.9:8008"))


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    open_files = len(os.listdir("/proc/self/fd"))
    with Replay(nginx_binary(), HTTP, SITE) as replay:
        one(replay, "GET", "/x")
        assert list(tmp_path.iterdir())
    assert not list(tmp_path.iterdir())
    assert len(os.listdir("/proc/self/fd")) == open_files
