# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges an nginx configuration by what the processes behind it serve: every route, method, version and encoding.

Private to the collection. The verdict comes from the registry of the Synapse release (what a main process and a worker
really register), never from our rules: `Fleet.serves` is the judge, and a real nginx (`replay`) shows where they go.
"""

from __future__ import annotations

from typing import Dict, Iterable, List, Protocol, Sequence, Set, Tuple

from ..replay.configuration import upstreams_of
from ..replay.messages import Recorded, Request
from ..routes.families import Access, family_of, is_internal
from ..routes.path_template import sample
from .members import MAIN, MONOLITH, Member
from .probes import LEAKS, AdminAccess, Keyed, admin_access_of, affinities
from .registry import Case, Registry, Served, expand
from .verdict import Verdict


class Sender(Protocol):
    """What sends requests through nginx: `replay.replay.Replay`, or something like it."""

    servers: Tuple[str, ...]

    def send(self, requests: Sequence[Request]) -> List[Recorded]:
        """Returns what becomes of each request."""


class Fleet:
    """The processes behind an nginx, judged by the registry of their release."""

    def __init__(self, registry: Registry, members: Sequence[Member], kept_on_main: Iterable[str] = ()) -> None:
        """Takes the processes.

        Args:
            registry: the routes of the release.
            members: all processes with a listener for nginx.
            kept_on_main: templates of paths that stay on main for a written reason.
        """
        self.registry = registry
        self.members = {member.address: member for member in members}
        self.kept_on_main = frozenset(kept_on_main)
        # Processes of a kind serve the same, and there are few kinds.
        self._kinds = tuple({member.kind: member for member in (MONOLITH, *members)}.values())
        self._writers: Dict[str, Set[str]] = {}
        for member in members:
            for stream in member.streams:
                self._writers.setdefault(stream, set()).add(member.name)

    def serves(self, member: Member, request: Request, everything_on: bool) -> List[Served]:
        """Returns the routes with which a process answers a request."""
        matching = self.registry.matching(request.path, everything_on=everything_on)
        return [route for route in matching if member.serves(route, request.method)]

    def is_answerable(self, request: Request, everything_on: bool) -> bool:
        """Returns whether a process would answer a request, or a monolith in the fleet's place."""
        return any(self.serves(member, request, everything_on) for member in self._kinds)

    def is_for_a_worker(self, request: Request, everything_on: bool) -> bool:
        """Returns whether a worker would answer a request."""
        return any(self.serves(member, request, everything_on) for member in self._kinds if not member.is_main)

    def writes(self, member: Member, stream: str) -> bool:
        """Returns whether a process writes a stream."""
        return member.name in self._writers.get(stream, {MAIN})

    def name(self, address: str) -> str:
        """Returns the name of the process at an address."""
        member = self.members.get(address)
        return address if member is None else member.name

    def judge(self, replay: Sender, http_conf: str, site_conf: str) -> Verdict:
        """Sends everything through nginx and says what was wrong.

        Args:
            replay: a running nginx with the configuration.
            http_conf: the part of the configuration with the upstreams.
            site_conf: the server blocks, with the networks that may use the admin API.
        """
        return _Judgement(self, replay, http_conf, admin_access_of(site_conf)).verdict()


