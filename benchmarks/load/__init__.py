# SPDX-License-Identifier: GPL-3.0-or-later
"""A load of real client traffic through nginx, which counts failures and lost messages.

    async with Load(["https://192.0.2.10"], host="matrix.example.org", trust=context) as load:
        ...                                   # change the fleet
    print(load.report().summary(), load.verification.problems)

``load_running`` does the same from a program that is not asynchronous, ``python -m benchmarks.load`` from the command
line.

The server must admit the load: open registration without verification, or its shared secret for registration and
the admin API for this address; and rate limits (``rc_*``) above its pace. A failure of the server is an answer with a
status of 500 or more, one that is cut off, does not arrive in time, or does not arrive at all; see ``transport`` for
how connections end. No request is repeated, so a message is acknowledged if its one request was answered with an event
ID; a user whose request failed does the same once more, with another message, file or login.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import random
import secrets
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from .report import Message, Outcome, Report, Verification
from .transport import Edge, Transport
from .user import CLIENT, User, encoded, new_password

__all__ = ["Load", "Outcome", "Report", "RunningLoad", "Verification", "load_running"]

ROOM_MEMBERS = 3
FINISH_SECONDS = 40.0
LAST_MESSAGES = 5
_ADMIN_REGISTER = "/_synapse/admin/v1/register"


class Load:
    """Users that talk, from the entry of the context to its end; then what they were promised is checked.

    Args:
        urls: ``https://ADDRESS[:PORT]`` of each edge; users spread over them, and go to another one if theirs is gone.
        host: the public name, for ``Host:`` and the certificate; by default the address of the edge.
        trust: the certificates to believe; by default those of the system.
        users: how many, at least 3.
        rate: actions in a second of all users together; syncs come on top.
        poll_seconds: how long a sync waits for news.
        registration_secret: makes the accounts through the admin API; None: through open registration.
        seed: of what the users choose to do.

    Raises:
        ValueError: an argument is wrong.
    """

    def __init__(
        self,
        urls: Sequence[str],
        *,
        host: str | None = None,
        trust: ssl.SSLContext | None = None,
        users: int = 8,
        rate: float = 20.0,
        poll_seconds: float = 7.0,
        registration_secret: str | None = None,
        seed: int = 0,
    ) -> None:
        if users < ROOM_MEMBERS:
            raise ValueError(
                f"users is {users}: a room of the load has {ROOM_MEMBERS}. Set it to at least {ROOM_MEMBERS}."
            )
        if rate <= 0:
            raise ValueError(f"rate is {rate}: there have to be actions. Set it to more than 0.")
        self._edges = [Edge.parse(url) for url in urls]
        self._host, self._trust = host, trust or ssl.create_default_context()
        self._rate, self._secret, self._choice = rate, registration_secret, random.Random(seed)  # noqa: S311
        self._outcomes: list[Outcome] = []
        self._acknowledged: dict[str, Message] = {}
        self._started = self._ended = 0.0
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()
        self.verification = Verification(0)
        run = secrets.token_hex(3)
        self._users = [self._user(f"load-{run}-{number}", number, poll_seconds) for number in range(users)]

    def _user(self, name: str, number: int, poll_seconds: float) -> User:
        start = number % len(self._edges)
        transport = Transport([*self._edges[start:], *self._edges[:start]], self._trust, self._host)
        return User(name, new_password(), transport, self._outcomes, poll_seconds, self._acknowledged)

    async def __aenter__(self) -> Self:
        """Makes users and rooms, and lets them begin.

        Raises:
            RefusedError: the server does not let the load in.
        """
        try:
            await self._prepare()
        except BaseException:
            self._close()
            raise
        self._outcomes.clear()
        self._started = time.monotonic()
        for user in self._users:
            self._tasks.append(asyncio.create_task(self._act(user)))
            self._tasks.append(asyncio.create_task(user.poll_for_ever()))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Lets the users finish, and searches for every acknowledged message."""
        self._stopping.set()
        actions, polls = self._tasks[::2], self._tasks[1::2]
        try:
            await asyncio.wait(actions, timeout=FINISH_SECONDS)
            self._ended = time.monotonic()
            for task in self._tasks:
                task.cancel()
            ended = await asyncio.gather(*actions, *polls, return_exceptions=True)
            if error is None:
                _raise_first(ended)
                self._seen = len(self._outcomes)
                self.verification = await self._verify()
        finally:
            self._close()

    def pace(self, rate: float) -> None:
        """Sets the actions in a second of all users together, from now on."""
        self._rate = rate

    def running_since(self) -> float:
        """Returns when the oldest running request began, in seconds of the monotonic clock; now if none runs."""
        now = time.monotonic()
        return min((began for user in self._users for began in tuple(user.running)), default=now)

    def report(self, since: float | None = None, until: float | None = None) -> Report:
        """Returns the requests that began in a time, by default from the beginning to the end or until now.

        Args:
            since: in seconds of the monotonic clock.
            until: the same.
        """
        begin = self._started if since is None else since
        end = until or self._ended or time.monotonic()
        kept = [outcome for outcome in tuple(self._outcomes) if begin <= outcome.started < end]
        transports = [user.transport for user in self._users]
        return Report(
            outcomes=[outcome for outcome in kept if outcome.kind not in ("history", "fresh_sync")],
            seconds=end - begin,
            races=sum(transport.races for transport in transports),
            moves=sum(transport.moves for transport in transports),
            deliveries=[
                user.arrivals[message.event_id] - message.started
                for message in tuple(self._acknowledged.values())
                if begin <= message.started < end
                for user in self._users
                if message.event_id in user.arrivals
            ],
        )

    @property
    def messages(self) -> list[Message]:
        """The acknowledged messages."""
        return list(self._acknowledged.values())

    # Before.

    async def _prepare(self) -> None:
        for user in self._users:
            await self._register(user)
        for number, creator in enumerate(self._users):
            others = [self._users[(number + step) % len(self._users)] for step in range(1, ROOM_MEMBERS)]
            settings = {"preset": "public_chat", "name": f"Load {number}"}
            room = (await creator.need("create_room", "POST", f"{CLIENT}/createRoom", settings))["room_id"]
            for other in others:
                await other.need("join", "POST", f"{CLIENT}/join/{encoded(room)}", {})
            for member in (creator, *others):
                member.rooms.append(room)
                member.peers += [other.user_id for other in (creator, *others) if other is not member]
        for user in self._users:
            await user.sync(0)

    async def _register(self, user: User) -> None:
        if self._secret is None:
            body: dict[str, Any] = {"username": user.name, "password": user.password, "auth": {"type": "m.login.dummy"}}
            user.be(await user.need("register", "POST", f"{CLIENT}/register", body))
            return
        nonce = (await user.need("register", "GET", _ADMIN_REGISTER))["nonce"]
        said = "\0".join((nonce, user.name, user.password, "notadmin")).encode()
        mac = hmac.new(self._secret.encode(), said, hashlib.sha1).hexdigest()
        body = {"nonce": nonce, "username": user.name, "password": user.password, "mac": mac}
        user.be(await user.need("register", "POST", _ADMIN_REGISTER, body))

    # Meanwhile.

    async def _act(self, user: User) -> None:
        choice = random.Random(self._choice.random())  # noqa: S311  no secret comes from it
        while not self._stopping.is_set():
            await asyncio.sleep(choice.expovariate(self._rate / len(self._users)))
            if not self._stopping.is_set():
                await user.act(choice)

    # Afterwards.

    async def _verify(self) -> Verification:
        for user in self._users:
            await user.sync(0)
        rooms = {room: user for user in self._users for room in user.rooms}
        missing: list[Message] = []
        doubled: list[str] = []
        unseen: list[str] = []
        newest: dict[str, list[str]] = {}
        for room, reader in rooms.items():
            history = await reader.history(room)
            events = [event["event_id"] for event in history]
            texts = [event["content"]["body"] for event in history]
            missing += (m for m in self._acknowledged.values() if m.room == room and m.event_id not in set(events))
            doubled += _repeated(events) + _repeated(texts)
            newest[room] = [event for event in events if event in self._acknowledged][:LAST_MESSAGES]
        for user in self._users:
            shown = await user.fresh_timelines()
            for room in user.rooms:
                unseen += (f"{user.user_id} {event}" for event in newest[room] if event not in shown.get(room, ()))
        return Verification(
            acknowledged=len(self._acknowledged),
            missing=missing,
            unseen=unseen,
            doubled=doubled,
            undelivered=[
                f"{user.user_id} {message.event_id}"
                for user in self._users
                for message in self._acknowledged.values()
                if message.room in set(user.rooms) - user.skipped and message.event_id not in user.arrivals
            ],
            delivered_twice=[f"{user.user_id} {event}" for user in self._users for event in user.repeated],
        )

    def _close(self) -> None:
        for user in self._users:
            user.transport.close()


