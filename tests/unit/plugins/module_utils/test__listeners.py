# SPDX-License-Identifier: GPL-3.0-or-later
"""What listeners tell, with real sockets."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from ansible_collections.baremetal.synapse.plugins.module_utils._listeners import is_subscribed, open_connections

GAUGE = "synapse_replication_tcp_resource_total_connections"


def test_connections_to_a_socket_are_counted_while_they_are_open(tmp_path: Path) -> None:
    path = str(tmp_path / "http.sock")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        assert open_connections({"socket": path}) == 0
        client = socket.socket(socket.AF_UNIX)
        client.connect(path)
        assert open_connections({"socket": path}) == 1, "not accepted yet, but nginx has sent its request"
        accepted, _ = server.accept()
        assert open_connections({"socket": path}) == 1
        assert open_connections({"socket": f"{path}.other"}) == 0
        client.close()
        accepted.close()
        assert open_connections({"socket": path}) == 0


def test_connections_to_a_port_are_counted_while_they_are_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        listener = {"address": "127.0.0.1", "port": port}
        assert open_connections(listener) == 0
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _ = server.accept()
        assert open_connections(listener) == 1
        accepted.close()
        client.close()
        assert open_connections(listener) == 0


@contextmanager
def metrics(text: str) -> Iterator[int]:
    """Serves a page of metrics, on the port that is returned."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # its name in http.server
            self.send_response(200)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"# HELP {GAUGE} x\n{GAUGE} 1.0\n", True),
        (f'a 1\n{GAUGE}{{server_name="example.org"}} 2.0\n', True),
        (f"{GAUGE} 0.0\n", False),
        ("other 1.0\n", False),
    ],
)
def test_a_process_says_whether_it_listens_to_the_replication(text: str, expected: bool) -> None:
    with metrics(text) as port:
        assert is_subscribed("127.0.0.1", port) is expected


def test_a_process_that_does_not_answer_listens_to_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert is_subscribed("127.0.0.1", port) is False
