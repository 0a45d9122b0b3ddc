# SPDX-License-Identifier: GPL-3.0-or-later
"""Signed requests of another server, and the keys of servers."""

from __future__ import annotations

from typing import Any

from tools.matrix import encoded
from tools.proof.cases.case import Case
from tools.proof.cases.keys import claim, claim_several, uploaded
from tools.proof.signing import ROOM_VERSION, Signer, event_id
from tools.proof.world import C, Exchange, F, word

F1, F2 = f"{F}/v1", f"{F}/v2"
ROOM = "{peer_room}"
WHO = "peer"


def _new_peer_user(exchange: Exchange) -> str:
    return str(exchange.names.setdefault("new_peer_user", f"@{word()}:{exchange.world.peer.name}"))


def _member(exchange: Exchange, room: str, membership: str) -> None:
    """Builds the event that is sent later; its ID is part of the path."""
    event = exchange.world.peer_member(room, _new_peer_user(exchange), membership)
    exchange.kept = event
    exchange.names["new_event"] = event_id(event)


def _joining(exchange: Exchange) -> None:
    _member(exchange, exchange.world.once("peer_room"), "join")


def _leaving(exchange: Exchange) -> None:
    room = exchange.world.once("peer_room")
    exchange.world.peer_joins(room, _new_peer_user(exchange))
    _member(exchange, room, "leave")


def _joined(exchange: Exchange) -> None:
    exchange.world.peer_joins(exchange.world.once("peer_room"), _new_peer_user(exchange))


def _knockable(exchange: Exchange) -> None:
    room, alice = encoded(exchange.get("new_room")), exchange.world.once("alice")
    path = f"{C}/rooms/{room}/state/m.room.join_rules/"
    exchange.world.call("PUT", path, {"join_rule": "knock"}, user=alice)
    _new_peer_user(exchange)


def _knocking(exchange: Exchange) -> None:
    _knockable(exchange)
    _member(exchange, exchange.get("new_room"), "knock")


def _kept(exchange: Exchange) -> Any:
    return exchange.kept


def _transaction(exchange: Exchange) -> dict[str, Any]:
    """Returns a transaction with an event and with each kind of short-lived data."""
    user, room = _new_peer_user(exchange), exchange.world.once("peer_room")
    peer, event = exchange.world.peer, exchange.world.once("peer_event")
    edus = {
        "m.typing": {"room_id": room, "user_id": user, "typing": True},
        "m.receipt": {room: {"m.read": {user: {"data": {"ts": 1}, "event_ids": [event]}}}},
        "m.presence": {"push": [{"user_id": user, "presence": "online", "last_active_ago": 1}]},
        "m.device_list_update": {"user_id": user, "device_id": "PROOF", "stream_id": 1, "prev_id": [], "deleted": True},
        "m.direct_to_device": {
            "sender": user,
            "type": "org.proof",
            "message_id": word(),
            "messages": {exchange.world.once("alice").user_id: {"*": {"a": 1}}},
        },
    }
    return {
        "origin": peer.name,
        "origin_server_ts": exchange.kept["origin_server_ts"],
        "pdus": [exchange.kept],
        "edus": [{"edu_type": kind, "content": content} for kind, content in edus.items()],
    }


def _invitation(exchange: Exchange, *, named: bool) -> dict[str, Any]:
    """Returns an invitation to a room of the other server; in old rooms an event has its ID in it."""
    peer = exchange.world.peer
    fields: dict[str, Any] = {
        "type": "m.room.member",
        "room_id": f"!{word()}:{peer.name}",
        "sender": exchange.world.once("peer_user"),
        "state_key": exchange.get("new_user_id"),
        "content": {"membership": "invite"},
        "depth": 3,
        "prev_events": [],
        "auth_events": [],
    }
    if named:
        fields["event_id"] = f"${word()}:{peer.name}"
    event = peer.event(fields)
    exchange.names |= {"new_room": event["room_id"], "new_event": event.get("event_id") or event_id(event)}
    exchange.kept = event
    return event


