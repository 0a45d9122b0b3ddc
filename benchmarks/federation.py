# SPDX-License-Identifier: GPL-3.0-or-later
"""Steady traffic between the users of several servers, and a ledger of what was acknowledged and what arrived.

Every user sends messages to a room, sometimes also to devices, and syncs as a client does: a request that failed is
repeated with the same transaction or token, and a gap that the server reports is filled from the room's history.
"""

from __future__ import annotations

import itertools
import json
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import httpx

from tools.matrix import CLIENT, Client, MatrixError, encoded

TO_DEVICE = "org.test.word"
"""The type of the messages to devices; each holds its word, by which the ledger knows it."""

_FILTER = json.dumps({"room": {"timeline": {"limit": 100}}, "presence": {"types": []}})
_POLL_SECONDS = 3.0
_REQUEST_SECONDS = 15.0
_PAUSE_SECONDS = 0.2
_WHISPER_EVERY = 3


class Ledger:
    """What was acknowledged, which users must get it, and how often each got it: event IDs and words. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._acknowledged: dict[str, float] = {}
        self._readers: dict[str, set[str]] = {}
        self._streamed: Counter[tuple[str, str]] = Counter()
        self._filled: set[tuple[str, str]] = set()
        self._arrived: dict[tuple[str, str], float] = {}

    def acknowledge(self, item: str, readers: Iterable[str], at: float | None = None) -> None:
        """Notes that a server took an item for these readers, at a time of the monotonic clock."""
        with self._lock:
            self._acknowledged[item] = time.monotonic() if at is None else at
            self._readers[item] = set(readers)

    def receive(self, reader: str, item: str, *, filled: bool = False, at: float | None = None) -> None:
        """Notes that an item reached a reader: in the stream of events, or filled in from the room's history."""
        with self._lock:
            self._arrived.setdefault((reader, item), time.monotonic() if at is None else at)
            if filled:
                self._filled.add((reader, item))
            else:
                self._streamed[reader, item] += 1

    @property
    def acknowledged(self) -> set[str]:
        """The items that a server took."""
        with self._lock:
            return set(self._acknowledged)

    def lost(self) -> set[tuple[str, str]]:
        """Readers and the items that were acknowledged and have not reached them."""
        with self._lock:
            wanted = {(reader, item) for item, readers in self._readers.items() for reader in readers}
            return wanted - self._arrived.keys()

    def duplicates(self) -> set[tuple[str, str]]:
        """Readers and the items that were more than once in their streams; acknowledged or not."""
        with self._lock:
            return {key for key, times in self._streamed.items() if times > 1}

    def filled(self) -> set[tuple[str, str]]:
        """Readers and the items that were never in their streams, but in a gap that the server reported."""
        with self._lock:
            return self._filled - self._streamed.keys()

    def delays(self) -> list[float]:
        """Seconds from each acknowledgement to the arrival at each of its readers, in ascending order."""
        with self._lock:
            return sorted(
                max(0.0, at - self._acknowledged[item])
                for (reader, item), at in self._arrived.items()
                if reader in self._readers.get(item, ())
            )


@dataclass
class Person:
    """A user that sends and receives.

    Attributes:
        connect: opens a new connection to the server, with the person's account.
        room: the room that the person talks in, and is joined to.
        readers: the users in the room; each must get every message.
        addressees: the users who get messages to their devices too.
    """

    connect: Callable[[], Client]
    room: str
    readers: Sequence[str]
    addressees: Sequence[str] = ()


