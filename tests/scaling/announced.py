# SPDX-License-Identifier: GPL-3.0-or-later
"""Which requests of the load may fail, by what a plan has announced."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

from ansible_collections.baremetal.synapse.plugins.module_utils.routes.path_template import regex_of
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.services import SERVICES
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.topology import Topology
from ansible_collections.baremetal.synapse.plugins.plugin_utils.routing.decisions import Decision, decisions
from ansible_collections.baremetal.synapse.plugins.plugin_utils.routing.rules import duty_of

_CLIENT = "/_matrix/client/v3"
_ROOM = f"{_CLIENT}/rooms/!r:example.org"

REQUESTS = {
    "sync": ("GET", f"{_CLIENT}/sync"),
    "send": ("PUT", f"{_ROOM}/send/m.room.message/1"),
    "receipt": ("POST", f"{_ROOM}/receipt/m.read/$e"),
    "typing": ("PUT", f"{_ROOM}/typing/@u:example.org"),
    "messages": ("GET", f"{_ROOM}/messages"),
    "state": ("GET", f"{_ROOM}/state"),
    "members": ("GET", f"{_ROOM}/joined_members"),
    "joined_rooms": ("GET", f"{_CLIENT}/joined_rooms"),
    "profile": ("GET", f"{_CLIENT}/profile/@u:example.org"),
    "keys_query": ("POST", f"{_CLIENT}/keys/query"),
    "account_data": ("PUT", f"{_CLIENT}/user/@u:example.org/account_data/org.example.load"),
    "account_data_read": ("GET", f"{_CLIENT}/user/@u:example.org/account_data/org.example.load"),
    "upload": ("POST", "/_matrix/media/v3/upload"),
    "download": ("GET", "/_matrix/client/v1/media/download/example.org/m"),
    "login": ("POST", f"{_CLIENT}/login"),
    "logout": ("POST", f"{_CLIENT}/logout"),
}
"""A request of each kind of the load (``benchmarks.load.user``)."""

_SHOWN = re.compile(r'^TASK \[[^\]]*Show the plan\].*?"msg": (\[.*?^    \])', re.DOTALL | re.MULTILINE)
_FAIL = re.compile(r"Requests for (.*) fail for some seconds; clients retry\.")
_MAIN = "What only the main process serves is unavailable for some seconds."
_ALL = ("Everything is unavailable for some seconds.", *(service.restart_effect for service in SERVICES))
_SENDING = ("Sending waits", "Sending may be answered with an error")


def shown_plan(output: str) -> list[str]:
    """Returns the lines that a run has shown of its plan, effects too; none if there was nothing to do."""
    found = _SHOWN.search(output)
    return [] if found is None else [str(line) for line in json.loads(found[1])]


def may_fail(lines: Iterable[str], before: Topology, after: Topology) -> set[str]:
    """Returns the kinds of requests that may fail, by the lines of a plan from one topology to another."""
    kinds: set[str] = set()
    for line in lines:
        if line in _ALL:
            return set(REQUESTS)
        if line.startswith(_SENDING):
            kinds.add("send")
        if line == _MAIN:
            kinds |= {kind for topology in (before, after) for kind in _of_main(topology)}
        if named := _FAIL.fullmatch(line):
            duties = set(named[1].split(", "))
            kinds |= {kind for kind in REQUESTS if duty_of_kind(after, kind) in duties}
    return kinds


def duty_of_kind(topology: Topology, kind: str) -> str | None:
    """Returns the duty of a kind of requests; None for main."""
    return duty_of(_decision_of(topology, kind).route)


def _decision_of(topology: Topology, kind: str) -> Decision:
    method, path = REQUESTS[kind]
    return next(
        decision
        for decision in decisions(topology)
        if method in decision.route.methods and re.fullmatch(regex_of(decision.route.path), path)
    )


def _of_main(topology: Topology) -> Iterator[str]:
    """Returns the kinds that need main: it serves them, or writes their stream, or registers devices."""
    yield from ("login", "logout")
    yield from (kind for kind in REQUESTS if _decision_of(topology, kind).duty is None)
    if not topology.with_duty("account_data"):
        yield "account_data"
