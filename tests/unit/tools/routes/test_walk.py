# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe follows the code of a request: what a process refuses that is no writer, and sessions in memory.

The code that it follows here stands for Synapse's; that of real releases is what `routes.json` was made from.
"""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.tools.routes.registry import probe

if TYPE_CHECKING:
    from collections.abc import Iterator

CODE = """
import functools

class Store:
    def __init__(self, hs):
        self._instance_name = hs.name
        # As on SQLite: true in every process.
        self._can_write_to_receipts = hs.name in hs.writers.receipts
        self._can_write_to_receipts = True

    async def insert(self, txn):
        assert self._can_write_to_receipts

    async def read(self):
        return 1

class WorkerStore:
    # The package whose stores are not those of main.
    __module__ = "synapse.app.generic_worker"

    async def known(self):
        return 1

class Sender:
    def __init__(self, hs):
        self._writers = hs.writers.account_data
        self._instance_name = hs.name
        self.store = Store(hs)
        self._sessions = {}

    async def forwarded(self):
        if self._instance_name in self._writers:
            await self.store.insert(None)
        else:
            await self.elsewhere()

    async def elsewhere(self):
        return None

    def session(self):
        return self._sessions["x"]

def checked(function):
    async def wrapped(self, request):
        return await function(self, request)
    return wrapped

class Servlet:
    def __init__(self, hs):
        self.hs = hs
        self._is_worker = True
        self._is_typing_writer = hs.name in hs.writers.typing
        self.store = Store(hs)
        self.sender = Sender(hs)
        self.worker_store = WorkerStore()

    async def on_lacking(self, request):
        store = self.worker_store
        await store.known()
        if request.token:
            await self.deeper(request)

    async def deeper(self, request):
        return await self.worker_store.get_user_for_token(request.token)

    async def on_asserted(self, request):
        if request.kind == "m.read":
            await self.hs.get_run()("insert", self.store.insert, 1)

    async def on_raised(self, request):
        if not self._is_typing_writer:
            raise Exception("Got /typing request on instance that is not typing writer")

    async def on_named(self, request):
        if self._is_worker:
            raise Exception("Cannot handle PUT /push_rules on worker")

    async def on_forwarded(self, request):
        await self.sender.forwarded()

    async def on_local(self, request):
        store = self.store
        await store.read()

    @checked
    async def on_decorated(self, request):
        await self.store.insert(request)

    async def on_session(self, request):
        sender = self.sender
        return [sender.session() for _ in range(2)]

    async def on_background(self, request):
        run_as_background_process("insert", self.store.insert)

    async def on_bad_request(self, request):
        if not self._is_typing_writer:
            raise SynapseError(400, "no")
"""


@pytest.fixture
def servlet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A servlet of a module of the package that the probe follows, in a process that writes nothing."""
    path = tmp_path / "servlets.py"
    path.write_text(CODE)
    module = types.ModuleType("synapse.servlets")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module
    exec(compile(CODE, str(path), "exec"), vars(module))  # noqa: S102  # its own text, above
    main_store = types.ModuleType("synapse.storage.databases.main")
    main_store.DataStore = type("DataStore", (), {"get_user_for_token": None})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, main_store.__name__, main_store)
    writers = types.SimpleNamespace(typing=["w"], receipts=["w"], account_data=["w"])
    hs = types.SimpleNamespace(name="probe", writers=writers, get_run=lambda: None)
    yield module.Servlet(hs)
    del sys.modules[module.__name__]


@pytest.mark.parametrize(
    ("method", "stream"),
    [
        ("on_raised", "typing"),
        ("on_named", "push_rules"),
        ("on_asserted", "receipts"),
        ("on_decorated", "receipts"),
    ],
)
def test_a_write_that_only_the_writer_serves_names_its_stream(servlet: Any, method: str, stream: str) -> None:
    assert probe.Walker().reach(getattr(servlet, method)) == ({stream}, set(), False)


@pytest.mark.parametrize("method", ["on_forwarded", "on_local", "on_background", "on_bad_request"])
def test_what_any_process_serves_writes_no_stream(servlet: Any, method: str) -> None:
    assert probe.Walker().reach(getattr(servlet, method)) == (set(), set(), False)


def test_a_session_in_memory_is_seen_wherever_it_is_used(servlet: Any) -> None:
    assert probe.Walker().reach(servlet.on_session) == (set(), set(), True)


def test_what_the_store_of_a_worker_lacks_is_named_with_the_way_to_it(servlet: Any) -> None:
    walker = probe.Walker()
    assert walker.reach(servlet.on_lacking).lacks == {"get_user_for_token"}
    assert walker.chain(servlet.on_lacking, "get_user_for_token") == ["Servlet.on_lacking", "Servlet.deeper"]


@pytest.mark.parametrize(
    ("kinds", "found"),
    [
        (("worker", "main"), {"get_user_for_token"}),
        (("worker",), {"get_user_for_token"}),
        (("main",), set()),
    ],
)
def test_a_worker_lacks_what_main_has(servlet: Any, kinds: tuple[str, ...], found: set[str]) -> None:
    functions = {"worker": servlet.on_lacking, "main": servlet.on_local}
    served = probe.Served("/openid", "GET")
    handlers = {kind: probe.Handler("Servlet", functions[kind]) for kind in kinds}
    assert probe._comes_to({(served, "Servlet"): handlers})[served, "Servlet"].lacks == found


def test_what_main_lacks_too_is_in_code_that_nobody_comes_to(servlet: Any) -> None:
    served = probe.Served("/openid", "GET")
    handlers = {kind: probe.Handler("Servlet", servlet.on_lacking) for kind in ("main", "worker")}
    assert probe._comes_to({(served, "Servlet"): handlers})[served, "Servlet"].lacks == set()


def test_it_can_be_asked_how_a_stream_is_reached(servlet: Any) -> None:
    chain = probe.Walker().chain(servlet.on_asserted, "receipts")
    assert chain == ["Servlet.on_asserted", "Store.insert"]