@dataclass
class CrossTraffic:
    """Traffic of several people at once; a context manager that talks from its begin to ``hush``, or to its end.

    Attributes:
        people: who takes part.
        per_second: messages of each of them.
        ledger: what was acknowledged and received.
        failures: requests that were refused, cut off or not answered in time, by what they were for.
        gaps: how often a server reported a gap.
    """

    people: Sequence[Person]
    per_second: float = 3.0
    ledger: Ledger = field(default_factory=Ledger)
    failures: Counter[str] = field(default_factory=Counter)
    gaps: int = 0
    _began: float = field(default_factory=time.time, init=False)
    _hushed: threading.Event = field(default_factory=threading.Event, init=False)
    _ended: threading.Event = field(default_factory=threading.Event, init=False)
    _talkers: list[threading.Thread] = field(default_factory=list, init=False)
    _listeners: list[threading.Thread] = field(default_factory=list, init=False)
    _broken: list[BaseException] = field(default_factory=list, init=False)

    def __enter__(self) -> Self:
        # No user sends before all listen: what is older than a first sync is not in the stream.
        ready = threading.Barrier(len(self.people) + 1)
        for person in self.people:
            self._listeners.append(self._thread(self._listen, person, ready))
        ready.wait(60)
        for person in self.people:
            self._talkers.append(self._thread(self._talk, person))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hushed.set()
        self._ended.set()
        for thread in (*self._talkers, *self._listeners):
            thread.join()
        if self._broken and error is None:
            raise self._broken[0]

    def hush(self, *, patience: float = 30.0) -> bool:
        """Ends the talk and waits until all has arrived, at most some seconds; returns whether it has."""
        self._hushed.set()
        for thread in self._talkers:
            thread.join()
        deadline = time.monotonic() + patience
        while self.ledger.lost() and time.monotonic() < deadline:
            time.sleep(_PAUSE_SECONDS)
        return not self.ledger.lost()

    def _thread(self, work: Callable[..., None], *arguments: object) -> threading.Thread:
        def guarded() -> None:
            try:
                work(*arguments)
            except BaseException as problem:
                self._broken.append(problem)

        thread = threading.Thread(target=guarded, daemon=True)
        thread.start()
        return thread

    def _try(self, what: str, client: Client, method: str, path: str, body: object = None) -> dict[str, Any] | None:
        """Sends a request; a failure that a client would get over is counted, and None."""
        try:
            return client.call(method, path, body, timeout=_REQUEST_SECONDS)
        except MatrixError as problem:
            if problem.status < 500 and problem.status != 429:
                raise
        except httpx.TransportError:
            pass
        self.failures[what] += 1
        return None

    def _talk(self, person: Person) -> None:
        with person.connect() as client:
            due = time.monotonic()
            for number in itertools.count():
                due = max(due + 1 / self.per_second, time.monotonic())
                if self._hushed.wait(max(0.0, due - time.monotonic())):
                    return
                self._say(person, client)
                if person.addressees and number % _WHISPER_EVERY == 0:
                    self._whisper(person, client)

    def _say(self, person: Person, client: Client) -> None:
        # The same transaction until it is acknowledged: the server must not take it twice.
        path = f"{CLIENT}/rooms/{encoded(person.room)}/send/m.room.message/{secrets.token_hex(8)}"
        body = {"msgtype": "m.text", "body": f"{client.user_id} at {time.time():.3f}"}
        while (answer := self._try("send", client, "PUT", path, body)) is None:
            if self._hushed.wait(_PAUSE_SECONDS):
                return
        self.ledger.acknowledge(answer["event_id"], person.readers)

    def _whisper(self, person: Person, client: Client) -> None:
        """Sends one message to the devices of all addressees; once only, for Synapse forgets its transactions."""
        word = secrets.token_hex(8)
        messages = {addressee: {"*": {"word": word}} for addressee in person.addressees}
        path = f"{CLIENT}/sendToDevice/{TO_DEVICE}/{word}"
        if self._try("send to device", client, "PUT", path, {"messages": messages}) is not None:
            self.ledger.acknowledge(word, person.addressees)

    def _listen(self, person: Person, ready: threading.Barrier) -> None:
        with person.connect() as client:
            since = client.call("GET", f"{CLIENT}/sync?timeout=0&filter={encoded(_FILTER)}")["next_batch"]
            ready.wait(60)
            gaps = 0
            while not self._ended.is_set():
                path = f"{CLIENT}/sync?timeout={int(_POLL_SECONDS * 1000)}&since={encoded(since)}"
                answer = self._try("sync", client, "GET", f"{path}&filter={encoded(_FILTER)}")
                if answer is None:
                    time.sleep(_PAUSE_SECONDS)
                    continue
                gaps += self._read(person, client, answer)
                since = answer["next_batch"]
                # The server fetches what it missed bit by bit, whenever a user reads back.
                if gaps and self._hushed.is_set() and any(reader == client.user_id for reader, _ in self.ledger.lost()):
                    self._fill(person, client, since)

    def _read(self, person: Person, client: Client, answer: dict[str, Any]) -> bool:
        """Records what a sync returned, and returns whether it reported a gap."""
        for message in answer.get("to_device", {}).get("events", []):
            if message["type"] == TO_DEVICE:
                self.ledger.receive(client.user_id, message["content"]["word"])
        timeline = answer.get("rooms", {}).get("join", {}).get(person.room, {}).get("timeline", {})
        for event in timeline.get("events", []):
            self.ledger.receive(client.user_id, event["event_id"])
        if not timeline.get("limited"):
            return False
        self.gaps += 1
        self._fill(person, client, timeline["prev_batch"])
        return True

    def _fill(self, person: Person, client: Client, begin: str) -> None:
        """Reads what the stream left out: backwards, as far as this traffic goes.

        Not to the last sync's token: the server fetches what it missed as history, which has no place after that token.
        """
        token: str | None = begin
        while token is not None and not self._ended.is_set():
            answer = self._try("fill", client, "GET", _history_path(person.room, token))
            if answer is None:
                time.sleep(_PAUSE_SECONDS)
                continue
            events = [event for event in answer["chunk"] if event["origin_server_ts"] >= self._began * 1000]
            for event in events:
                self.ledger.receive(client.user_id, event["event_id"], filled=True)
            token = answer.get("end") if events else None


def missing_from_history(client: Client, room: str, wanted: Iterable[str]) -> set[str]:
    """Returns those of the events that a room's history, as a user reads it back to its beginning, has not got.

    A server that missed events fetches them while its users read back, so another reading may find more.
    """
    missing = set(wanted)
    token: str | None = client.sync()["next_batch"]
    while missing and token is not None:
        answer = client.call("GET", _history_path(room, token))
        missing -= {event["event_id"] for event in answer["chunk"]}
        token = answer.get("end")
    return missing


def _history_path(room: str, token: str) -> str:
    return f"{CLIENT}/rooms/{encoded(room)}/messages?dir=b&limit=100&from={encoded(token)}"