def _old_invitation(exchange: Exchange) -> None:
    _invitation(exchange, named=True)


def _new_invitation(exchange: Exchange) -> None:
    event = _invitation(exchange, named=False)
    exchange.kept = {"room_version": ROOM_VERSION, "event": event, "invite_room_state": []}


def _third_party(exchange: Exchange) -> None:
    """The new room has an invitation for the owner of an address, who turns out to be the new user."""
    signer, token = Signer("identity.example.com"), exchange.get("new")
    alice, room = exchange.world.once("alice"), exchange.get("new_room")
    path = f"{C}/rooms/{encoded(room)}/state/m.room.third_party_invite/{token}"
    content = {
        "display_name": "proof",
        "public_keys": [{"public_key": signer.public_key}],
        "public_key": signer.public_key,
        "key_validity_url": "https://identity.example.com/",
    }
    exchange.world.call("PUT", path, content, user=alice)
    exchange.kept = signer.sign({"mxid": exchange.get("new_user_id"), "token": token, "sender": alice.user_id})


def _exchange(exchange: Exchange) -> dict[str, Any]:
    invite = {"display_name": "proof", "signed": exchange.kept}
    return {
        "type": "m.room.member",
        "room_id": exchange.get("new_room"),
        "sender": exchange.world.once("alice").user_id,
        "state_key": exchange.get("new_user_id"),
        "content": {"membership": "invite", "third_party_invite": invite},
    }


def _bound(exchange: Exchange) -> dict[str, Any]:
    invite = {
        "sender": exchange.world.once("alice").user_id,
        "mxid": exchange.get("new_user_id"),
        "room_id": exchange.get("new_room"),
        "signed": exchange.kept,
    }
    return {"medium": "email", "address": "x@example.org", "mxid": exchange.get("new_user_id"), "invites": [invite]}


def _openid(exchange: Exchange) -> None:
    user = exchange.get("new_user")
    path = f"{C}/user/{encoded(user.user_id)}/openid/request_token"
    exchange.names["new_openid"] = exchange.world.call("POST", path, {}, user=user)["access_token"]


EVENT = ("hashes", "signatures", "auth_events", "prev_events", "depth", "origin_server_ts", "replaces_state")
TEMPLATE = ("origin_server_ts", "prev_events", "depth")
AS_MEMBER = (*TEMPLATE, "auth_events")
AFTER_JOIN = (*EVENT, "state", "auth_chain", "event")
PATH = f"{ROOM}/{{new_event}}"
VER = f"ver={ROOM_VERSION}"

