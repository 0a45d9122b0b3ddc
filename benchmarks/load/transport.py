# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP/1.1 over TLS for clients, with an exact account of failures.

Libraries repeat requests silently, or close streams that the server would still have answered. Here:

- A connection that the server closed while it was idle is not used again, and is no failure: nothing was sent on it.
- If both cross on the wire (the server closes an idle connection while a request is on its way), the client learns
  within moments that the connection ended without a byte of an answer. The server has not read the request, and HTTP
  lets the client repeat it on a new connection (RFC 9112, section 9.3.1). That is counted as a race, not as a failure.
- An edge to which no connection can be made has not been sent anything: the client goes on to the next one.
- Everything else is a failure, and is not repeated: no edge can be reached, a request without an answer, an answer cut
  off, an answer that does not end in time.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import h11

RACE_SECONDS = 0.1
"""Within this time, the end of a reused connection without any answer is one that crossed the request on the wire."""

CONNECT_SECONDS = 3.0
"""How long a client tries to connect to an edge before it tries the next one."""

_CHUNK = 65536


class RequestError(Exception):
    """A request without a whole answer; its text is the reason, without anything secret."""


class _ClosedError(Exception):
    """The connection ended before the first byte of the answer."""


@dataclass(frozen=True)
class Answer:
    """A whole answer.

    Attributes:
        status: of HTTP.
        body: the bytes.
    """

    status: int
    body: bytes


@dataclass(frozen=True)
class Edge:
    """Where an nginx of the fleet is reached.

    Attributes:
        address: a name or an address.
        port: its TCP port.
    """

    address: str
    port: int

    @classmethod
    def parse(cls, url: str) -> Edge:
        """Reads ``https://ADDRESS[:PORT]``.

        Raises:
            ValueError: it is something else.
        """
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname or parts.path.strip("/"):
            raise ValueError(f"url is {url!r}: the load comes over TLS, to an edge. Write https://ADDRESS[:PORT].")
        return cls(parts.hostname, parts.port or 443)


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._http = h11.Connection(h11.CLIENT)

    @property
    def usable(self) -> bool:
        return not (self._reader.at_eof() or self._writer.is_closing()) and self._http.our_state is h11.IDLE

    def close(self) -> None:
        self._writer.close()

    async def exchange(self, head: h11.Request, body: bytes) -> Answer:
        """Sends a request and reads its answer to the end."""
        received = False
        status, content = 0, bytearray()
        try:
            parts = (head, h11.Data(data=body), h11.EndOfMessage())
            self._writer.write(b"".join(self._http.send(part) or b"" for part in parts))
            while True:
                event = self._http.next_event()
                if event is h11.NEED_DATA:
                    data = await self._reader.read(_CHUNK)
                    if not data and not received:
                        raise _ClosedError
                    received = True
                    self._http.receive_data(data)
                elif isinstance(event, h11.Response):
                    status = event.status_code
                elif isinstance(event, h11.Data):
                    content += event.data
                elif isinstance(event, (h11.EndOfMessage, h11.ConnectionClosed)):
                    break
        except (OSError, ssl.SSLError) as error:
            if not received:
                raise _ClosedError from error
            raise RequestError("truncated answer") from error
        except h11.RemoteProtocolError as error:
            raise RequestError("truncated answer") from error
        if self._http.our_state is self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        return Answer(status, bytes(content))


@dataclass
class Transport:
    """The connections of one client. Requests may run side by side.

    Attributes:
        edges: where it connects, the preferred one first.
        trust: which certificates it believes.
        host: the name for ``Host:`` and for the certificate; by default the address of the edge.
        races: how often a request crossed the end of its idle connection, and was repeated on a new one.
        moves: how often an edge could not be reached, and the next one could.
    """

    edges: Sequence[Edge]
    trust: ssl.SSLContext
    host: str | None = None
    races: int = 0
    moves: int = 0
    _idle: list[_Connection] = field(default_factory=list)

    async def request(
        self, method: str, target: str, *, headers: Sequence[tuple[str, str]] = (), body: bytes = b"", timeout: float
    ) -> Answer:
        """Sends a request.

        Args:
            method: of HTTP.
            target: the raw path with its query.
            headers: further ones.
            body: the content.
            timeout: seconds until the answer has to be there, whole.

        Raises:
            RequestError: there is no whole answer.
        """
        sent = [("Host", self.host or self.edges[0].address), ("Content-Length", str(len(body))), *headers]
        head = h11.Request(method=method, target=target, headers=sent)
        try:
            async with asyncio.timeout(timeout):
                return await self._exchange(head, body)
        except TimeoutError:
            raise RequestError("no answer in time") from None

    async def _exchange(self, head: h11.Request, body: bytes) -> Answer:
        # The event loop may not have seen yet that an idle connection has ended.
        await asyncio.sleep(0)
        connection, reused = await self._take()
        started = time.monotonic()
        try:
            answer = await connection.exchange(head, body)
        except _ClosedError:
            connection.close()
            if not reused or time.monotonic() - started > RACE_SECONDS:
                raise RequestError("connection lost") from None
            self.races += 1
            connection = await self._connect()
            try:
                answer = await connection.exchange(head, body)
            except _ClosedError:
                connection.close()
                raise RequestError("connection lost") from None
        except BaseException:
            connection.close()
            raise
        if connection.usable:
            self._idle.append(connection)
        else:
            connection.close()
        return answer

    async def _take(self) -> tuple[_Connection, bool]:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection, True
            connection.close()
        return await self._connect(), False

    async def _connect(self) -> _Connection:
        for number, edge in enumerate(self.edges):
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(CONNECT_SECONDS):
                    reader, writer = await asyncio.open_connection(
                        edge.address, edge.port, ssl=self.trust, server_hostname=self.host or edge.address
                    )
                if number:
                    # Until that edge fails too, as a resolver's or a browser's memory would have it.
                    self.moves += 1
                    self.edges = (edge, *(other for other in self.edges if other != edge))
                return _Connection(reader, writer)
        raise RequestError("no connection")

    def close(self) -> None:
        """Ends the idle connections."""
        for connection in self._idle:
            connection.close()
        self._idle.clear()
