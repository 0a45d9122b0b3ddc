# SPDX-License-Identifier: GPL-3.0-or-later
"""Every route of the release's registry, sent through nginx to the real processes.

Where ``test_requests`` sends whole requests of every kind, this sends something for every route there is, and looks at
two answers that only a wrong process gives: M_UNRECOGNIZED (it has no such route), and 500 (it is not the writer).
"""

from __future__ import annotations

import re
import secrets
import shlex
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import httpx
import pytest
from ansible_collections.baremetal.synapse.plugins.module_utils.conformance.registry import expand
from ansible_collections.baremetal.synapse.plugins.module_utils.routes.path_template import sample, variable_parts
from ansible_collections.baremetal.synapse.plugins.plugin_utils.routing.decisions import uses_mas
from ansible_collections.baremetal.synapse.plugins.plugin_utils.routing.registry import Route, registry
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.config import main_config

from tests.support.deployment import Deployment, until
from tools.matrix import Client, encoded

# It would end the session of those that come after it.
_ENDS_THE_SESSION = re.compile(r"/logout")
_INTERNAL = re.compile(r"/_synapse/(?:admin|mas|jwks)|/health")
# nginx ends a connection after a thousand requests, which this client does not expect.
_A_CONNECTION = 500
# What Synapse's servlets and stores say when a write reaches another process than its writer.
_NOT_MINE = r"assert self\._can_write_to|is not typing writer|Cannot handle \w+ /push_rules|should_handle"
# Whole requests where only a writer can answer them.
_BODIES: dict[str, object] = {
    "typing": {"typing": True, "timeout": 1000},
    "to_device": {"messages": {}},
    "push_rules": {"conditions": [], "actions": ["notify"]},
}


@dataclass(frozen=True)
class Sent:
    """A request, its route and its answer."""

    method: str
    target: str
    route: Route
    answer: httpx.Response
    token: str = field(repr=False)

    def __str__(self) -> str:
        text = re.sub(r"\s+", " ", self.answer.text)[:120]
        return f"{self.method} {self.target} -> {self.answer.status_code} {text}"


@pytest.fixture(scope="module")
def sent(fleet: Deployment, new_user: Callable[..., Client]) -> list[Sent]:
    """Sends a request for every method and version of every route, as a user of a room, or as an admin."""
    fleet.mark()
    user, admin = new_user("registry"), new_user("registry_admin", admin=True)
    room = user.create_room(preset="public_chat")
    event = user.send(room, "hello")
    requests = [
        (route, method, path)
        for route in registry().of(fleet.topology.release)
        for room_id, event_id, user_id in _ways_to_write(fleet, room, event, user.user_id)
        for method, path in _requests(fleet, route, room_id, event_id, user_id)
    ]
    found = []
    for start in range(0, len(requests), _A_CONNECTION):
        with fleet.client(user.account) as as_user, fleet.client(admin.account) as as_admin:
            for route, method, path in requests[start : start + _A_CONNECTION]:
                found.append(_send(as_admin if _INTERNAL.match(path) else as_user, route, method, path))
    return found


def _ways_to_write(fleet: Deployment, *ids: str) -> list[tuple[str, ...]]:
    """The ids of a room, an event and a user: encoded, and where every duty has a pool also as they are."""
    as_they_are = [ids] if fleet.topology.with_duty("sso") else []
    return [tuple(map(encoded, ids)), *as_they_are]


def _requests(fleet: Deployment, route: Route, room: str, event: str, user: str) -> Iterator[tuple[str, str]]:
    nobody = f"n{secrets.token_hex(4)}"
    server = fleet.topology.server_name
    own = not _INTERNAL.match(route.path)
    kinds = {
        "room": room if own else f"%21{nobody}%3A{server}",
        "event": event,
        "thread": event,
        "user": user if own else f"%40{nobody}%3A{server}",
        "alias": f"%23{nobody}%3A{server}",
        "server": server,
        "origin": server,
        "receipt_type": "m.read",
        "path": f"global/override/{nobody}",
    }
    for template in expand(route.path):
        if _ENDS_THE_SESSION.search(template) or template.startswith("/health"):
            continue
        values = {
            name: next((value for kind, value in kinds.items() if kind in name), nobody)
            for name, _ in variable_parts(template)
            if name != "rest"
        }
        path = sample(re.sub(r"\{rest:[^}]*\}", "", template), values)
        for method in route.methods:
            yield method, path
        # What browsers and caches ask before and beside them.
        if "GET" in route.methods:
            yield "HEAD", path
        if fleet.topology.with_duty("sso"):
            yield "OPTIONS", path