CASES = (
    Case("GET", f"{F1}/version", who="nobody"),
    Case("GET", f"{F1}/event/{{peer_event}}", who=WHO, volatile=("origin_server_ts",)),
    Case("GET", f"{F1}/state/{ROOM}?event_id={{peer_event}}", who=WHO),
    Case("GET", f"{F1}/state_ids/{ROOM}?event_id={{peer_event}}", who=WHO),
    Case("GET", f"{F1}/backfill/{ROOM}?v={{peer_event}}&limit=3", who=WHO, volatile=("origin_server_ts",)),
    Case("GET", f"{F1}/event_auth/{ROOM}/{{peer_event}}", who=WHO),
    Case("GET", f"{F1}/timestamp_to_event/{ROOM}?ts=0&dir=f", who=WHO),
    Case(
        "POST",
        f"{F1}/get_missing_events/{ROOM}",
        {"earliest_events": [], "latest_events": ["{peer_event}"], "limit": 3},
        who=WHO,
    ),
    Case("GET", f"{F1}/hierarchy/{ROOM}", who=WHO),
    Case("GET", f"{F1}/publicRooms?limit=3", who=WHO),
    Case("POST", f"{F1}/publicRooms", {"limit": 3, "filter": {"generic_search_term": "proof"}}, who=WHO),
    Case("GET", f"{F1}/query/directory?room_alias={{alias}}", who=WHO),
    Case("GET", f"{F1}/query/profile?user_id={{user}}", who=WHO),
    Case("GET", f"{F1}/user/devices/{{bob_id}}", who=WHO),
    Case(
        "POST",
        f"{F1}/user/keys/query",
        {"device_keys": {"{new_user_id}": []}},
        who=WHO,
        before=uploaded,
        volatile=("device_keys",),
    ),
    Case("POST", f"{F1}/user/keys/claim", build=claim, who=WHO, before=uploaded),
    Case("POST", f"{F}/unstable/user/keys/claim", build=claim_several, who=WHO, before=uploaded),
    Case("GET", f"{F}/unstable/rooms/{ROOM}/complexity", who=WHO),
    Case("GET", f"{F}/unstable/org.matrix.msc4370/extremities/{ROOM}", who=WHO),
    # A fault of Synapse's, in every process: its handler wants a room, which the path has not got.
    Case(
        "POST",
        f"{F}/unstable/org.matrix.msc3720/query/account_status",
        {"user_ids": ["{user}"]},
        who=WHO,
        status=500,
    ),
    Case("GET", f"{F1}/openid/userinfo?access_token={{new_openid}}", who="nobody", before=_openid),
    Case("GET", f"{F1}/media/download/{{media}}", who=WHO, volatile=("body",)),
    Case("GET", f"{F1}/media/thumbnail/{{picture}}?width=32&height=32&method=scale", who=WHO, volatile=("body",)),
    # Members.
    Case("GET", f"{F1}/make_join/{ROOM}/{{new_peer_user}}?{VER}", who=WHO, before=_new_peer_user, volatile=TEMPLATE),
    Case("PUT", f"{F1}/send_join/{PATH}", build=_kept, who=WHO, before=_joining, volatile=AFTER_JOIN),
    Case("PUT", f"{F2}/send_join/{PATH}", build=_kept, who=WHO, before=_joining, volatile=AFTER_JOIN),
    Case("GET", f"{F1}/make_leave/{ROOM}/{{new_peer_user}}", who=WHO, before=_joined, volatile=AS_MEMBER),
    Case("PUT", f"{F1}/send_leave/{PATH}", build=_kept, who=WHO, before=_leaving),
    Case("PUT", f"{F2}/send_leave/{PATH}", build=_kept, who=WHO, before=_leaving),
    Case(
        "GET",
        f"{F1}/make_knock/{{new_room}}/{{new_peer_user}}?{VER}",
        who=WHO,
        before=_knockable,
        volatile=AS_MEMBER,
    ),
    Case("PUT", f"{F1}/send_knock/{{new_room}}/{{new_event}}", build=_kept, who=WHO, before=_knocking, volatile=EVENT),
    Case(
        "PUT", f"{F1}/invite/{{new_room}}/{{new_event}}", build=_kept, who=WHO, before=_old_invitation, volatile=EVENT
    ),
    Case(
        "PUT", f"{F2}/invite/{{new_room}}/{{new_event}}", build=_kept, who=WHO, before=_new_invitation, volatile=EVENT
    ),
    Case("PUT", f"{F1}/exchange_third_party_invite/{{new_room}}", build=_exchange, who=WHO, before=_third_party),
    Case("POST", f"{F1}/3pid/onbind", build=_bound, who="nobody", before=_third_party),
    # Transactions.
    Case("PUT", f"{F1}/send/{{new}}", build=_transaction, who=WHO, before=_leaving),
    # Keys of servers.
    Case("GET", "/_matrix/key/v2/server", who="nobody", volatile=("valid_until_ts", "signatures")),
    Case("GET", "/_matrix/key/v2/query/{peer}", who="nobody", before=lambda exchange: exchange.get("peer_key")),
    Case(
        "POST",
        "/_matrix/key/v2/query",
        {"server_keys": {"{peer}": {}}},
        who="nobody",
        before=lambda exchange: exchange.get("peer_key"),
    ),
)
