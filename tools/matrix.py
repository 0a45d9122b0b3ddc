# SPDX-License-Identifier: GPL-3.0-or-later
"""A small Matrix client for the demo and the live tests.

Tokens are sent in headers only, and appear in no representation and no error message.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import ssl
import time
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

CLIENT = "/_matrix/client/v3"
MEDIA = "/_matrix/client/v1/media"


class MatrixError(Exception):
    """The server refused a request."""

    def __init__(self, method: str, path: str, status: int, errcode: str, message: str) -> None:
        super().__init__(f"{method} {path.partition('?')[0]}: {status} {errcode} {message}".strip())
        self.status = status
        self.errcode = errcode


@dataclasses.dataclass(frozen=True, kw_only=True)
class Account:
    """A user of the server."""

    user_id: str
    device_id: str
    access_token: str = dataclasses.field(repr=False)


class Client:
    """One connection to a homeserver, with or without an account."""

    def __init__(
        self,
        base_url: str,
        *,
        verify: bool | ssl.SSLContext = True,
        http2: bool = True,
        timeout: float = 30.0,
        headers: dict[str, str] | None = None,
    ) -> None:
        self._http = httpx.Client(
            base_url=base_url, verify=verify, http2=http2, timeout=timeout, headers=headers, trust_env=False
        )
        self._transactions = itertools.count(time.time_ns())
        self.account: Account | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    @property
    def user_id(self) -> str:
        """The user that is logged in."""
        if self.account is None:
            raise RuntimeError("No user is logged in.")
        return self.account.user_id

    def request(
        self,
        method: str,
        raw_path: str,
        *,
        content: bytes | None = None,
        body: object = None,
        headers: dict[str, str] | None = None,
        timeout: float | None = None,
    ) -> httpx.Response:
        """Send a request whose path, with its query, reaches the server letter by letter as it is given here."""
        sent = dict(headers or {})
        if self.account is not None:
            sent.setdefault("Authorization", f"Bearer {self.account.access_token}")
        if body is not None:
            content = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        request = self._http.build_request(
            method,
            "/",
            content=content,
            headers=sent,
            timeout=httpx.USE_CLIENT_DEFAULT if timeout is None else timeout,
            # A path in the URL would be normalised: dots resolved, letters encoded again.
            extensions={"target": raw_path.encode("ascii")},
        )
        return self._http.send(request)

    def call(self, method: str, raw_path: str, body: object = None, *, timeout: float | None = None) -> dict[str, Any]:
        """Send JSON and return JSON; a refusal is an error."""
        return _checked(method, raw_path, self.request(method, raw_path, body=body, timeout=timeout))

    def register(self, username: str, password: str) -> Account:
        """Register at a server with open registration, and be logged in."""
        body = {"username": username, "password": password, "auth": {"type": "m.login.dummy"}}
        return self._log_in(self.call("POST", f"{CLIENT}/register", body))

    def login(self, username: str, password: str) -> Account:
        """Log in with a password."""
        identifier = {"type": "m.id.user", "user": username}
        body = {"type": "m.login.password", "identifier": identifier, "password": password}
        return self._log_in(self.call("POST", f"{CLIENT}/login", body))

    def _log_in(self, answer: dict[str, Any]) -> Account:
        self.account = Account(
            user_id=answer["user_id"], device_id=answer["device_id"], access_token=answer["access_token"]
        )
        return self.account

    def create_room(self, **settings: object) -> str:
        """Create a room and return its ID."""
        return str(self.call("POST", f"{CLIENT}/createRoom", settings)["room_id"])

    def join(self, room: str) -> str:
        """Join a room by ID or alias."""
        return str(self.call("POST", f"{CLIENT}/join/{encoded(room)}", {})["room_id"])

    def send(self, room: str, text: str) -> str:
        """Send a text message and return the event's ID."""
        path = f"{CLIENT}/rooms/{encoded(room)}/send/m.room.message/{next(self._transactions)}"
        return str(self.call("PUT", path, {"msgtype": "m.text", "body": text})["event_id"])

    def sync(self, since: str | None = None, *, wait: float = 0.0) -> dict[str, Any]:
        """Fetch what is new, waiting for it up to some seconds."""
        path = f"{CLIENT}/sync?timeout={int(wait * 1000)}"
        if since is not None:
            path += f"&since={encoded(since)}"
        return self.call("GET", path, timeout=wait + 30)

    def sync_until_event(self, room: str, event_id: str, *, patience: float = 15.0) -> dict[str, Any]:
        """Sync until an event of a joined room has arrived, and return the event."""
        deadline = time.monotonic() + patience
        since: str | None = None
        while time.monotonic() < deadline:
            answer = self.sync(since, wait=2.0 if since else 0.0)
            since = answer["next_batch"]
            joined = answer.get("rooms", {}).get("join", {}).get(room, {})
            for event in joined.get("timeline", {}).get("events", []):
                if event["event_id"] == event_id:
                    return dict(event)
        raise TimeoutError(f"Event {event_id} did not reach {self.user_id} within {patience:.0f} s.")

    def typing(self, room: str, *, typing: bool = True) -> None:
        """Start or stop typing."""
        path = f"{CLIENT}/rooms/{encoded(room)}/typing/{encoded(self.user_id)}"
        self.call("PUT", path, {"typing": typing, "timeout": 10_000} if typing else {"typing": False})

    def receipt(self, room: str, event_id: str) -> None:
        """Mark an event as read."""
        self.call("POST", f"{CLIENT}/rooms/{encoded(room)}/receipt/m.read/{encoded(event_id)}", {})

    def upload(self, content: bytes, content_type: str = "application/octet-stream") -> str:
        """Upload media and return its mxc:// address."""
        path = "/_matrix/media/v3/upload"
        response = self.request("POST", path, content=content, headers={"Content-Type": content_type}, timeout=120)
        return str(_checked("POST", path, response)["content_uri"])

    def download(self, mxc: str) -> bytes:
        """Download media."""
        server, _, media_id = mxc.removeprefix("mxc://").partition("/")
        path = f"{MEDIA}/download/{encoded(server)}/{encoded(media_id)}"
        response = self.request("GET", path, timeout=120)
        if response.is_error:
            _checked("GET", path, response)
        return response.content


def encoded(text: str) -> str:
    """An identifier as a part of a path."""
    return quote(text, safe="")


def _checked(method: str, path: str, response: httpx.Response) -> dict[str, Any]:
    try:
        answer = response.json()
    except ValueError:
        answer = {}
    if response.is_error or not isinstance(answer, dict):
        words = answer if isinstance(answer, dict) else {}
        raise MatrixError(method, path, response.status_code, words.get("errcode", ""), words.get("error", ""))
    return answer
