# SPDX-License-Identifier: GPL-3.0-or-later
"""Other servers of the federation: they take what is sent to their users' devices, and that is all.

A sender's share of the work is by the name of the destination, so one other server gives work to one sender only.
"""

from __future__ import annotations

import hashlib
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from benchmarks.federation import TO_DEVICE, Ledger
from tests.federation.authority import Authority

USER = "somebody"


def shard(destination: str, senders: int) -> int:
    """Returns which one of the sorted senders Synapse has send to a destination (its config/_base.py)."""
    return int.from_bytes(hashlib.sha256(destination.encode()).digest(), "little") % senders


@dataclass
class Bystanders:
    """Servers with names of their own, all at one address.

    Attributes:
        names: the server names, with their port.
        origins: the servers that have sent something to each of them.
    """

    names: list[str]
    origins: dict[str, set[str]] = field(default_factory=dict)
    _ledger: Ledger | None = None
    _seen: set[tuple[str, str]] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def users(self) -> list[str]:
        """A user of each of them."""
        return [f"@{USER}:{name}" for name in self.names]

    def note_in(self, ledger: Ledger) -> None:
        """From now on, notes in a ledger what arrives."""
        self._ledger = ledger

    def take(self, name: str, transaction: dict[str, Any]) -> None:
        """Takes a transaction for one of the servers."""
        with self._lock:
            self.origins.setdefault(name, set()).add(transaction["origin"])
            for edu in transaction.get("edus", []):
                content = edu["content"]
                if edu["edu_type"] != "m.direct_to_device" or content["type"] != TO_DEVICE:
                    continue
                # A sender that was stopped before it had the answer sends again; servers know messages by their ID.
                if (name, content["message_id"]) in self._seen:
                    continue
                self._seen.add((name, content["message_id"]))
                for user, devices in content["messages"].items():
                    for message in devices.values():
                        if self._ledger is not None:
                            self._ledger.receive(user, message["word"])


@contextmanager
def bystanders(authority: Authority, address: str, *, other: str, senders: int) -> Iterator[Bystanders]:
    """Serves as many servers as are needed, beside the other one, to give each of the senders one destination.

    Args:
        authority: signs their certificates.
        address: where they listen.
        other: the name of the server that is there anyway.
        senders: the number of senders.
    """
    made = Bystanders(names=[])

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path.startswith("/_matrix/federation/v1/send/"):
                made.take(self.headers["Host"], content)
                self._answer(200, {"pdus": {}})
            else:
                self._answer(404, {"errcode": "M_UNRECOGNIZED", "error": "Not served"})

        def do_GET(self) -> None:
            self._answer(404, {"errcode": "M_UNRECOGNIZED", "error": "Not served"})

        def _answer(self, status: int, body: object) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - its name in the base class
            """Writes nothing."""

    server = ThreadingHTTPServer((address, 0), Handler)
    port = server.server_address[1]
    taken = {shard(other, senders)}
    for number in range(1000):
        name = f"bystander-{number}.test:{port}"
        if len(taken) < senders and shard(name, senders) not in taken:
            taken.add(shard(name, senders))
            made.names.append(name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.certificate(*(name.partition(":")[0] for name in made.names)))
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
