# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests and events of another server are signed so that a homeserver accepts them."""

from __future__ import annotations

import base64
import re

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tools.proof.signing import Server, canonical, event_id, redacted

MEMBER = {
    "type": "m.room.member",
    "room_id": "!room:example.org",
    "sender": "@peer:peer.example",
    "state_key": "@peer:peer.example",
    "content": {"membership": "join", "displayname": "Peer"},
    "depth": 3,
    "prev_events": [],
    "auth_events": [],
}


def verify(server: Server, signature: str, signed: bytes) -> None:
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(server.public_key + "="))
    key.verify(base64.b64decode(signature + "=="), signed)


def test_the_header_signs_method_target_both_servers_and_the_body() -> None:
    server = Server("peer.example")
    header = server.authorization("PUT", "/_matrix/federation/v1/send/1", "example.org", {"a": 1})
    found = dict(re.findall(r'(\w+)="([^"]*)"', header))
    signed = {
        "method": "PUT",
        "uri": "/_matrix/federation/v1/send/1",
        "origin": "peer.example",
        "destination": "example.org",
        "content": {"a": 1},
    }
    verify(server, found["sig"], canonical(signed))
    assert found["key"] == server.key_id


def test_an_event_is_signed_as_redaction_leaves_it() -> None:
    server = Server("peer.example")
    event = server.event(MEMBER)
    bare = {name: value for name, value in redacted(event).items() if name != "signatures"}
    assert bare["content"] == {"membership": "join"}
    verify(server, event["signatures"]["peer.example"][server.key_id], canonical(bare))


def test_the_id_of_an_event_is_that_of_what_redaction_leaves() -> None:
    event = Server("peer.example").event(MEMBER)
    assert re.fullmatch(r"\$[A-Za-z0-9_-]{43}", event_id(event))
    assert event_id({**event, "content": {"membership": "join"}}) == event_id(event)
    assert event_id({**event, "content": {"membership": "leave"}}) != event_id(event)


def test_the_published_key_is_signed_by_itself() -> None:
    server = Server("peer.example")
    keys = server.keys()
    bare = {name: value for name, value in keys.items() if name != "signatures"}
    verify(server, keys["signatures"]["peer.example"][server.key_id], canonical(bare))


def test_canonical_json_is_sorted_and_has_no_spaces() -> None:
    assert canonical({"b": [1, "ä"], "a": None}) == '{"a":null,"b":[1,"ä"]}'.encode()
