# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers behind nginx record each request, and answer, close or wait as they are told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from ansible_collections.baremetal.synapse.plugins.module_utils.replay.messages import Reception, Request
from ansible_collections.baremetal.synapse.plugins.module_utils.replay.upstreams import Manner, Recorder

Receptions = dict[int, list[Reception]]


def run(folder: Path, act: Callable[[Recorder, Path], Awaitable[None]]) -> Receptions:
    """Returns what a server has recorded."""
    receptions: Receptions = {}

    async def main() -> None:
        recorder = Recorder(folder / "s", "10.0.0.1:8001", receptions)
        await recorder.open()
        await act(recorder, folder / "s")
        await recorder.close()

    asyncio.run(main())
    return receptions


def test_requests_are_recorded_by_their_number_with_bodies_left_out(tmp_path: Path) -> None:
    async def act(_: Recorder, socket: Path) -> None:
        reader, writer = await asyncio.open_unix_connection(str(socket))
        for number, request in ((7, Request("PUT", "/a", body=b"x" * 100000)), (8, Request("GET", "/b"))):
            writer.write(request.encode(number, "example.org"))
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        writer.close()

    found = run(tmp_path, act)
    assert {number: [reception.raw_path for reception in of] for number, of in found.items()} == {7: ["/a"], 8: ["/b"]}
    assert found[7][0].server == "10.0.0.1:8001"
    assert found[7][0].headers["content-length"] == "100000"


@pytest.mark.parametrize(("manner", "answer"), [(Manner.CLOSE, b""), (Manner.WAIT, None)])
def test_a_server_that_does_not_answer_records_too(manner: Manner, answer: bytes | None, tmp_path: Path) -> None:
    async def act(recorder: Recorder, socket: Path) -> None:
        recorder.manner = manner
        reader, writer = await asyncio.open_unix_connection(str(socket))
        writer.write(Request("GET", "/a").encode(1, "example.org"))
        try:
            assert await asyncio.wait_for(reader.read(), 0.1) == answer
        except TimeoutError:
            assert answer is None
        writer.close()

    assert [reception.raw_path for reception in run(tmp_path, act)[1]] == ["/a"]


def test_a_closed_server_ends_its_connections_and_refuses_new_ones_until_it_is_open_again(tmp_path: Path) -> None:
    async def act(recorder: Recorder, socket: Path) -> None:
        reader, writer = await asyncio.open_unix_connection(str(socket))
        writer.write(Request("GET", "/a").encode(1, "example.org"))
        await reader.readuntil(b"\r\n\r\n")
        await recorder.close()
        assert await reader.read() == b""
        writer.close()
        with pytest.raises(OSError, match=r"No such file|refused"):
            await asyncio.open_unix_connection(str(socket))
        await recorder.open()
        _, writer = await asyncio.open_unix_connection(str(socket))
        writer.close()

    assert list(run(tmp_path, act)) == [1]
