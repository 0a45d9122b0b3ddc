# SPDX-License-Identifier: GPL-3.0-or-later
"""Rooms, their events and their members."""

from __future__ import annotations

from tools.matrix import encoded
from tools.proof.cases.case import Case
from tools.proof.world import C, Exchange

R = f"{C}/rooms/{{room}}"
# Of a room that grows; the one that is read stays as it is.
N = f"{C}/rooms/{{busy_room}}"
V1 = "/_matrix/client/v1"
UNSTABLE = "/_matrix/client/unstable"
TEXT = {"msgtype": "m.text", "body": "proof"}
SENT = ("event_id",)


def _invited(exchange: Exchange) -> None:
    room, alice = encoded(exchange.get("busy_room")), exchange.world.once("alice")
    exchange.world.call("POST", f"{C}/rooms/{room}/invite", {"user_id": exchange.get("new_user_id")}, user=alice)


def _knockable(exchange: Exchange) -> None:
    room, alice = encoded(exchange.get("new_room")), exchange.world.once("alice")
    path = f"{C}/rooms/{room}/state/m.room.join_rules/"
    exchange.world.call("PUT", path, {"join_rule": "knock"}, user=alice)


def _inside(exchange: Exchange) -> None:
    exchange.world.join(exchange.get("busy_room"), exchange.get("new_user"))


def _banned(exchange: Exchange) -> None:
    room, alice = encoded(exchange.get("busy_room")), exchange.world.once("alice")
    exchange.world.call("POST", f"{C}/rooms/{room}/ban", {"user_id": exchange.get("new_user_id")}, user=alice)


def _alias(exchange: Exchange) -> None:
    path = f"{C}/directory/room/{encoded(exchange.get('new_alias'))}"
    exchange.world.call("PUT", path, {"room_id": exchange.world.once("room")}, user=exchange.world.once("alice"))


def _delayed(exchange: Exchange) -> None:
    path = f"{C}/rooms/{encoded(exchange.world.once('room'))}/send/m.room.message/{exchange.get('new')}"
    target = f"{path}?org.matrix.msc4140.delay=600000"
    answer = exchange.world.call("PUT", target, TEXT, user=exchange.world.once("alice"))
    exchange.names["new_delay"] = answer["delay_id"]


CREATED = ("room_id",)
NEW_MEMBER = {"user_id": "{new_user_id}"}

