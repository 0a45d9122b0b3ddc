# SPDX-License-Identifier: GPL-3.0-or-later
"""A real request for each duty, through nginx over TLS, and the proof of which process served it.

Two witnesses have to agree: nginx's access log, and the journal of the process itself. What is expected comes from the
pools of the inventory, not from the routing table that is under test.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.support.deployment import OUTSIDE, Deployment, Served, holders
from tools.matrix import Client, encoded

C = "/_matrix/client/v3"
UNSTABLE = "/_matrix/client/unstable"
F = "/_matrix/federation/v1"
ADMIN = "/_synapse/admin"
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
MAIN = "main process"


@dataclass(frozen=True)
class Case:
    """One request.

    Attributes:
        duty: whose workers have to serve it; MAIN if no worker can.
        method: the method.
        path: the raw path and query; names in braces are filled in.
        statuses: what the right process may answer.
        body: the JSON that is sent.
        writer: every process but the writer of the duty's stream would answer 500.
        who: alice, the admin, or nobody.
    """

    duty: str
    method: str
    path: str
    statuses: tuple[int, ...] = (200,)
    body: Any = field(default=None, hash=False)
    writer: bool = False
    who: str = "alice"

    def __str__(self) -> str:
        return f"{self.duty}: {self.method} {self.path.partition('?')[0]}"


def _writer(duty: str, method: str, path: str, body: object = None, *statuses: int, who: str = "alice") -> Case:
    return Case(duty, method, path, statuses or (200,), body, writer=True, who=who)


def _case(duty: str, method: str, path: str, body: object = None, *statuses: int, who: str = "alice") -> Case:
    return Case(duty, method, path, statuses or (200,), body, who=who)


def _unsigned(duty: str, method: str, path: str, body: object = None) -> Case:
    """A federation request without a signature, which the right process refuses."""
    return Case(duty, method, path, (401,), body, who="nobody")


CASES = (
    _writer("typing", "PUT", f"{C}/rooms/{{room}}/typing/{{user}}", {"typing": True, "timeout": 1000}),
    _writer("to_device", "PUT", f"{C}/sendToDevice/m.test/{{new}}", {"messages": {}}),
    _writer("receipts", "POST", f"{C}/rooms/{{room}}/receipt/m.read/{{event}}", {}),
    _writer("receipts", "POST", f"{C}/rooms/{{room}}/read_markers", {}),
    _writer("push_rules", "PUT", f"{C}/pushrules/global/override/{{new}}", {"conditions": [], "actions": ["notify"]}),
    _writer("push_rules", "PUT", f"{C}/pushrules/global/override/{{rule}}/enabled", {"enabled": False}),
    _writer("push_rules", "DELETE", f"{C}/pushrules/global/override/{{rule}}"),
    _case("client_reader", "GET", f"{C}/pushrules/"),
    _case("client_reader", "GET", f"{C}/pushrules/global/override/.m.rule.master/enabled"),
    _writer(
        "thread_subscriptions",
        "PUT",
        f"{UNSTABLE}/io.element.msc4306/rooms/{{room}}/thread/{{event}}/subscription",
        {},
    ),
    _writer(
        "thread_subscriptions",
        "DELETE",
        f"{UNSTABLE}/io.element.msc4306/rooms/{{room}}/thread/{{event}}/subscription",
    ),
    _case(
        "client_reader",
        "GET",
        f"{UNSTABLE}/io.element.msc4306/rooms/{{room}}/thread/{{event}}/subscription",
        None,
        200,
        404,  # not subscribed
    ),
    _writer("quarantined_media_changes", "POST", f"{ADMIN}/v1/media/quarantine/{{media}}", {}, who="admin"),
    _writer("quarantined_media_changes", "POST", f"{ADMIN}/v1/media/unquarantine/{{media}}", {}, who="admin"),
    _writer("quarantined_media_changes", "POST", f"{ADMIN}/v1/room/{{room}}/media/quarantine", {}, who="admin"),
    _writer(
        "quarantined_media_changes", "POST", f"{ADMIN}/v1/user/@{{new}}:{{server}}/media/quarantine", {}, who="admin"
    ),
    _case("account_data", "PUT", f"{C}/user/{{user}}/account_data/org.test", {"a": 1}),
    _case("account_data", "GET", f"{C}/user/{{user}}/account_data/m.push_rules"),
    _case("account_data", "PUT", f"{C}/user/{{user}}/rooms/{{room}}/account_data/org.test", {"a": 1}),
    _case("account_data", "PUT", f"{C}/user/{{user}}/rooms/{{room}}/tags/u.test", {"order": 0.5}),
    _case("account_data", "GET", f"{C}/user/{{user}}/rooms/{{room}}/tags"),
    _case("presence", "PUT", f"{C}/presence/{{user}}/status", {"presence": "online"}),
    _case("presence", "GET", f"{C}/presence/{{user}}/status"),
    _case("device_lists", "GET", f"{C}/devices"),
    _case("device_lists", "PUT", f"{C}/devices/{{device}}", {"display_name": "test"}),
    _case("device_lists", "POST", f"{C}/delete_devices", {"devices": ["x"]}, 401),
    _case("device_lists", "POST", f"{C}/keys/upload", {}),
    _case("device_lists", "POST", f"{C}/keys/signatures/upload", {}),
    _case("device_lists", "POST", f"{C}/keys/device_signing/upload", {}),
    _case("media", "POST", "/_matrix/media/v3/upload", {}),
    _case("media", "GET", "/_matrix/media/v3/config"),
    _case("media", "GET", "/_matrix/client/v1/media/config"),
    _case("media", "GET", "/_matrix/client/v1/media/download/{picture}"),
    _case("media", "GET", "/_matrix/client/v1/media/thumbnail/{picture}?width=32&height=32"),
    _case("media", "GET", f"{ADMIN}/v1/room/{{room}}/media", who="admin"),
    _unsigned("media", "GET", f"{F}/media/download/x"),
    _case("room", "PUT", f"{C}/rooms/{{room}}/send/m.room.message/{{new}}", {"msgtype": "m.text", "body": "x"}),
    _case("room", "POST", f"{C}/rooms/{{room}}/send/m.room.message", {"msgtype": "m.text", "body": "x"}),
    _case("room", "PUT", f"{C}/rooms/{{room}}/state/m.room.topic/", {"topic": "x"}),
    _case("room", "PUT", f"{C}/rooms/{{room}}/redact/{{event}}/{{new}}", {}),
    _case("room", "GET", f"{C}/rooms/{{room}}/state"),
    _case("room", "GET", f"{C}/rooms/{{room}}/state/m.room.create/"),
    _case("room", "GET", f"{C}/rooms/{{room}}/members"),
    _case("room", "GET", f"{C}/rooms/{{room}}/joined_members"),
    _case("room", "GET", f"{C}/rooms/{{room}}/messages?dir=b"),
    _case("room", "GET", f"{C}/rooms/{{room}}/aliases"),
    _case("room", "GET", f"{C}/rooms/{{room}}/context/{{event}}"),
    _case("room", "GET", f"{C}/rooms/{{room}}/event/{{event}}"),
    _case("room", "GET", "/_matrix/client/v1/rooms/{room}/hierarchy"),
    _case("room", "GET", "/_matrix/client/v1/rooms/{room}/threads"),
    _case("room", "GET", "/_matrix/client/v1/rooms/{room}/relations/{event}"),
    _case("room", "GET", "/_matrix/client/v1/rooms/{room}/timestamp_to_event?ts=0&dir=f"),
    _case("room", "GET", "/_matrix/client/v1/room_summary/{room}"),
    _case("room", "POST", f"{C}/rooms/{{room}}/invite", {"user_id": "@{new}:{server}"}),
    _case("room", "POST", f"{C}/rooms/{{room}}/join", {}),
    _case("room", "POST", f"{C}/join/{{room}}", {}),
    _case("sync", "GET", f"{C}/sync?timeout=0&since={{since}}"),
    _case("initial_sync", "GET", "/_matrix/client/r0/sync?timeout=0"),
    _case("sync", "GET", f"{C}/events?timeout=0"),
    _case("initial_sync", "GET", f"{C}/initialSync?limit=1"),
    _case("initial_sync", "GET", f"{C}/rooms/{{room}}/initialSync"),
    _case("sliding_sync", "POST", f"{UNSTABLE}/org.matrix.simplified_msc3575/sync", {"lists": {}}),
    _case("federation_reader", "GET", f"{F}/version", who="nobody"),
    _case("federation_reader", "GET", "/_matrix/key/v2/server", who="nobody"),
    _unsigned("federation_reader", "GET", f"{F}/event/$x"),
    _unsigned("federation_reader", "POST", f"{F}/user/keys/query", {}),
    _unsigned("federation_reader", "PUT", "/_matrix/federation/v2/send_join/{room}/$x", {}),
    _unsigned("federation_inbound", "PUT", f"{F}/send/{{new}}", {}),
    _case("client_reader", "GET", "/_matrix/client/versions", who="nobody"),
    _case("client_reader", "GET", f"{C}/account/whoami"),
    _case("client_reader", "GET", f"{C}/account/3pid"),
    _case("client_reader", "POST", f"{C}/account/deactivate", {}, 401),
    _case("client_reader", "GET", f"{C}/capabilities"),
    _case("client_reader", "GET", f"{C}/joined_rooms"),
    _case("client_reader", "GET", f"{C}/notifications"),
    _case("client_reader", "GET", f"{C}/voip/turnServer"),
    _case("client_reader", "GET", f"{C}/publicRooms", None, 200, 401),
    _case("client_reader", "POST", f"{C}/createRoom", {}),
    _case("client_reader", "POST", f"{C}/search", {"search_categories": {"room_events": {"search_term": "x"}}}),
    _case("client_reader", "POST", f"{C}/keys/query", {"device_keys": {}}),
    _case("client_reader", "POST", f"{C}/keys/claim", {"one_time_keys": {}}),
    _case("client_reader", "POST", f"{C}/user/{{user}}/filter", {}),
    _case("client_reader", "GET", f"{C}/profile/{{user}}"),
    _case("client_reader", "PUT", f"{C}/profile/{{user}}/displayname", {"displayname": "x"}),
    _case("client_reader", "PUT", f"{C}/directory/room/%23{{new}}:{{server}}", {"room_id": "!x:{server}"}, 400),
    _case("client_reader", "POST", f"{C}/room_keys/version", {"algorithm": "x", "auth_data": {}}),
    _case("client_reader", "GET", f"{ADMIN}/v1/rooms/{{room}}", who="admin"),
    _case("client_reader", "GET", f"{ADMIN}/v2/users/{{user}}", who="admin"),
    _case("login", "GET", f"{C}/login", who="nobody"),
    _case("login", "POST", f"{C}/login", {}, 400, who="nobody"),
    _case("login", "POST", f"{C}/register", {}, 401, 403, who="nobody"),
    _case("login", "GET", f"{C}/register/available?username={{new}}", None, 200, 403, who="nobody"),
    _case("login", "GET", f"{C}/password_policy", who="nobody"),
    # Without an identity provider there is nothing to redirect to.
    _case("sso", "GET", f"{C}/login/sso/redirect?redirectUrl=https://x", None, 302, 400, 404, who="nobody"),
    _case("user_directory", "POST", f"{C}/user_directory/search", {"search_term": "x"}),
    _case(MAIN, "GET", f"{C}/pushers"),
    _case(MAIN, "GET", f"{C}/thirdparty/protocols"),
    _case(MAIN, "POST", f"{C}/rooms/{{room}}/report/{{event}}", {"reason": "x"}),
    _case(MAIN, "POST", f"{C}/user/{{user}}/openid/request_token", {}),
    _case(MAIN, "PUT", f"{C}/directory/list/room/{{room}}", {"visibility": "private"}),
    _case(MAIN, "GET", f"{ADMIN}/v1/server_version", who="admin"),
    _case(MAIN, "PUT", f"{ADMIN}/v2/users/{{user}}", {}, who="admin"),
    _case(MAIN, "GET", "/_matrix/static/", who="nobody"),
)


@dataclass
class World:
    """What the requests are about."""

    clients: dict[str, Client]
    names: dict[str, str] = field(default_factory=dict)

    def fill(self, text: str) -> str:
        """Put the names into a path or a body; each use of {new} is a new word."""
        for name, value in {**self.names, "new": f"n{secrets.token_hex(6)}"}.items():
            text = text.replace(f"{{{name}}}", value)
        return text


@pytest.fixture(scope="module")
def world(fleet: Deployment, new_user: Callable[..., Client]) -> World:
    """Two users, a room with a message in it, media, and a push rule."""
    alice, admin = new_user("alice"), new_user("admin", admin=True)
    room = alice.create_room(preset="public_chat")
    event = alice.send(room, "hello")
    rule = f"r{secrets.token_hex(6)}"
    alice.call("PUT", f"{C}/pushrules/global/override/{rule}", {"conditions": [], "actions": ["notify"]})
    assert alice.account is not None
    names = {
        "user": encoded(alice.user_id),
        "device": encoded(alice.account.device_id),
        "room": encoded(room),
        "event": encoded(event),
        "since": encoded(alice.sync()["next_batch"]),
        "rule": rule,
        "media": alice.upload(secrets.token_bytes(8), "text/plain").removeprefix("mxc://"),
        "picture": alice.upload(PNG + secrets.token_bytes(8), "image/png").removeprefix("mxc://"),
        "server": fleet.topology.server_name,
    }
    return World({"alice": alice, "admin": admin, "nobody": fleet.client()}, names)


@dataclass(frozen=True)
class Outcome:
    """What became of one request."""

    answer: httpx.Response
    served: Served


@pytest.fixture(scope="module")
def outcomes(world: World, fleet: Deployment) -> dict[Case, Outcome]:
    """Sends all requests, then asks the witnesses once."""
    fleet.mark()
    answers: dict[Case, tuple[str, httpx.Response]] = {}
    for case in CASES:
        path = world.fill(case.path)
        body = None if case.body is None else json.loads(world.fill(json.dumps(case.body)))
        answers[case] = path, world.clients[case.who].request(case.method, path, body=body)
    witnesses = fleet.witnesses((case.method, path) for case, (path, _) in answers.items())
    return {
        case: Outcome(answer, witnesses[case.method, path.partition("?")[0]])
        for case, (path, answer) in answers.items()
    }


@pytest.mark.parametrize("case", CASES, ids=str)
def test_request_is_served_by_its_process(case: Case, outcomes: dict[Case, Outcome], fleet: Deployment) -> None:
    """The right process serves it, says so itself, and can."""
    answer, served = outcomes[case].answer, outcomes[case].served
    expected = {"main"} if case.duty == MAIN else holders(fleet.topology, case.duty, writer=case.writer)

    assert served.process in expected
    assert answer.status_code in case.statuses, answer.text
    assert "M_UNRECOGNIZED" not in answer.text or case.duty == "sso"
    assert served.confirmed
    assert served.client == OUTSIDE


@pytest.mark.parametrize(
    ("method", "path", "duty"),
    [
        ("HEAD", "/_matrix/client/versions", "client_reader"),
        ("OPTIONS", f"{C}/sync?since=s1", "sync"),
        ("OPTIONS", "/_matrix/media/v3/upload", "media"),
        ("OPTIONS", f"{C}/rooms/!x:y/typing/@x:y", "typing"),
    ],
)
def test_methods_of_browsers(method: str, path: str, duty: str, world: World, fleet: Deployment) -> None:
    """HEAD goes where GET goes, and a browser's preflight where its request will go."""
    fleet.mark()
    assert world.clients["nobody"].request(method, path).status_code in (200, 204)

    assert [line.process in holders(fleet.topology, duty) for line in fleet.nginx_lines()] == [True]


