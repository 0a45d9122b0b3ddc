# SPDX-License-Identifier: GPL-3.0-or-later
"""The clients before nginx: they send requests over connections that are kept, so many at a time."""

from __future__ import annotations

import asyncio
from typing import Dict, Iterable, Iterator, List, Mapping, Sequence, Tuple

from .errors import ReplayError
from .messages import END, Answer, Request, length_of
from .real_ip import is_bindable

_ANSWER_SECONDS = 30.0


class Clients:
    """Connections to nginx, each for one request at a time."""

    def __init__(self, ports: Mapping[int, int]) -> None:
        """Prepares clients; nothing is open yet.

        Args:
            ports: for each port of the configuration the port of 127.0.0.1 that is connected to.
        """
        self._ports = ports
        self._idle: Dict[Tuple[int, str], List[_Connection]] = {}
        self._open: List[_Connection] = []

    async def send(self, requests: Sequence[Tuple[Request, bytes]], at_a_time: int) -> List[Answer]:
        """Sends requests, so many at a time, and returns their answers in the order of the requests.

        Args:
            requests: each request, and the bytes that are sent for it.
            at_a_time: how many are on their way at a time.

        Raises:
            ReplayError: there is no answer for a long time.
        """
        answers: Dict[int, Answer] = {}
        queue = enumerate(requests)
        pending = {asyncio.ensure_future(self._work(queue, answers)) for _ in range(at_a_time)}
        try:
            while pending:
                known = len(answers)
                done, pending = await asyncio.wait(
                    pending, timeout=_ANSWER_SECONDS, return_when=asyncio.FIRST_EXCEPTION
                )
                for task in done:
                    task.result()
                if pending and len(answers) == known:
                    waiting = next(request for number, (request, _) in enumerate(requests) if number not in answers)
                    raise ReplayError(f"nginx gives no answer to {waiting.method} {waiting.path}")
        finally:
            await self._close(pending)
        return [answers[number] for number in range(len(requests))]

    async def _work(self, queue: Iterator[Tuple[int, Tuple[Request, bytes]]], answers: Dict[int, Answer]) -> None:
        """Sends one request of the queue after the other."""
        for number, (request, raw) in queue:
            source = request.source if request.source is not None and is_bindable(request.source) else ""
            idle = self._idle.setdefault((request.port, source), [])
            connection = await self._connection(idle, request.port, source)
            answers[number] = await connection.exchange(raw, is_head=request.method == "HEAD")
            if connection.is_reusable:
                idle.append(connection)
            else:
                connection.close()

    async def _connection(self, idle: List[_Connection], port: int, source: str) -> _Connection:
        while idle:
            kept = idle.pop()
            if not kept.has_ended:
                return kept
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self._ports[port], local_addr=(source, 0) if source else None
        )
        connection = _Connection(reader, writer)
        self._open.append(connection)
        return connection

    async def _close(self, pending: Iterable[asyncio.Future[None]]) -> None:
        for task in pending:
            task.cancel()
        for connection in self._open:
            connection.close()
        await asyncio.gather(*pending, *(connection.closed() for connection in self._open), return_exceptions=True)


class _Connection:
    """A connection to nginx."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.is_reusable = True
        self._reader = reader
        self._writer = writer

    @property
    def has_ended(self) -> bool:
        """Whether nginx has closed it."""
        return self._reader.at_eof()

    async def exchange(self, raw: bytes, *, is_head: bool) -> Answer:
        """Sends a request and reads its answer; it has the status 0 if the connection ends without one."""
        self._writer.write(raw)
        answer = Answer()
        try:
            while answer.status < 200:
                head = await self._reader.readuntil(END)
                answer = Answer(int(head[9:12]), head[: -len(END)])
            self.is_reusable = b"\r\nConnection: close" not in head
            if not is_head and answer.status not in (204, 304):
                await self._read_body(head)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.is_reusable = False
        return answer

    async def _read_body(self, head: bytes) -> None:
        length = length_of(head)
        if length is not None:
            await self._reader.readexactly(length)
        elif b"\r\nTransfer-Encoding: chunked" in head:
            size = -1
            while size != 0:
                size = int(await self._reader.readuntil(b"\r\n"), 16)
                await self._reader.readexactly(size + 2)
        else:
            await self._reader.read()
            self.is_reusable = False

    def close(self) -> None:
        """Ends the connection."""
        self._writer.close()

    async def closed(self) -> None:
        """Returns when the connection has ended."""
        await self._writer.wait_closed()


__all__ = ("Clients",)
