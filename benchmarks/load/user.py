# SPDX-License-Identifier: GPL-3.0-or-later
"""One user of the load: an account, its client, its actions, and the results of its syncs."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from .report import Message, Outcome
from .transport import RequestError, Transport

CLIENT = "/_matrix/client/v3"
TIMEOUT_SECONDS = 30.0
"""How long a client waits for an answer; for a long poll, so long beyond its own time."""

SYNC_PAUSE_SECONDS = 0.2
"""What a client needs for the answer of a sync before it asks for the next one."""

# All messages of a busy moment fit into one sync, so that none has to be looked for in the history.
_FILTER = quote(json.dumps({"room": {"timeline": {"limit": 100}}}))
_MEDIA_BYTES = 2048
_HISTORY = 30


class RefusedError(Exception):
    """The server did not do what the load needs; its text says what, without anything secret."""


def encoded(text: str) -> str:
    """Returns an ID as a part of a path."""
    return quote(text, safe="")


@dataclass(eq=False)
class User:
    """A user with one client.

    Attributes:
        name: the local part.
        password: of the account.
        transport: its connections.
        outcomes: where the outcome of each request goes.
        poll_seconds: how long a sync waits for news.
        acknowledged: where its acknowledged messages go, by event.
        rooms: what it has joined.
        peers: user IDs that share a room with it.
        arrivals: when a message was in one of its syncs, by event.
        repeated: events that were in two of its syncs.
        skipped: rooms of which a sync left something out (``limited``).
        running: when each of its requests that have not ended began, in seconds of the monotonic clock.
    """

    name: str
    password: str = field(repr=False)
    transport: Transport
    outcomes: list[Outcome]
    poll_seconds: float
    acknowledged: dict[str, Message]
    rooms: list[str] = field(default_factory=list)
    peers: list[str] = field(default_factory=list)
    arrivals: dict[str, float] = field(default_factory=dict)
    repeated: list[str] = field(default_factory=list)
    skipped: set[str] = field(default_factory=set)
    running: list[float] = field(default_factory=list)
    user_id: str = ""
    _token: str = field(default="", repr=False)
    _since: str = ""
    _failures: int = 0
    _again: Callable[[User, random.Random], Awaitable[None]] | None = None
    _last_seen: dict[str, str] = field(default_factory=dict)
    _media: list[str] = field(default_factory=list)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(time.time_ns()))

    async def call(
        self,
        kind: str,
        method: str,
        target: str,
        body: object = None,
        *,
        token: str | None = None,
        raw: bytes | None = None,
        timeout: float = TIMEOUT_SECONDS,
    ) -> bytes | None:
        """Sends a request and notes its outcome; returns the answer's body, or None if it is no success."""
        headers = [("Content-Type", "application/json" if raw is None else "application/octet-stream")]
        if bearer := self._token if token is None else token:
            headers.append(("Authorization", f"Bearer {bearer}"))
        content = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        started = time.monotonic()
        self.running.append(started)
        try:
            status, reason, answer = await self._exchange(
                method, target, headers=headers, body=content, timeout=timeout
            )
            outcome = Outcome(kind, started, time.monotonic() - started, status, reason)
            # In this order: what does not run any more has an outcome.
            self.outcomes.append(outcome)
        finally:
            self.running.remove(started)
        if outcome.bad and kind != "sync":
            self._failures += 1
        return answer

    async def _exchange(self, method: str, target: str, **options: Any) -> tuple[int, str, bytes | None]:
        """Returns the status (0 without a whole answer), what was wrong, and the body of a success."""
        try:
            whole = await self.transport.request(method, target, **options)
        except RequestError as error:
            return 0, str(error), None
        if whole.status < 400:
            return whole.status, "", whole.body
        return whole.status, f"{whole.status} {_errcode(whole.body)}".strip(), None

    async def need(self, kind: str, method: str, target: str, body: object = None, **options: Any) -> dict[str, Any]:
        """Sends a request that has to succeed, and returns its JSON.

        Raises:
            RefusedError: it did not.
        """
        answer = await self.call(kind, method, target, body, **options)
        if answer is None:
            raise RefusedError(f"{method} {target.partition('?')[0]} of {self.name}: {self.outcomes[-1].reason}")
        return dict(json.loads(answer))

    # What it needs before the load.

    def be(self, answer: dict[str, Any]) -> None:
        """Takes over the account of a registration or a login."""
        self.user_id, self._token = answer["user_id"], answer["access_token"]

    def login_body(self) -> dict[str, Any]:
        """Returns what a login with the password sends."""
        identifier = {"type": "m.id.user", "user": self.name}
        return {"type": "m.login.password", "identifier": identifier, "password": self.password}

    async def sync(self, wait: float) -> bool:
        """Syncs, waiting up to some seconds; returns whether it was answered."""
        target = f"{CLIENT}/sync?timeout={int(wait * 1000)}&filter={_FILTER}"
        if self._since:
            target += f"&since={encoded(self._since)}"
        answer = await self.call("sync", "GET", target, timeout=wait + TIMEOUT_SECONDS)
        if answer is None:
            return False
        first, now = not self._since, time.monotonic()
        news = json.loads(answer)
        self._since = news["next_batch"]
        for room, joined in news.get("rooms", {}).get("join", {}).items():
            timeline = joined["timeline"]
            if timeline.get("limited") and not first:
                self.skipped.add(room)
            for event in timeline["events"]:
                self._receive(room, event, now)
        return True

    def _receive(self, room: str, event: dict[str, Any], now: float) -> None:
        if event["type"] != "m.room.message":
            return
        event_id = event["event_id"]
        if event_id in self.arrivals:
            self.repeated.append(event_id)
        self.arrivals.setdefault(event_id, now)
        self._last_seen[room] = event_id

    # What it does.

    async def poll_for_ever(self) -> None:
        """Syncs, again and again."""
        while True:
            answered = await self.sync(self.poll_seconds)
            await asyncio.sleep(SYNC_PAUSE_SECONDS if answered else 1.0)

    async def act(self, choice: random.Random) -> None:
        """Does one thing, by the shares of ``ACTIONS``; after a failure the same as before, with a new request."""
        action, failures = self._again, self._failures
        if action is None:
            actions, shares = zip(*ACTIONS, strict=True)
            (action,) = choice.choices(actions, shares)
        await action(self, choice)
        self._again = action if self._failures > failures else None

    async def send(self, choice: random.Random) -> None:
        """Sends a message, and notes it if it was acknowledged."""
        room, number = choice.choice(self.rooms), next(self._numbers)
        target = f"{CLIENT}/rooms/{encoded(room)}/send/m.room.message/{number}"
        started = time.monotonic()
        answer = await self.call("send", "PUT", target, {"msgtype": "m.text", "body": f"{self.name} {number}"})
        if answer is not None:
            event_id = json.loads(answer)["event_id"]
            self.acknowledged[event_id] = Message(event_id, room, started, time.monotonic())

    async def receipt(self, choice: random.Random) -> None:
        """Sends a read receipt."""
        room = choice.choice(self.rooms)
        if event_id := self._last_seen.get(room):
            target = f"{CLIENT}/rooms/{encoded(room)}/receipt/m.read/{encoded(event_id)}"
            await self.call("receipt", "POST", target, {})

    async def typing(self, choice: random.Random) -> None:
        """Sends a typing notification."""
        target = f"{CLIENT}/rooms/{encoded(choice.choice(self.rooms))}/typing/{encoded(self.user_id)}"
        await self.call("typing", "PUT", target, {"typing": choice.random() < 0.5, "timeout": 5000})

    async def messages(self, choice: random.Random) -> None:
        """Scrolls back."""
        room = encoded(choice.choice(self.rooms))
        await self.call("messages", "GET", f"{CLIENT}/rooms/{room}/messages?dir=b&limit={_HISTORY}")

    async def state(self, choice: random.Random) -> None:
        """Reads a room's state."""
        await self.call("state", "GET", f"{CLIENT}/rooms/{encoded(choice.choice(self.rooms))}/state")

    async def members(self, choice: random.Random) -> None:
        """Reads the members of a room."""
        await self.call("members", "GET", f"{CLIENT}/rooms/{encoded(choice.choice(self.rooms))}/joined_members")

    async def joined_rooms(self, choice: random.Random) -> None:  # noqa: ARG002  an action like the others
        """Reads its list of rooms."""
        await self.call("joined_rooms", "GET", f"{CLIENT}/joined_rooms")

    async def profile(self, choice: random.Random) -> None:
        """Reads the profile of a user."""
        await self.call("profile", "GET", f"{CLIENT}/profile/{encoded(choice.choice(self.peers))}")

    async def keys_query(self, choice: random.Random) -> None:
        """Requests the devices of a user."""
        await self.call("keys_query", "POST", f"{CLIENT}/keys/query", {"device_keys": {choice.choice(self.peers): []}})

    async def account_data(self, choice: random.Random) -> None:
        """Writes or reads data of its own; nothing is there before the first write."""
        target = f"{CLIENT}/user/{encoded(self.user_id)}/account_data/org.example.load"
        if choice.random() < 0.5 and "account_data" in self._last_seen:
            await self.call("account_data_read", "GET", target)
        elif await self.call("account_data", "PUT", target, {"value": choice.random()}) is not None:
            self._last_seen["account_data"] = "written"

    async def upload(self, choice: random.Random) -> None:
        """Uploads a small file."""
        content = choice.randbytes(_MEDIA_BYTES)
        answer = await self.call("upload", "POST", "/_matrix/media/v3/upload?filename=load", raw=content)
        if answer is not None:
            self._media.append(json.loads(answer)["content_uri"].removeprefix("mxc://"))

    async def download(self, choice: random.Random) -> None:
        """Downloads one of its files."""
        if self._media:
            await self.call("download", "GET", f"/_matrix/client/v1/media/download/{choice.choice(self._media)}")

    async def login(self, choice: random.Random) -> None:  # noqa: ARG002  an action like the others
        """Logs a second device in, and out again."""
        answer = await self.call("login", "POST", f"{CLIENT}/login", self.login_body(), token="")
        if answer is not None:
            await self.call("logout", "POST", f"{CLIENT}/logout", {}, token=json.loads(answer)["access_token"])

    # What it finds afterwards.

    async def history(self, room: str) -> list[dict[str, Any]]:
        """Returns all messages of a room, the newest first."""
        found: list[dict[str, Any]] = []
        start = ""
        while True:
            target = f"{CLIENT}/rooms/{encoded(room)}/messages?dir=b&limit=200{start}"
            page = await self.need("history", "GET", target)
            found += (event for event in page["chunk"] if event["type"] == "m.room.message")
            if not page.get("end"):
                return found
            start = f"&from={encoded(page['end'])}"

    async def fresh_timelines(self) -> dict[str, list[str]]:
        """Returns the events that a first sync shows, by room."""
        # Synapse keeps answers of syncs for two minutes; with another timeout, it is another sync than the first one.
        news = await self.need("fresh_sync", "GET", f"{CLIENT}/sync?timeout=1&filter={_FILTER}")
        joined = news.get("rooms", {}).get("join", {})
        return {room: [event["event_id"] for event in joined[room]["timeline"]["events"]] for room in joined}


def new_password() -> str:
    """Returns a random password."""
    return secrets.token_urlsafe(16)


def _errcode(body: bytes) -> str:
    try:
        return str(json.loads(body).get("errcode", ""))
    except (ValueError, AttributeError):
        return ""


ACTIONS: Sequence[tuple[Callable[[User, random.Random], Awaitable[None]], int]] = (
    (User.send, 30),
    (User.receipt, 10),
    (User.typing, 10),
    (User.messages, 8),
    (User.state, 6),
    (User.members, 5),
    (User.joined_rooms, 5),
    (User.profile, 6),
    (User.keys_query, 5),
    (User.account_data, 8),
    (User.upload, 3),
    (User.download, 4),
    (User.login, 1),
)
"""What a user does, and how often out of a hundred."""
