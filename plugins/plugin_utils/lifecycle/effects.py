# SPDX-License-Identifier: GPL-3.0-or-later
"""What users notice of a plan: a simulation of its waves finds the duties that no process serves at some moment."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from ..model.duties import DUTIES
from ..model.process import MAIN
from ..routing.decisions import fallback_duty, in_use, requested_duties, serving_duty
from .changes import PERSISTER, SENDERS, Changes
from .dependencies import sharded_duties
from .observed import Observed, Place, ServiceNeed, place_of
from .replication import reads_tokens
from .steps import Wave

_DOWN = ("stop", "retire", "restart")
_UP = ("start", "restart")

_ROOM = "room"
"""The duty of requests that send events."""

_SYNCS = frozenset(("sync", "initial_sync", "sliding_sync"))
"""Duties of requests for news."""

_JOBS = frozenset(
    name for name, duty in DUTIES.items() if (duty.single or name in sharded_duties()) and duty.stream is None
)
"""Duties without requests."""


def effects_of(changes: Changes, waves: Sequence[Wave], needs: Iterable[ServiceNeed]) -> Iterator[str]:
    """Returns what users notice, a sentence each.

    Args:
        changes: the changes of the processes.
        waves: the plan.
        needs: what the services below Synapse need.
    """
    yield from dict.fromkeys(need.effect for need in needs if need.effect)
    yield from _downgrade(changes)
    walk = _Walk(changes)
    walk.through(waves)
    if walk.everything:
        yield "Everything is unavailable for some seconds."
        return
    found = list(_sentences(walk))
    yield from found
    if not found and any(step.action in _DOWN and not step.title for wave in waves for step in wave.steps):
        yield from _nothing(changes)


def _downgrade(changes: Changes) -> Iterator[str]:
    wanted = changes.topology.release
    newer = max((entry.release for entry in changes.seen.values() if entry.release is not None), default=wanted)
    if newer > wanted:
        broken = (
            ""
            if reads_tokens(wanted, newer)
            else f"; clients that have synced with {newer} get 400 for their sync tokens until they log in again"
        )
        yield f"Synapse {newer} is replaced by the older {wanted}{broken}."


def _nothing(changes: Changes) -> Iterator[str]:
    if changes.stale:
        yield "Users notice nothing: other processes answer while one restarts."


def _sentences(walk: _Walk) -> Iterator[str]:
    if walk.main:
        yield "What only the main process serves is unavailable for some seconds."
    if PERSISTER in walk.away:
        yield "Sending waits for some seconds; acknowledged messages are kept."
    if walk.unanswered:
        yield (
            "Sending may be answered with an error for some seconds although the message is kept: workers of the old"
            " release do not understand the new one."
        )
    if walk.stale_syncs:
        yield ("Syncs show nothing new for some seconds: workers of the old release do not understand the new one.")
    if "federation_sender" in walk.away:
        yield "Other servers get messages some seconds later."
    if "pusher" in walk.away:
        yield "Push notifications come some seconds later."
    requested = requested_duties(walk.topology)
    requests = sorted(walk.away & requested)
    if requests:
        yield f"Requests for {', '.join(requests)} fail for some seconds; clients retry."
    jobs = sorted(walk.away & _JOBS - requested - sharded_duties().keys())
    if jobs:
        yield f"Work in the background pauses for some seconds: {', '.join(jobs)}."


class _Walk:
    """The state of the fleet in each wave: the processes that are up, their configuration, and that of nginx.

    Each wave first reconfigures nginx, then stops processes, then starts processes.

    Attributes:
        away: duties that no process served at some moment.
        main: whether the main process was down at some moment.
        everything: whether no process was up at some moment.
        unanswered: whether a process that gets no news served requests that write events.
        stale_syncs: whether one served syncs.
    """

    def __init__(self, changes: Changes) -> None:
        self.changes, self.topology = changes, changes.topology
        self.away: set[str] = set()
        self.main = self.everything = False
        self.unanswered = self.stale_syncs = False
        # The processes that are up; whether each has its new configuration.
        self._up = {
            entry.place: entry.reason is None and entry.place in changes.wanted
            for entry in changes.seen.values()
            if entry.running
        }
        self._steady = frozenset(place for place, new in self._up.items() if new)
        self._mains = [place for place in (*changes.seen, *changes.wanted) if place[1] == MAIN]
        self._had_main = self._main is not None
        self._before = _by_duty(changes)
        self._wanted = {
            duty: dict.fromkeys(map(place_of, workers)) for duty, workers in self.topology.by_duty.items() if workers
        }
        self._routed = frozenset(in_use(self.topology))
        self._duties_of: dict[str, set[str]] = {}
        for duty, places in (*self._before.items(), *self._wanted.items()):
            for _, name in places:
                self._duties_of.setdefault(name, set()).add(duty)
        self._new_routes = changes.proxies is not True
        self._held: frozenset[str] = frozenset()

    def through(self, waves: Sequence[Wave]) -> None:
        """Simulates the waves; a fleet without a running process has no users."""
        if not self._up:
            return
        for wave in waves:
            touched = {
                (step.host, step.name) for step in wave.steps if not step.title and step.action in (*_DOWN, *_UP)
            }
            duties = self._touched(wave, touched)
            if wave.proxy is not None:
                self._new_routes = self._new_routes or wave.proxy == "apply"
                self._held = frozenset(wave.held)
                self._look(duties)
            for step in wave.steps:
                if step.action in _DOWN:
                    self._up.pop((step.host, step.name), None)
            self._look(duties)
            for step in wave.steps:
                if step.action in _UP and not step.title:
                    self._up[step.host, step.name] = True
            self._steady -= touched
            self._look(duties)

    def _touched(self, wave: Wave, places: Iterable[Place]) -> frozenset[str]:
        """Returns the duties whose processes, or whose requests, may change in a wave."""
        if any(name == MAIN for _, name in places) or (wave.proxy == "apply" and not self._new_routes):
            return frozenset(DUTIES)
        names = {name for _, name in places} | (self._held ^ frozenset(wave.held) if wave.proxy else frozenset())
        duties = frozenset(duty for name in names for duty in self._duties_of.get(name, ()))
        return frozenset(name for name, duty in DUTIES.items() if not duties.isdisjoint((name, *duty.fallback)))

    def _look(self, duties: frozenset[str]) -> None:
        self.main = self.main or (self._had_main and self._main is None)
        self.everything = self.everything or (not self._up and bool(self.changes.taken))
        if not duties.isdisjoint((PERSISTER, _ROOM)) and not self._is_written():
            self.away.add(PERSISTER)
        if self.changes.deafened:
            self.unanswered = self.unanswered or any(map(self._is_served_by_the_deaf, SENDERS))
            self.stale_syncs = self.stale_syncs or any(map(self._is_served_by_the_deaf, _SYNCS))
        requested = requested_duties(self.topology)
        for duty in (duties & (requested | _JOBS)) - self.away:
            if not (self._is_served(duty) if duty in requested else self._is_done(duty)):
                self.away.add(duty)

    @property
    def _main(self) -> Place | None:
        return next((place for place in self._mains if place in self._up), None)

    def _has(self, place: Place, duty: str) -> bool:
        """Returns whether a running process has a duty in the configuration that it runs with."""
        if self._up[place] and duty in self.changes.wanted[place].duties:
            return True
        return place in self._before.get(duty, ()) and (not self._up[place] or place in self._steady)

    def _upstream(self, duty: str) -> tuple[str | None, Collection[Place]]:
        """Returns the duty whose workers nginx sends requests to, and these workers; None and no workers for main."""
        if not self._new_routes:
            serving = next((name for name in (duty, *DUTIES[duty].fallback) if self._before.get(name)), None)
            return serving, self._before.get(serving or "", {})
        serving = serving_duty(self.topology, duty) if duty in self._routed else None
        return serving, self._wanted.get(serving or "", {})

    def _is_served(self, duty: str) -> bool:
        serving, _ = self._upstream(duty)
        # An unavailable main process is reported separately.
        return (serving is None and self._main is None) or next(self._servers(duty), None) is not None

    def _is_served_by_the_deaf(self, duty: str) -> bool:
        """Returns whether a process of the old release serves a duty and gets no news."""
        return any(
            not self._up[place] and any(self._up.get(other) for other in self.changes.deafened.get(place, ()))
            for place in self._servers(duty)
        )

    def _servers(self, duty: str) -> Iterator[Place]:
        """Returns the processes that receive the requests of a duty in this wave and can answer them."""
        serving, members = self._upstream(duty)
        main = [] if self._main is None else [self._main]
        if serving is None:
            yield from (place for place in main if not DUTIES[duty].exclusive or self._main_has(duty))
            return
        alone = DUTIES[duty].exclusive and len(members) == 1
        chain = [self._able(members, serving, alone=alone)]
        if not DUTIES[duty].exclusive:
            chain += [self._fallbacks(duty, members), iter(main)]
        for places in chain:
            first = next(places, None)
            if first is not None:
                yield first
                yield from places
                return

    def _able(self, members: Iterable[Place], duty: str, *, alone: bool = False) -> Iterator[Place]:
        return (
            place
            for place in members
            if place in self._up and (alone or place[1] not in self._held) and self._has(place, duty)
        )

    def _fallbacks(self, duty: str, members: Collection[Place]) -> Iterator[Place]:
        if self._new_routes:
            other = fallback_duty(self.topology, duty)
            yield from () if other is None else self._able(self._wanted[other], other)
            return
        for other in DUTIES[duty].fallback:
            if any(place not in members for place in self._before.get(other, ())):
                yield from self._able(self._before[other], other)
                return

    def _main_has(self, duty: str) -> bool:
        new = self._main is not None and self._up[self._main]
        return not (self.topology.with_duty(duty) if new else self._before.get(duty))

    def _holders(self, duty: str, *, new: bool) -> tuple[Place, ...]:
        """Returns the processes that have a duty in the new or the old configuration: workers, or main."""
        found = tuple((self._wanted if new else self._before).get(duty, ()))
        return found or tuple(self._mains[-1:] if new else self._mains[:1])

    def _is_written(self) -> bool:
        """Returns whether the processes that receive requests of rooms reach all persisters in their list."""
        senders = self._servers(_ROOM)
        if not self.changes.persisters_change:
            return next(senders, None) is None or all(place in self._up for place in self._holders(PERSISTER, new=True))
        return all(
            self._up.get(place) is new
            for new in {self._up[place] for place in senders}
            for place in self._holders(PERSISTER, new=new)
        )

    def _is_done(self, duty: str) -> bool:
        """Returns whether all processes that share the work of a duty are up and use the same list."""
        old, new = (self._holders(duty, new=which) for which in (False, True))
        if {place[1] for place in (*old, *new)} == {MAIN}:
            return True
        if old == new:
            return all(place in self._up for place in new)
        return any(
            all(place in self._up and self._up[place] is which for place in places)
            for places, which in ((old, False), (new, True))
        )


def _by_duty(changes: Changes) -> dict[str, dict[Place, None]]:
    """Returns the workers that run with each duty, in the order of the fleet."""
    found: dict[str, dict[Place, None]] = {}
    for entry in changes.seen.values():
        if entry.running and entry.name != MAIN:
            for duty in _duties(changes, entry):
                found.setdefault(duty, {})[entry.place] = None
    return found


def _duties(changes: Changes, entry: Observed) -> tuple[str, ...]:
    wanted = changes.wanted.get(entry.place)
    return entry.duties if entry.known or wanted is None else wanted.duties