class _Judgement:
    """A fleet that is being judged."""

    def __init__(self, fleet: Fleet, replay: Sender, http_conf: str, access: AdminAccess) -> None:
        self._fleet = fleet
        self._replay = replay
        self._upstreams = upstreams_of(http_conf)
        self._access = access
        self._verdict = Verdict()

    def verdict(self) -> Verdict:
        self._judge_servers()
        self._judge_cases()
        self._judge_leaks()
        for what, requests in affinities():
            self._judge_affinity(what, requests)
        self._judge_sessions()
        return self._verdict

    def _judge_servers(self) -> None:
        """nginx knows no address that is none of the fleet's."""
        for address in set(self._replay.servers) - set(self._fleet.members):
            self._verdict.leaks.append(f"nginx names {address}, which is no HTTP listener of this fleet")

    def _judge_cases(self) -> None:
        """Every request goes to a process that serves it."""
        cases = [case for case in self._fleet.registry.cases() if self._access.allows(case.request.path)]
        requests = [self._access.admit(case.request) for case in cases]
        for case, recorded in zip(cases, self._replay.send(requests)):
            # With a slash too many, mostly, there is no right process, so nothing to be judged.
            if self._fleet.is_answerable(case.request, case.everything_on):
                self._verdict.requests += 1
                self._judge_case(case, recorded)

    def _judge_case(self, case: Case, recorded: Recorded) -> None:
        shown = f"{case.request.method} {case.request.path}"
        if not recorded.tried:
            if not (_is_for_nginx(case.request.path) and recorded.status in (200, 404, 405)):
                self._verdict.misrouted.append(f"{shown} is refused by nginx with {recorded.status}")
            return
        member = self._fleet.members.get(recorded.tried[0])
        if member is None:
            return
        self._verdict.per_process[member.name] += 1
        if len(recorded.tried) > 1 or recorded.raw_path != case.request.path:
            self._verdict.misrouted.append(f"{shown} arrived as {recorded.raw_path} at {len(recorded.tried)} processes")
        served = self._fleet.serves(member, case.request, case.everything_on)
        if not served:
            self._verdict.misrouted.append(f"{shown} went to {member.name}")
            self._verdict.wrong_per_process[member.name] += 1
        elif case.request.method != "OPTIONS":
            self._judge_served(case, member, served)

    def _judge_served(self, case: Case, member: Member, served: Sequence[Served]) -> None:
        """Writes are at a writer of their stream, and main has only what no worker could serve."""
        method, path = case.request.method, case.request.path
        streams = {route.writes for route in served if route.writes}
        if not member.is_main and method != "HEAD":
            self._verdict.on_workers.add(f"{method} {case.path}")
        for stream in streams:
            if not self._fleet.writes(member, stream):
                self._verdict.at_non_writers.append(f"{method} {path} writes {stream} and went to {member.name}")
                self._verdict.wrong_per_process[member.name] += 1
        if streams or not member.is_main or not self._fleet.is_for_a_worker(case.request, case.everything_on):
            return
        if case.path in self._fleet.kept_on_main:
            self._verdict.kept.add(case.path)
        else:
            self._verdict.offloadable.add(f"{method} {case.path}")

    def _judge_leaks(self) -> None:
        """Requests that no client may send, and requests of the admin API from clients that may not use it."""
        requests = [self._access.admit(Request("GET", path)) for path in LEAKS]
        if self._access.outside is not None:
            internal = sorted({path for path in self._fleet.registry.samples() if is_internal(path)})
            requests += [self._access.intrude(Request("GET", path)) for path in internal]
        self._verdict.requests += len(requests)
        for request, recorded in zip(requests, self._replay.send(requests)):
            if recorded.tried:
                self._verdict.leaks.append(
                    f"GET {request.path} from {request.source} reached {self._fleet.name(recorded.tried[0])}"
                )

    def _judge_affinity(self, what: str, requests: Sequence[Keyed]) -> None:
        """Requests with the same key meet one process, and different keys are spread over the pool."""
        self._verdict.requests += len(requests)
        homes: Dict[str, Set[str]] = {}
        for (key, _), recorded in zip(requests, self._replay.send([request for _, request in requests])):
            homes.setdefault(key, set()).update(recorded.tried)
        self._verdict.broken_affinities += [
            f"{what} ({key}) met {', '.join(self._names(met)) or 'no process'}"
            for key, met in homes.items()
            if len(met) != 1
        ]
        used: Set[str] = set().union(*homes.values())
        if len(used) == 1 and self._has_others(*used):
            self._verdict.broken_affinities.append(f"{what}: all of them reach only {self._fleet.name(*used)}")

    def _has_others(self, address: str) -> bool:
        """Returns whether the smallest upstream that has an address has others too."""
        sizes = [len(addresses) for addresses in self._upstreams.values() if address in addresses]
        return min(sizes, default=0) > 1

    def _judge_sessions(self) -> None:
        """What a process remembers for a while (single sign-on) is asked of that process, main or a worker."""
        requests = [
            self._access.admit(Request(method, path))
            for route in self._fleet.registry.routes
            if route.session and route.worker and route.path not in self._fleet.kept_on_main and any(route.there)
            for path in map(sample, expand(route.path))
            for method in sorted(route.methods)
        ]
        self._verdict.requests += len(requests)
        met = {address for recorded in self._replay.send(requests) for address in recorded.tried}
        if len(met) > 1:
            self._verdict.broken_affinities.append(f"sessions of single sign-on met {', '.join(self._names(met))}")

    def _names(self, addresses: Iterable[str]) -> List[str]:
        return sorted(self._fleet.name(address) for address in addresses)


def _is_for_nginx(path: str) -> bool:
    family = family_of(path)
    return family is not None and family.access is Access.NGINX


__all__ = ("Fleet", "Sender")