def _send(client: Client, route: Route, method: str, path: str) -> Sent:
    body = None if method not in ("POST", "PUT") else _BODIES.get(route.writes or "", {})
    target = f"{path}?timeout=0"  # long polls answer at once
    assert client.account is not None
    answer = client.request(method, target, body=body, timeout=60)
    return Sent(method, target, route, answer, client.account.access_token)


def _complaints(fleet: Deployment) -> list[str]:
    """What processes have said, since the requests were sent, about writes that are not theirs."""
    ask = f"journalctl -q -o cat --no-pager --since=@{fleet.marked:.0f} --grep={shlex.quote(_NOT_MINE)} || true"
    return [line for machine in fleet.synapse_machines for line in machine.shell(ask).splitlines()]


def _is_there(fleet: Deployment, route: Route) -> bool:
    """Whether main alone would serve the route, with the settings and the listeners of the tests."""
    on = {name for entry in main_config(fleet.topology)["listeners"][0]["resources"] for name in entry["names"]}
    return (
        bool(on.intersection(route.main)) and not route.needs_setting and route.is_there(mas=uses_mas(fleet.topology))
    )


def test_no_route_is_unknown_where_it_goes(sent: list[Sent], fleet: Deployment) -> None:
    there = [request for request in sent if _is_there(fleet, request.route)]
    assert len(there) > 400
    unknown = [request for request in there if request.answer.status_code in (404, 405)]
    assert [str(request) for request in unknown if "M_UNRECOGNIZED" in request.answer.text] == []


def test_writes_that_only_a_writer_can_do_are_done(sent: list[Sent], fleet: Deployment) -> None:
    writes = [request for request in sent if request.route.writes is not None and request.method != "OPTIONS"]
    done = {str(request.route.writes) for request in writes if request.answer.status_code == 200}
    # The settings of the tests switch these on; media can be quarantined where media are served.
    also = {name for name in ("thread_subscriptions", "quarantined_media_changes") if fleet.topology.with_duty(name)}
    assert [str(request) for request in writes if request.answer.status_code >= 500] == []
    assert done >= {"typing", "to_device", "receipts", "push_rules", *also}


def test_a_preflight_and_a_head_are_answered_like_their_request(sent: list[Sent], fleet: Deployment) -> None:
    beside = [request for request in sent if request.method in ("HEAD", "OPTIONS") and _is_there(fleet, request.route)]
    assert len(beside) > 100
    assert [str(request) for request in beside if request.answer.status_code == 405] == []
    preflights = [request for request in beside if request.method == "OPTIONS"]
    assert [str(request) for request in preflights if request.answer.status_code not in (200, 204)] == []


def test_no_process_complained_that_it_is_not_the_writer(sent: list[Sent], fleet: Deployment) -> None:
    assert sent
    assert _complaints(fleet) == []


def test_such_a_complaint_would_be_seen(sent: list[Sent], fleet: Deployment) -> None:
    """Main itself is asked for what only a worker can write."""
    if not fleet.topology.with_duty("receipts"):
        pytest.skip("main is the writer of all streams")
    (request,) = [request for request in sent if "/v3/" in request.target and "/receipt/" in request.target][:1]
    assert fleet.ask_main([(request.method, request.target, request.token)]) == [500]
    assert until(lambda: _complaints(fleet))


def test_the_answers_are_of_all_kinds(sent: list[Sent], capsys: pytest.CaptureFixture[str]) -> None:
    """The table of answers."""
    met = Counter(f"{request.answer.status_code // 100}xx" for request in sent)
    with capsys.disabled():
        print(f"\n| requests | {' | '.join(sorted(met))} |")
        print(f"| {len(sent)} | {' | '.join(str(met[status]) for status in sorted(met))} |")
    assert met["2xx"] > 100
