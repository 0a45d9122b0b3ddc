# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP messages of a replay: what is sent, what arrives behind nginx, and what comes back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Dict, Iterable, Optional, Tuple

HTTPS = 443
END = b"\r\n\r\n"
"""The end of a message's head."""

_ID_HEADER = "X-Replay-Id"
_ID = re.compile(rb"\r\nX-Replay-Id: ([0-9]+)\r\n")
_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)", re.IGNORECASE)


@dataclass(frozen=True)
class Request:
    """A request of a client.

    Attributes:
        method: its method.
        path: its target as it is sent, query included; ASCII.
        headers: more headers. Without a Host it gets the one of `Replay`, and a length if there is a body.
        source: the address of the client; None for 127.0.0.1. From one of 127.0.0.0/8 the connection really comes, any
            other is passed to nginx's realip module. Where the configuration uses that, it is passed in the header
            that the configuration names, as by a trusted proxy, unless `headers` have that header.
        port: the port of the configuration that it is sent to.
        body: its body.
    """

    method: str
    path: str
    headers: Tuple[Tuple[str, str], ...] = ()
    source: Optional[str] = None
    port: int = HTTPS
    body: bytes = b""

    def has(self, name: str) -> bool:
        """Returns whether `headers` have one of that name."""
        return any(name.lower() == given.lower() for given, _ in self.headers)

    def encode(self, number: int, host: str, more: Iterable[Tuple[str, str]] = ()) -> bytes:
        """Returns the bytes to send.

        Args:
            number: by which its receptions are known.
            host: the Host if it names none.
            more: headers that are added unless it has them.
        """
        added = [("Host", host), *more]
        if self.body or self.method in ("POST", "PUT", "PATCH"):
            added.append(("Content-Length", str(len(self.body))))
        headers = [(name, value) for name, value in added if not self.has(name)]
        lines = [f"{name}: {value}" for name, value in ((_ID_HEADER, str(number)), *headers, *self.headers)]
        return "\r\n".join([f"{self.method} {self.path} HTTP/1.1", *lines, "", ""]).encode("ascii") + self.body


@dataclass(frozen=True)
class Reception:
    """A request as one server of an upstream got it.

    Attributes:
        server: the server's address, as the configuration has it.
        head: the request line and the headers.
    """

    server: str
    head: bytes

    @property
    def method(self) -> str:
        """The method."""
        return self.head.split(b" ", 1)[0].decode("latin-1")

    @property
    def raw_path(self) -> str:
        """The target of the request line, byte for byte."""
        return self.head.split(b"\r\n", 1)[0].split(b" ", 1)[1].rsplit(b" ", 1)[0].decode("latin-1")

    @property
    def headers(self) -> Dict[str, str]:
        """The headers, by their names in lower case; values of the same name are joined by ', '."""
        return _headers(self.head)


@dataclass(frozen=True)
class Answer:
    """What a client got.

    Attributes:
        status: the status; 0 if the connection was closed without one.
        head: the status line and the headers.
    """

    status: int = 0
    head: bytes = b""


@dataclass(frozen=True)
class Recorded:
    """What became of a request.

    Attributes:
        status: the status that the client got; 0 if the connection was closed without one.
        receptions: what servers of upstreams got, in the order of time.
        answer: the status line and the headers that the client got.
    """

    status: int
    receptions: Tuple[Reception, ...]
    answer: bytes

    @property
    def tried(self) -> Tuple[str, ...]:
        """The addresses of the servers that received the request, in the order of time."""
        return tuple(reception.server for reception in self.receptions)

    @property
    def raw_path(self) -> Optional[str]:
        """The path that the last server received."""
        return self.receptions[-1].raw_path if self.receptions else None

    @property
    def headers(self) -> Dict[str, str]:
        """The headers that the last server received, by their names in lower case."""
        return self.receptions[-1].headers if self.receptions else {}

    @property
    def answer_headers(self) -> Dict[str, str]:
        """The headers that the client got, by their names in lower case."""
        return _headers(self.answer)


def number_of(head: bytes) -> Optional[int]:
    """Returns the number with which `Request.encode` sent a request; None if it was not sent so."""
    found = _ID.search(head)
    return None if found is None else int(found[1])


def length_of(head: bytes) -> Optional[int]:
    """Returns the length of a message's body in bytes; None if its head does not say it."""
    found = _CONTENT_LENGTH.search(head)
    return None if found is None else int(found[1])


def _headers(head: bytes) -> Dict[str, str]:
    headers: Dict[str, str] = {}
    for line in head.decode("latin-1").split("\r\n")[1:]:
        name, _, value = line.partition(":")
        name = name.lower()
        headers[name] = f"{headers[name]}, {value.strip()}" if name in headers else value.strip()
    return headers


__all__ = ("END", "HTTPS", "Answer", "Reception", "Recorded", "Request", "length_of", "number_of")
