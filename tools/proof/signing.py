# SPDX-License-Identifier: GPL-3.0-or-later
"""A server of the federation as others see it: its key, its signed requests, its events (room version 10)."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ROOM_VERSION = "10"
"""The version of rooms whose events are built here: how an event is redacted depends on it."""

_KEPT = (
    *("event_id", "type", "room_id", "sender", "state_key", "content", "hashes", "signatures", "depth", "prev_events"),
    *("prev_state", "auth_events", "origin", "origin_server_ts", "membership"),
)
_KEPT_CONTENT = {"m.room.member": ("membership", "join_authorised_via_users_server")}
_DAY = 86_400_000


class Signer:
    """A name with a key.

    Attributes:
        name: what signs: a server, or a user.
        key_id: the name of its key.
    """

    def __init__(self, name: str, key_id: str = "ed25519:proof") -> None:
        self.name = name
        self.key_id = key_id
        self._key = Ed25519PrivateKey.generate()

    @property
    def public_key(self) -> str:
        """The public key in unpadded base64."""
        return _base64(self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))

    def sign(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the object with a signature."""
        bare = {name: value for name, value in document.items() if name not in ("signatures", "unsigned")}
        signature = _base64(self._key.sign(canonical(bare)))
        theirs = {name: dict(found) for name, found in document.get("signatures", {}).items()}
        theirs.setdefault(self.name, {})[self.key_id] = signature
        return {**document, "signatures": theirs}


class Server(Signer):
    """Another homeserver, which exists only in what it signs."""

    def keys(self) -> dict[str, Any]:
        """Returns the signed description of its key, as it would publish it."""
        return self.sign(
            {
                "server_name": self.name,
                "valid_until_ts": _now() + _DAY,
                "verify_keys": {self.key_id: {"key": self.public_key}},
                "old_verify_keys": {},
            }
        )

    def authorization(self, method: str, target: str, destination: str, body: object = None) -> str:
        """Returns the header with which it signs a request."""
        request: dict[str, Any] = {
            "method": method,
            "uri": target,
            "origin": self.name,
            "destination": destination,
            **({} if body is None else {"content": body}),
        }
        signature = self.sign(request)["signatures"][self.name][self.key_id]
        return f'X-Matrix origin="{self.name}",destination="{destination}",key="{self.key_id}",sig="{signature}"'

    def event(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Returns an event of its own with hash and signature."""
        event = {**fields, "origin": self.name, "origin_server_ts": _now()}
        event.pop("unsigned", None)
        event["hashes"] = {"sha256": _base64(hashlib.sha256(canonical(event)).digest())}
        return {**event, "signatures": self.sign(redacted(event))["signatures"]}


def event_id(event: Mapping[str, Any]) -> str:
    """Returns the ID of an event: the hash of what redaction leaves of it."""
    bare = {name: value for name, value in redacted(event).items() if name != "signatures"}
    digest = hashlib.sha256(canonical(bare)).digest()
    return "$" + base64.urlsafe_b64encode(digest).decode().rstrip("=")


def redacted(event: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what a redaction leaves of an event; of the types that are built here, members alone keep content."""
    kept = {name: value for name, value in event.items() if name in _KEPT}
    names = _KEPT_CONTENT.get(event["type"], ())
    kept["content"] = {name: value for name, value in event["content"].items() if name in names}
    return kept


def canonical(value: object) -> bytes:
    """Returns the one way in which a value is written for a signature."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode().rstrip("=")


def _now() -> int:
    return int(time.time() * 1000)
