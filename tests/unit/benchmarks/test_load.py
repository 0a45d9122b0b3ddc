# SPDX-License-Identifier: GPL-3.0-or-later
"""What the load counts as a failure: over real connections to a server that behaves badly on purpose."""

from __future__ import annotations

import asyncio
import math
import random
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from benchmarks.load import Load
from benchmarks.load.report import Kind, Message, Outcome, Report, Verification
from benchmarks.load.transport import Answer, Edge, RequestError, Transport
from benchmarks.load.user import User

NAME = "load.test"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate and its key."""
    folder = tmp_path_factory.mktemp("tls")
    paths = folder / "cert.pem", folder / "key.pem"
    request = f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN={NAME}"
    files = ["-addext", f"subjectAltName=DNS:{NAME}", "-out", str(paths[0]), "-keyout", str(paths[1])]
    subprocess.run([*request.split(), *files], check=True, capture_output=True)
    return paths


@asynccontextmanager
async def served(certificate: tuple[Path, Path], handler: Handler, *dead: int) -> AsyncIterator[Transport]:
    """A server, and a client of it; ports where nobody listens come first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await handler(reader, writer)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    ports = [*dead, server.sockets[0].getsockname()[1]]
    trust = ssl.create_default_context(cafile=str(certificate[0]))
    client = Transport([Edge("127.0.0.1", port) for port in ports], trust, NAME)
    try:
        yield client
    finally:
        client.close()
        server.close()


async def head(reader: asyncio.StreamReader) -> bytes:
    """Reads a request without a body; empty if there is none any more."""
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""


async def ask(client: Transport, timeout: float = 5.0) -> int:
    return (await client.request("GET", "/", timeout=timeout)).status


def test_a_connection_that_was_closed_while_idle_is_no_failure(certificate: tuple[Path, Path]) -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head(reader)
        writer.write(ANSWER)
        await asyncio.sleep(0.1)

    async def run() -> None:
        async with served(certificate, once) as client:
            assert await ask(client) == 200
            await asyncio.sleep(0.5)
            assert await ask(client) == 200
            assert client.races == 0

    asyncio.run(run())


def test_an_end_that_crosses_the_request_is_a_race_and_the_request_goes_out_again(
    certificate: tuple[Path, Path],
) -> None:
    async def closes_instead_of_a_second_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head(reader)
        writer.write(ANSWER)
        await head(reader)

    async def run() -> None:
        async with served(certificate, closes_instead_of_a_second_answer) as client:
            assert await ask(client) == 200
            assert await ask(client) == 200
            assert client.races == 1

    asyncio.run(run())


def test_an_end_some_time_after_the_request_is_a_failure(certificate: tuple[Path, Path]) -> None:
    async def slow_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head(reader)
        writer.write(ANSWER)
        await head(reader)
        await asyncio.sleep(0.5)

    async def run() -> None:
        async with served(certificate, slow_end) as client:
            assert await ask(client) == 200
            with pytest.raises(RequestError, match="connection lost"):
                await ask(client)
            assert client.races == 0

    asyncio.run(run())


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"", "connection lost"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "truncated answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{", "truncated answer"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", "truncated answer"),
    ],
)
def test_an_answer_that_is_not_whole_is_a_failure(certificate: tuple[Path, Path], sent: bytes, reason: str) -> None:
    async def part(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head(reader)
        writer.write(sent)

    async def run() -> None:
        async with served(certificate, part) as client:
            with pytest.raises(RequestError, match=reason):
                await ask(client)

    asyncio.run(run())


def test_an_answer_that_does_not_come_in_time_is_a_failure(certificate: tuple[Path, Path]) -> None:
    async def never(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await head(reader)
        await asyncio.sleep(2)

    async def run() -> None:
        async with served(certificate, never) as client:
            with pytest.raises(RequestError, match="no answer in time"):
                await ask(client, timeout=0.3)

    asyncio.run(run())


def test_a_client_goes_to_another_edge_and_stays_there(certificate: tuple[Path, Path]) -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await head(reader)
        writer.write(ANSWER)

    async def run() -> None:
        # Port 1 of this machine refuses.
        async with served(certificate, once, 1) as client:
            for _ in range(3):
                assert await ask(client) == 200
                await asyncio.sleep(0.1)
            assert client.moves == 1
            client.edges = [Edge("127.0.0.1", 1)]
            with pytest.raises(RequestError, match="no connection"):
                await ask(client)

    asyncio.run(run())


SEED = 233
"""It chooses members, state, messages and keys first, which need nothing of an answer."""


class Refusing:
    """A transport that answers with these statuses, one after another."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)

    async def request(self, *_: object, **__: object) -> Answer:
        return Answer(self.statuses.pop(0), b"{}")


def test_who_fails_does_the_same_again_until_it_works() -> None:
    async def run() -> list[str]:
        done: list[Outcome] = []
        transport = Refusing(502, 500, *[200] * 20)
        user = User("a", "secret", transport, done, 1.0, {}, ["!r"], ["@b"])  # type: ignore[arg-type]
        choice = random.Random(SEED)  # noqa: S311  no secret comes from it
        for _ in range(5):
            await user.act(choice)
        assert user.running == []
        return [outcome.kind for outcome in done]

    kinds = asyncio.run(run())
    assert kinds[0] == kinds[1] == kinds[2]
    assert len(set(kinds[2:])) > 2


def outcomes(*ended: tuple[float, int]) -> list[Outcome]:
    """Returns outcomes of one kind, each a second long, by the moment of their end and their status."""
    return [Outcome("send", moment - 1, 1.0, status) for moment, status in ended]


def test_a_gap_lasts_from_the_start_of_a_failure_to_the_end_of_the_first_success_after_it() -> None:
    kind = Kind("send", outcomes((1, 200), (2, 404), (3, 502), (4, 0), (7, 200), (30, 200), (31, 500), (33, 200)))
    assert kind.gap == 6
    assert len(kind.failed) == 3


def test_without_failures_there_is_no_gap_and_without_an_end_it_is_infinite() -> None:
    assert Kind("send", outcomes((1, 200), (60, 200))).gap == 0
    assert Kind("send", outcomes((1, 200), (60, 502))).gap == math.inf


def test_a_refusal_is_told_apart_from_a_failure_and_a_limit_is_neither() -> None:
    report = Report(outcomes((1, 403), (2, 429), (3, 500), (4, 200)), 5.0)
    assert [outcome.status for outcome in report.refused] == [403]
    assert [outcome.status for outcome in report.failed] == [500]
    assert len(report.apart_from(set())) == 2
    assert report.apart_from({"send"}) == []


def test_percentiles_are_delays_that_occurred() -> None:
    kind = Kind("send", [Outcome("send", 0, number / 100, 200) for number in range(1, 101)])
    assert (kind.percentile(0.5), kind.percentile(0.99)) == (0.5, 0.99)


def test_problems_are_named() -> None:
    assert Verification(3).problems == ""
    assert "1 missing" in Verification(3, missing=[Message("$e", "!r", 0, 1)]).problems


@pytest.mark.parametrize(
    ("urls", "options", "words"),
    [
        (["http://192.0.2.1"], {}, "the load comes over TLS"),
        (["https://192.0.2.1"], {"users": 2}, "users is 2"),
        (["https://192.0.2.1"], {"rate": 0.0}, "rate is 0.0"),
    ],
)
def test_wrong_arguments_are_refused(urls: list[str], options: dict[str, float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Load(urls, **options)  # type: ignore[arg-type]
