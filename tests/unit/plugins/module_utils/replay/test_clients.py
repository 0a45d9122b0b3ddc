# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients read each kind of answer to its end, keep connections, and give up on a server that says nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from ansible_collections.baremetal.synapse.plugins.module_utils.replay import clients
from ansible_collections.baremetal.synapse.plugins.module_utils.replay.clients import Clients
from ansible_collections.baremetal.synapse.plugins.module_utils.replay.errors import ReplayError
from ansible_collections.baremetal.synapse.plugins.module_utils.replay.messages import Answer, Request

EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
CLOSES = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class Server:
    """A server that gives these bytes as its answers, one after the other, and ends the connection after some.

    Attributes:
        connections: how many it has accepted.
        heads: what it has received.
    """

    def __init__(self, answers: Sequence[bytes], ends_after: Sequence[int] = (), delay: float = 0) -> None:
        self.connections = 0
        self.heads: list[bytes] = []
        self._answers = answers
        self._ends_after = ends_after
        self._delay = delay

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                self.heads.append(await reader.readuntil(b"\r\n\r\n"))
                number = len(self.heads) - 1
                await asyncio.sleep(self._delay)
                writer.write(self._answers[number])
                if number in self._ends_after:
                    break
        except asyncio.IncompleteReadError:
            pass
        writer.close()


def send(server: Server, *requests: Request, at_a_time: int = 1) -> list[Answer]:
    """Returns what clients of the server get."""

    async def run() -> list[Answer]:
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        raw = [(request, request.encode(number, "example.org")) for number, request in enumerate(requests)]
        answers = await Clients({443: port}).send(raw, at_a_time)
        listening.close()
        return answers

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (EMPTY, 200),
        (b"HTTP/1.1 403 Forbidden\r\ncontent-length: 5\r\n\r\n12345", 403),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n\r\n0\r\n\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n",
            200,
        ),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}", 201),
    ],
)
def test_an_answer_is_read_to_its_end_and_the_connection_is_kept(raw: bytes, status: int) -> None:
    server = Server([raw, EMPTY])
    first, second = send(server, Request("GET", "/a"), Request("GET", "/b"))
    assert (first.status, second.status) == (status, 200)
    assert first.head.startswith(b"HTTP/1.1 %d" % status)
    assert not first.head.endswith(b"\r\n")
    assert server.connections == 1


def test_the_answer_to_head_has_no_body() -> None:
    server = Server([b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", EMPTY])
    assert [answer.status for answer in send(server, Request("HEAD", "/a"), Request("GET", "/b"))] == [200, 200]
    assert server.connections == 1


@pytest.mark.parametrize(
    ("raw", "ends", "status"),
    [
        (CLOSES, False, 200),
        (b"", True, 0),
        (b"HTTP/1.1 200 O", True, 0),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n123", True, 200),
        (b"HTTP/1.1 200 OK\r\n\r\nto the end", True, 200),
    ],
)
def test_after_an_answer_that_ends_the_connection_there_is_a_new_one(raw: bytes, ends: bool, status: int) -> None:
    server = Server([raw, EMPTY], [0] if ends else [])
    assert [answer.status for answer in send(server, Request("GET", "/a"), Request("GET", "/b"))] == [status, 200]
    assert server.connections == 2


def test_each_source_has_its_own_connection() -> None:
    server = Server([EMPTY] * 4)
    send(server, *(Request("GET", "/", source=source) for source in ("127.0.0.2", "127.0.0.3", "127.0.0.2", None)))
    assert server.connections == 3


def test_a_connection_that_the_server_has_ended_meanwhile_is_not_used_again() -> None:
    server = Server([EMPTY] * 3, ends_after=[0], delay=0.02)
    answers = send(server, *(Request("GET", "/", source=f"127.0.0.{last}") for last in (2, 3, 2)))
    assert [answer.status for answer in answers] == [200] * 3
    assert server.connections == 3


def test_no_more_requests_are_on_their_way_than_allowed() -> None:
    server = Server([EMPTY] * 50)
    answers = send(server, *(Request("GET", f"/{number}") for number in range(50)), at_a_time=4)
    assert [answer.status for answer in answers] == [200] * 50
    assert server.connections == 4


def test_a_server_that_says_nothing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "_ANSWER_SECONDS", 0.05)
    with pytest.raises(ReplayError, match="no answer to PUT /b"):
        send(Server([EMPTY, b""]), Request("GET", "/a"), Request("PUT", "/b"))