def _repeated(items: Iterable[str]) -> list[str]:
    return [item for item, count in Counter(items).items() if count > 1]


def _raise_first(ended: Iterable[BaseException | None]) -> None:
    for problem in ended:
        if problem is not None and not isinstance(problem, asyncio.CancelledError):
            raise problem


class RunningLoad:
    """A load in a thread of its own, for programs that are not asynchronous.

    Attributes:
        load: the load.
    """

    def __init__(self, urls: Sequence[str], options: dict[str, Any]) -> None:
        self._urls, self._options = urls, options
        self._ready, self._end = threading.Event(), threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)
        self.load: Load

    def start(self) -> None:
        """Returns when the users have begun."""
        self._thread.start()
        self._ready.wait()
        self._raise()

    def stop(self) -> None:
        """Returns when the users have ended and what they were promised is checked; may be called again."""
        self._end.set()
        self._thread.join()
        self._raise()

    def running_since(self) -> float:
        """Returns when the oldest running request began; see ``Load.running_since``."""
        return self.load.running_since()

    def report(self, since: float | None = None, until: float | None = None) -> Report:
        """Returns the requests of a time; see ``Load.report``."""
        return self.load.report(since, until)

    @property
    def verification(self) -> Verification:
        """What became of the acknowledged messages, once the load has stopped."""
        return self.load.verification

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:
            # It is raised where the load was started or stopped.
            self._error = error
        finally:
            self._ready.set()

    async def _main(self) -> None:
        async with Load(self._urls, **self._options) as self.load:
            self._ready.set()
            await asyncio.to_thread(self._end.wait)

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error


@contextmanager
def load_running(urls: Sequence[str], **options: Any) -> Iterator[RunningLoad]:
    """Runs a load meanwhile; afterwards its ``report()`` and its ``verification`` are there.

    Args:
        urls: ``https://ADDRESS[:PORT]`` of each edge.
        options: further arguments of ``Load``.

    Raises:
        RefusedError: the server does not let the load in.
    """
    running = RunningLoad(urls, options)
    running.start()
    try:
        yield running
    finally:
        running.stop()