CASES = (
    Case("POST", f"{C}/createRoom", {"preset": "public_chat", "topic": "proof"}, volatile=CREATED),
    Case("PUT", f"{C}/createRoom/{{new}}", {"preset": "private_chat", "invite": ["{bob_id}"]}, volatile=CREATED),
    Case("GET", f"{C}/joined_rooms", who="new_user"),
    Case("GET", f"{C}/publicRooms?limit=5"),
    Case("POST", f"{C}/publicRooms", {"limit": 5, "filter": {"generic_search_term": "proof"}}),
    Case("GET", f"{C}/directory/room/{{alias}}"),
    Case("PUT", f"{C}/directory/room/{{new_alias}}", {"room_id": "{room}"}),
    Case("DELETE", f"{C}/directory/room/{{new_alias}}", before=_alias),
    Case("GET", f"{R}/aliases"),
    Case("GET", f"{UNSTABLE}/org.matrix.msc2432/rooms/{{room}}/aliases"),
    # Events.
    Case("GET", f"{R}/messages?dir=b&limit=5"),
    Case("GET", f"{R}/messages?dir=f&from={{since}}"),
    Case("GET", f"{R}/context/{{event}}?limit=3"),
    Case("GET", f"{R}/event/{{event}}"),
    Case("GET", f"{C}/events/{{event}}"),
    Case("GET", f"{R}/initialSync", volatile=("presence",)),
    Case("GET", f"{R}/members"),
    Case("GET", f"{R}/joined_members"),
    Case("GET", f"{R}/state"),
    Case("GET", f"{R}/state/m.room.create"),
    Case("GET", f"{R}/state/m.room.member/{{user}}"),
    Case("PUT", f"{N}/state/m.room.topic", {"topic": "proof"}, volatile=SENT),
    Case("PUT", f"{N}/state/org.example.proof/{{new}}", {"a": 1}, volatile=SENT),
    Case("POST", f"{N}/send/m.room.message", TEXT, volatile=SENT),
    Case("PUT", f"{N}/send/m.room.message/{{new}}", TEXT, volatile=SENT),
    Case("POST", f"{N}/redact/{{new_event}}", {"reason": "proof"}, volatile=SENT),
    Case("PUT", f"{N}/redact/{{new_event}}/{{new}}", {}, volatile=SENT),
    Case("GET", f"{V1}/rooms/{{room}}/relations/{{thread}}"),
    Case("GET", f"{V1}/rooms/{{room}}/relations/{{thread}}/m.thread/m.room.message?dir=b"),
    Case("GET", f"{V1}/rooms/{{room}}/threads"),
    Case("GET", f"{V1}/rooms/{{room}}/timestamp_to_event?ts=0&dir=f"),
    Case("GET", f"{V1}/rooms/{{room}}/hierarchy"),
    Case("GET", f"{V1}/room_summary/{{room}}"),
    Case("GET", f"{UNSTABLE}/im.nheko.summary/summary/{{alias}}"),
    Case("GET", f"{UNSTABLE}/im.nheko.summary/rooms/{{room}}/summary"),
    # Members.
    Case("POST", f"{C}/join/{{busy_room}}", {}, who="new_user"),
    Case("PUT", f"{C}/join/{{busy_room}}/{{new}}", {}, who="new_user"),
    Case("POST", f"{C}/join/{{alias}}", {}, who="new_user"),
    Case("POST", f"{C}/knock/{{new_room}}", {"reason": "proof"}, who="new_user", before=_knockable),
    Case("POST", f"{N}/join", {}, who="new_user", before=_invited),
    Case("POST", f"{N}/invite", NEW_MEMBER),
    Case("POST", f"{N}/leave", {}, who="new_user", before=_inside),
    Case("POST", f"{N}/leave", {}, who="new_user", before=_invited),
    Case("POST", f"{N}/kick", NEW_MEMBER, before=_inside),
    Case("POST", f"{N}/ban", NEW_MEMBER, before=_inside),
    Case("POST", f"{N}/unban", NEW_MEMBER, before=_banned),
    Case("PUT", f"{N}/invite/{{new}}", NEW_MEMBER),
    Case("PUT", f"{N}/join/{{new}}", {}, who="new_user"),
    # Delayed events.
    Case(
        "PUT",
        f"{N}/send/m.room.message/{{new}}?org.matrix.msc4140.delay=600000",
        TEXT,
        volatile=("delay_id",),
    ),
    Case("GET", f"{UNSTABLE}/org.matrix.msc4140/delayed_events", who="new_user"),
    Case(
        "GET",
        f"{UNSTABLE}/org.matrix.msc4140/delayed_events/{{new_delay}}",
        before=_delayed,
        volatile=("delayed_since_ts", "running_since"),
    ),
    Case("POST", f"{UNSTABLE}/org.matrix.msc4140/delayed_events/{{new_delay}}/restart", {}, before=_delayed),
    # Of streams.
    Case("PUT", f"{R}/typing/{{user}}", {"typing": True, "timeout": 1000}),
    Case("POST", f"{R}/receipt/m.read/{{event}}", {}),
    Case("POST", f"{R}/receipt/m.read.private/{{event}}", {"thread_id": "main"}),
    Case("POST", f"{R}/read_markers", {"m.fully_read": "{event}", "m.read": "{event}"}),
    # Threads.
    Case("PUT", f"{UNSTABLE}/io.element.msc4306/rooms/{{room}}/thread/{{thread}}/subscription", {}),
    Case("GET", f"{UNSTABLE}/io.element.msc4306/rooms/{{room}}/thread/{{thread}}/subscription"),
    Case("GET", f"{UNSTABLE}/io.element.msc4308/thread_subscriptions?dir=b"),
    Case("DELETE", f"{UNSTABLE}/io.element.msc4306/rooms/{{room}}/thread/{{thread}}/subscription"),
    # Application services.
    Case("GET", f"{UNSTABLE}/io.element.msc4502/rooms/{{room}}/is_joined?mxid={{user}}", who="appservice"),
)
