# SPDX-License-Identifier: GPL-3.0-or-later
"""nginx without TLS behind a proxy that ends it: a real HAProxy, a real nginx, and what reaches Synapse."""

from __future__ import annotations

import json
import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer

import pytest

from tests.proxy.test_edge import NAME, NGINX_CONF, debian_of_nginx, free_port
from tools.inventory import load_topology
from tools.nginx import nginx_binary
from tools.proxy_files import proxy_files

ROOT = Path(__file__).resolve().parents[2]
PATH = "/_matrix/client/v3/rooms/%21r%3Ax/typing/%40u%3Ax"
HAPROXY = """
global
  log stdout format raw local0 emerg
defaults
  mode http
  timeout connect 5s
  timeout client 20s
  timeout server 20s
frontend matrix
  bind 127.0.0.1:{tls} ssl crt {certificate}
  option forwardfor
  http-request set-header X-Forwarded-Proto https
  default_backend nginx
backend nginx
  server nginx 127.0.0.1:{plain}
"""


class Synapse(ThreadingMixIn, UnixStreamServer):
    """Answers with the headers that it gets."""

    daemon_threads = True

    class Handler(BaseHTTPRequestHandler):
        """Every request."""

        def do_GET(self) -> None:
            body = json.dumps({**{name.lower(): value for name, value in self.headers.items()}, "path": self.path})
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def address_string(self) -> str:
            return "nginx"

        def log_message(self, *_arguments: object) -> None:
            pass


def waited(port: int) -> None:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"nobody listens on {port}")


class Front:
    """The two proxies.

    Attributes:
        plain: the port of nginx.
        tls: the port of HAProxy.
    """

    def __init__(self, root: Path, trusted: str) -> None:
        self.plain, self.tls = free_port(), free_port()
        sockets = root / "http"
        sockets.mkdir()
        self._processes: list[subprocess.Popen[bytes]] = []
        settings = {
            "nginx_tls_self_signed": False,
            "nginx_tls": "off",
            "nginx_listen": f"127.0.0.1:{self.plain}",
            "nginx_trusted_proxies": [trusted],
        }
        topology = load_topology(ROOT / "inventories" / "single_host")
        files = proxy_files(topology, settings, debian=debian_of_nginx())
        text = f"{files.http}\n{files.site}".replace("/run/matrix-synapse/http", str(sockets))
        text = text.replace("/var/log/nginx", str(root))
        (root / "nginx.conf").write_text(NGINX_CONF.format(root=root, text=text))
        self.listens = re.findall(r"^  listen (.*);$", text, re.MULTILINE)
        for process in topology.processes:
            server = Synapse(str(sockets / f"{process.name}.sock"), Synapse.Handler)
            threading.Thread(target=server.serve_forever, daemon=True).start()
        self._start(str(nginx_binary()), "-c", str(root / "nginx.conf"), "-e", str(root / "main.log"))
        waited(self.plain)

    def _start(self, *command: str) -> None:
        self._processes.append(subprocess.Popen(command))

    def haproxy(self, root: Path) -> None:
        """Starts HAProxy in front."""
        certificate, key = root / "certificate.pem", root / "key.pem"
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={NAME}"]
        subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
        certificate.write_text(certificate.read_text() + key.read_text())
        (root / "haproxy.cfg").write_text(HAPROXY.format(tls=self.tls, plain=self.plain, certificate=certificate))
        self._start("/usr/sbin/haproxy", "-db", "-f", str(root / "haproxy.cfg"))
        waited(self.tls)

    def ask(self, path: str = PATH, *, tls: bool, host: str = NAME, **headers: str) -> tuple[int, dict[str, str]]:
        """Returns the status, and the headers that Synapse got."""
        # Clients of HAProxy have another address than HAProxy.
        address, port = ("127.0.0.2", self.tls) if tls else ("127.0.0.1", self.plain)
        plain = socket.create_connection(("127.0.0.1", port), timeout=20, source_address=(address, 0))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = HTTPConnection(host)
        connection.sock = context.wrap_socket(plain, server_hostname=host) if tls else plain
        try:
            more = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request("GET", path, headers={"Host": host, **more})
            answer = connection.getresponse()
            body = answer.read()
            return answer.status, json.loads(body) if answer.status == 200 else {}
        finally:
            connection.close()

    def stop(self) -> None:
        for process in self._processes:
            process.terminate()
            process.wait()


@pytest.fixture
def front(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Front]:
    made = Front(tmp_path, getattr(request, "param", "127.0.0.1"))
    try:
        yield made
    finally:
        made.stop()


def test_only_the_chosen_address_listens_and_without_tls(front: Front) -> None:
    assert set(front.listens) == {f"127.0.0.1:{front.plain}", f"127.0.0.1:{front.plain} default_server"}
    status, got = front.ask(tls=False, X_Forwarded_For="203.0.113.9")
    assert status == 200
    assert (got["x-forwarded-for"], got["x-forwarded-proto"], got["host"]) == ("203.0.113.9", "https", NAME)
    assert got["path"] == PATH
    assert front.ask(tls=False, host="shop.example.org")[0] == 421
    assert front.ask("/.well-known/matrix/server", tls=False)[1] == {"m.server": f"{NAME}:443"}


@pytest.mark.parametrize("front", ["192.0.2.1"], indirect=True)
def test_nobody_else_says_where_a_request_comes_from(front: Front) -> None:
    status, got = front.ask(tls=False, X_Forwarded_For="203.0.113.9")
    assert (status, got["x-forwarded-for"]) == (200, "127.0.0.1")


def test_a_haproxy_ends_tls(front: Front, tmp_path: Path) -> None:
    front.haproxy(tmp_path)
    status, got = front.ask(tls=True, X_Forwarded_For="203.0.113.9")
    assert status == 200
    # HAProxy writes its client behind what that one has claimed, and nginx believes HAProxy alone.
    assert got["x-forwarded-for"] == "127.0.0.2"
    assert (got["x-forwarded-proto"], got["host"], got["path"]) == ("https", NAME, PATH)
