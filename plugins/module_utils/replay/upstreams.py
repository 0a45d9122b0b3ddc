# SPDX-License-Identifier: GPL-3.0-or-later
"""The servers behind nginx: each records the requests that reach it, and answers them with an empty 200."""

from __future__ import annotations

import asyncio
import enum
from pathlib import Path
from typing import Dict, List, Optional

from .messages import END, Reception, length_of, number_of

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
# nginx fails at once where a socket's backlog is full.
_BACKLOG = 512


class Manner(enum.Enum):
    """What a server does with a request that it has recorded."""

    ANSWER = enum.auto()
    CLOSE = enum.auto()
    WAIT = enum.auto()


class Recorder:
    """A server of an upstream, on a UNIX socket.

    Attributes:
        manner: what it does with the requests from now on.
    """

    def __init__(self, socket: Path, address: str, receptions: Dict[int, List[Reception]]) -> None:
        """Prepares a server; it does not listen yet.

        Args:
            socket: the path of its socket.
            address: its address in the configuration.
            receptions: where it records what it receives, by the number of the request.
        """
        self.manner = Manner.ANSWER
        self._socket = socket
        self._address = address
        self._receptions = receptions
        self._server: Optional[asyncio.AbstractServer] = None
        self._connections: Dict[asyncio.StreamWriter, asyncio.Task[None]] = {}

    async def open(self) -> None:
        """Listens, if it does not yet."""
        if self._server is None:
            self._server = await asyncio.start_unix_server(self._serve, str(self._socket), backlog=_BACKLOG)
            self._socket.chmod(0o666)

    async def close(self) -> None:
        """Refuses connections from now on, and ends the open ones."""
        if self._server is not None:
            self._server.close()
            # Newer versions of Python have removed it already.
            self._socket.unlink(missing_ok=True)
        open_connections = dict(self._connections)
        for writer in open_connections:
            writer.close()
        await asyncio.gather(*open_connections.values())
        self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections[writer] = task
        try:
            while await self._is_answered(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # nginx has closed the connection, or `close` has
        finally:
            del self._connections[writer]
            writer.close()

    async def _is_answered(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Records one request; returns whether the connection stays open."""
        head = await reader.readuntil(END)
        length = length_of(head)
        if length:
            await reader.readexactly(length)
        number = number_of(head)
        if number is not None:
            self._receptions.setdefault(number, []).append(Reception(self._address, head[: -len(END)]))
        if self.manner is Manner.ANSWER:
            writer.write(_ANSWER)
        return self.manner is not Manner.CLOSE


__all__ = ("Manner", "Recorder")