def test_room_stays_on_one_process(world: World, fleet: Deployment) -> None:
    """However a client writes a room's ID, one process has its messages, and it takes the room's events too."""
    room = world.names["room"]
    written = {room, room.replace("%21", "!"), room.replace("%3A", ":"), room.replace("%21", "!").replace("%3A", ":")}
    paths = [f"{C}/rooms/{text}/{rest}" for text in sorted(written) for rest in ("messages?dir=b", "members", "state")]
    fleet.mark()
    for path in paths:
        assert world.clients["alice"].request("GET", path).status_code == 200, path

    assert len({line.process for line in fleet.nginx_lines()}) == 1
    assert len(fleet.nginx_lines()) == len(paths)


def test_rooms_are_spread(world: World, fleet: Deployment) -> None:
    """Where several processes have rooms, they share them."""
    fleet.mark()
    for number in range(24):
        world.clients["alice"].request("GET", f"{C}/rooms/!spread{number}:{fleet.topology.server_name}/messages?dir=b")

    assert {line.process for line in fleet.nginx_lines()} == holders(fleet.topology, "room")


def test_user_stays_on_one_process(world: World, fleet: Deployment) -> None:
    """A user's syncs meet the caches of one process, with the token in the header or in the query, on any device."""
    account = world.clients["alice"].account
    assert account is not None
    fleet.mark()
    for _ in range(3):
        world.clients["alice"].sync()
    nobody = world.clients["nobody"]
    assert nobody.request("GET", f"{C}/sync?access_token={account.access_token}&timeout=0").status_code == 200
    assert nobody.request("GET", f"{C}/sync?timeout=0&access_token={account.access_token}").status_code == 200

    lines = fleet.nginx_lines()

    assert len(lines) == 5
    assert len({line.process for line in lines}) == 1


def test_users_are_spread(world: World, fleet: Deployment) -> None:
    """Where several processes serve syncs, they share the users."""
    fleet.mark()
    for number in range(24):
        name = base64.b64encode(f"spread{number}".encode()).decode().rstrip("=")
        headers = {"Authorization": f"Bearer syt_{name}_abcdefghij_0abcde"}
        answer = world.clients["nobody"].request("GET", f"{C}/sync?since=s1", headers=headers)
        assert answer.status_code == 401

    assert {line.process for line in fleet.nginx_lines()} == holders(fleet.topology, "sync")


def test_server_stays_on_one_process(world: World, fleet: Deployment) -> None:
    """Transactions of one server arrive at one process, in their order."""
    fleet.mark()
    for number in range(6):
        assert world.clients["nobody"].request("PUT", f"{F}/send/{number}", body={}).status_code == 401

    assert len({line.process for line in fleet.nginx_lines()}) == 1
