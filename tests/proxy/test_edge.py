# SPDX-License-Identifier: GPL-3.0-or-later
"""The edge as clients see it: a real nginx with TLS and the rendered files, and what it answers and logs itself."""

from __future__ import annotations

import json
import re
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from typing import Any

import pytest

from tools.inventory import load_topology
from tools.nginx import nginx_binary
from tools.proxy_files import proxy_files

ROOT = Path(__file__).resolve().parents[2]
NAME = "matrix.example.org"
TOKEN = "syt_dG9rZW4_secret"
SYNC = f"/_matrix/client/v3/sync?access_token={TOKEN}"
TYPING = f"/_matrix/client/v3/rooms/%21r%3Ax/typing/%40u%3Ax?access_token={TOKEN}"
NGINX_CONF = """
daemon off; user root; pid {root}/nginx.pid;
error_log {root}/main.log;
events {{ worker_connections 64; }}
http {{
  client_body_temp_path {root}/t1; proxy_temp_path {root}/t2; fastcgi_temp_path {root}/t3;
  uwsgi_temp_path {root}/t4; scgi_temp_path {root}/t5;
  access_log {root}/http.access.log;
{text}
}}
"""


@dataclass
class Answer:
    """What a client got."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def error(self) -> str:
        """Its errcode; the answer has to be one that browsers may read."""
        assert self.headers["content-type"] == "application/json", self.headers
        assert self.headers["access-control-allow-origin"] == "*"
        assert "PUT" in self.headers["access-control-allow-methods"]
        assert "Authorization" in self.headers["access-control-allow-headers"]
        content = json.loads(self.body)
        assert content["error"]
        return str(content["errcode"])


class Edge:
    """nginx with the files of the example single_host, on ports of 127.0.0.1."""

    def __init__(self, root: Path, texts: Mapping[str, str] | None = None, **settings: Any) -> None:
        self.root = root
        self.sockets = root / "http"
        self.sockets.mkdir()
        self._ports = {port: free_port() for port in (80, 443, 8448)}
        certificate, key = root / "certificate.pem", root / "key.pem"
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={NAME}"]
        subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
        files = proxy_files(
            load_topology(ROOT / "inventories" / "single_host"),
            {
                "nginx_ipv6": False,
                "nginx_tls_certificate": str(certificate),
                "nginx_tls_certificate_key": str(key),
                **settings,
            },
            debian=debian_of_nginx(),
        )
        text = f"{files.http}\n{files.site}"
        for old, new in {
            "/run/matrix-synapse/http": str(self.sockets),
            "/var/log/nginx": str(root),
            "proxy_read_timeout 180s;": "proxy_read_timeout 1s;",
            **(texts or {}),
        }.items():
            assert old in text
            text = text.replace(old, new)
        for old_port, new_port in self._ports.items():
            text = re.sub(rf"^(  listen ){old_port}\b", rf"\g<1>127.0.0.1:{new_port}", text, flags=re.M)
        (root / "nginx.conf").write_text(NGINX_CONF.format(root=root, text=text))
        self._process = subprocess.Popen([nginx_binary(), "-c", root / "nginx.conf", "-e", root / "main.log"])
        self._wait()

    def _wait(self) -> None:
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", self._ports[443])).close()
            except OSError:
                assert self._process.poll() is None, self.logs()
                time.sleep(0.1)
            else:
                return
        raise AssertionError(self.logs())

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()

    def ask(
        self,
        path: str,
        method: str = "GET",
        *,
        host: str = NAME,
        sni: str | None = NAME,
        port: int = 443,
        body: bytes | None = None,
    ) -> Answer:
        """Sends a request with a name in the TLS handshake and a Host."""
        plain = socket.create_connection(("127.0.0.1", self._ports[port]), timeout=20)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = HTTPConnection(host)
        connection.sock = plain if port == 80 else context.wrap_socket(plain, server_hostname=sni)
        try:
            # nginx may answer before it has read all.
            with suppress(BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
                connection.request(method, path, body, {"Host": host})
            answer: HTTPResponse = connection.getresponse()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            assert len(headers) == len(answer.getheaders()), "a header is there twice"
            return Answer(answer.status, headers, answer.read())
        finally:
            connection.close()

    def logs(self) -> str:
        """All that nginx has logged."""
        return "".join(path.read_text() for path in sorted(self.root.glob("*.log")))


def debian_of_nginx() -> int:
    """The Debian whose nginx has the form of HTTP/2 of the one that is here."""
    told = subprocess.run([nginx_binary(), "-v"], capture_output=True, text=True, check=True).stderr
    version = re.search(r"nginx/(\d+)\.(\d+)", told)
    assert version is not None
    return 13 if (int(version[1]), int(version[2])) >= (1, 26) else 12


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    edge = Edge(tmp_path_factory.mktemp("edge"))
    yield edge
    edge.stop()


def listen(edge: Edge, process: str) -> socket.socket:
    """Makes a process that accepts connections and never answers."""
    silent = socket.socket(socket.AF_UNIX)
    silent.bind(str(edge.sockets / f"{process}.sock"))
    silent.listen()
    return silent


def test_errors_of_nginx_are_those_of_matrix(edge: Edge) -> None:
    assert edge.ask("/_matrix/client/../admin").error == "M_UNRECOGNIZED"
    assert edge.ask("/nothing").status == 404
    assert edge.ask("/nothing").error == "M_UNRECOGNIZED"
    assert edge.ask("/_synapse/admin/v1/server_version").error == "M_FORBIDDEN"
    large = edge.ask("/_matrix/media/v3/upload", "POST", body=b"x" * (51 << 20))
    assert (large.status, large.error) == (413, "M_TOO_LARGE")
    # A pool with a fallback, and one without.
    for method, path in (("GET", SYNC), ("PUT", TYPING)):
        answer = edge.ask(path, method, body=b"{}" if method == "PUT" else None)
        assert (answer.status, answer.error) == (502, "M_UNKNOWN")


def test_a_process_that_does_not_answer_gives_an_error_of_matrix(edge: Edge) -> None:
    with listen(edge, "synapse1-writer-1"):
        answer = edge.ask(TYPING, "PUT", body=b"{}")
    (edge.sockets / "synapse1-writer-1.sock").unlink()
    assert (answer.status, answer.error) == (504, "M_UNKNOWN")


def test_all_answers_of_the_sites_have_the_headers_of_security(edge: Edge) -> None:
    for path in ("/.well-known/matrix/server", "/nothing", SYNC):
        headers = edge.ask(path).headers
        assert headers["strict-transport-security"] == "max-age=31536000"
        assert headers["x-content-type-options"] == "nosniff"
    assert "strict-transport-security" not in edge.ask("/", port=80).headers


@pytest.mark.parametrize("port", [443, 8448])
def test_unknown_names_get_no_homeserver(edge: Edge, port: int) -> None:
    path = "/.well-known/matrix/server"
    for sni in (None, NAME, "example.org"):
        assert edge.ask(path, sni=sni, port=port).status == 200
        assert edge.ask(path, host=f"example.org:{port}", sni=sni, port=port).status == 200
        assert edge.ask(path, host="shop.example.org", sni=sni, port=port).status == 421
        assert edge.ask(path, host="127.0.0.1", sni=sni, port=port).status == 421
    unknown = edge.ask(path, sni="shop.example.org", port=port)
    assert (unknown.status, unknown.error) == (421, "M_UNRECOGNIZED")


def test_unknown_names_are_not_led_to_tls(edge: Edge) -> None:
    assert edge.ask("/_matrix/client/versions", port=80).status == 301
    assert edge.ask("/_matrix/client/versions", host="shop.example.org", port=80).status == 421


def test_further_names_are_served(tmp_path: Path) -> None:
    edge = Edge(tmp_path, nginx_server_names=["chat.example.net", "2001:db8::1"], nginx_hsts=False)
    try:
        for name in ("chat.example.net", "[2001:db8::1]", NAME, "example.org"):
            answer = edge.ask("/.well-known/matrix/server", host=name, sni=None)
            assert answer.status == 200
            assert "strict-transport-security" not in answer.headers
    finally:
        edge.stop()


def test_a_website_has_the_base_domain(tmp_path: Path) -> None:
    edge = Edge(tmp_path, nginx_base_domain="include")
    try:
        assert edge.ask("/.well-known/matrix/server").status == 200
        assert edge.ask("/.well-known/matrix/server", host="example.org").status == 421
    finally:
        edge.stop()


def test_no_token_is_in_any_log(edge: Edge) -> None:
    # The socket is missing.
    assert edge.ask(SYNC).status == 502
    # It refuses connections.
    listen(edge, "synapse1-sync-1").close()
    listen(edge, "synapse1-sync-2").close()
    assert edge.ask(SYNC).status == 502
    # It does not answer, and closes the connection.
    with listen(edge, "synapse1-typing-1"), listen(edge, "main") as main:
        assert edge.ask(f"/?access_token={TOKEN}").status == 504
        main.close()
        assert edge.ask(f"/?access_token={TOKEN}").status == 502
    # The request is too large, is none of HTTP, or has no end.
    edge.ask(f"/_matrix/media/v3/upload?access_token={TOKEN}", "POST", body=b"x" * (51 << 20))
    with pytest.raises((HTTPException, OSError)):
        edge.ask(f"{SYNC}\r\nBroken", host=f"{NAME} {TOKEN}")
    edge.ask(SYNC, host="shop.example.org")
    edge.ask(SYNC, port=80)
    for long in (5000, 9000, 40000):
        edge.ask(f"{SYNC}&long={'x' * long}")
    time.sleep(1.5)
    logged = edge.logs()
    assert "/_matrix/client/v3/sync" in logged
    assert TOKEN not in logged


def test_what_nginx_logs_of_requests_has_tokens(tmp_path: Path) -> None:
    """So it is off: the test above would find them."""
    edge = Edge(tmp_path, nginx_error_log_level="crit")
    try:
        edge.ask(SYNC)
        time.sleep(1.5)
        assert TOKEN in edge.logs()
    finally:
        edge.stop()
