# SPDX-License-Identifier: GPL-3.0-or-later
"""The turn in which each worker restarts: workers that can replace each other do not restart together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

from ..model.duties import DUTIES
from ..model.process import Process
from ..model.topology import Topology
from ..routing.decisions import in_use, serving_duty
from .changes import SENDERS, Changes
from .dependencies import needs_handover
from .observed import Place, place_of


@lru_cache(maxsize=8)
def serving_duties(topology: Topology) -> frozenset[str | None]:
    """Returns the duties whose workers nginx sends requests to."""
    return frozenset(serving_duty(topology, duty) for duty in in_use(topology))


def served_by(topology: Topology, process: Process) -> list[str]:
    """Returns the duties for which nginx sends requests to a process."""
    serving = serving_duties(topology)
    return [duty for duty in process.duties if duty in serving]


def replaceable(topology: Topology, process: Process) -> bool:
    """Returns whether nginx has another process, a worker or main, for all requests that it sends to a process."""
    served = served_by(topology, process)
    return bool(served) and all(not DUTIES[duty].exclusive or _has_peers(topology, duty) for duty in served)


def can_be_held_back(topology: Topology, process: Process) -> bool:
    """Returns whether nginx can hold back a process: others serve all or some of its duties.

    nginx never holds back the only server of an upstream: it sends requests there until the process stops.
    """
    return replaceable(topology, process) or any(_has_peers(topology, duty) for duty in served_by(topology, process))


def is_missed(duty: str) -> bool:
    """Returns whether requests fail while no process has a duty that only one process may have."""
    return needs_handover(duty) and (DUTIES[duty].stream is not None or DUTIES[duty].exclusive)


def _has_peers(topology: Topology, duty: str) -> bool:
    return len(topology.with_duty(duty)) > 1


@dataclass(frozen=True, eq=False)
class Turns:
    """The restarts of workers, one group after the other.

    Attributes:
        changes: the changes of the processes.
        of: the turn of each worker that restarts, from 0.
        staying: for each duty that nginx serves, the workers that have it before and after and are not stopped.
    """

    changes: Changes
    of: Mapping[Place, int]
    staying: Mapping[str, frozenset[Place]]

    @cached_property
    def groups(self) -> tuple[tuple[Process, ...], ...]:
        """The workers of each turn."""
        found: list[list[Process]] = [[] for _ in range(max(self.of.values(), default=-1) + 1)]
        for process in self.changes.stale:
            if not process.is_main:
                found[self.of[place_of(process)]].append(process)
        return tuple(tuple(group) for group in found)

    @cached_property
    def held_back_early(self) -> frozenset[Place]:
        """The processes that nginx holds back, and that are drained, before any process stops.

        These are the first turn, and processes that stop for a handover, if other processes keep their duties.
        """
        if self.changes.proxies is None or not self.changes.around_main:
            return frozenset()
        if self.changes.main_deafens:
            return frozenset()
        first = [process for process in self.groups[0] if self._can_wait(process)] if self.groups else []
        held = {place_of(process) for process in first}
        for entry in (*self.changes.stopped, *self.changes.reshared):
            duties = [duty for duty in entry.duties if DUTIES[duty].resources]
            if duties and all(self.staying.get(duty, frozenset()) - held for duty in duties):
                held.add(entry.place)
        return frozenset(held)

    def _can_wait(self, process: Process) -> bool:
        """Returns whether nginx may hold back a process from now on until it restarts."""
        place = place_of(process)
        served = [duty for duty in served_by(self.changes.topology, process) if place in self.staying[duty]]
        if any(DUTIES[duty].exclusive and self._alone_but_not_yet(place, duty) for duty in served):
            return False
        if any(len(self.staying[duty]) > 1 for duty in served):
            return True
        gains = self.changes.gains(process)
        return bool(served) and any(map(is_missed, gains)) and replaceable(self.changes.topology, process)

    def _alone_but_not_yet(self, place: Place, duty: str) -> bool:
        others = any(
            duty in entry.duties for entry in self.changes.seen.values() if entry.alive and entry.place != place
        )
        return self.staying[duty] == {place} and others


def take_turns(changes: Changes) -> Turns:
    """Returns in which turn each worker restarts.

    Around a restart of main, half of what serves a duty restarts at once, else one process; each in the earliest turn
    that leaves enough of all its duties.
    """
    taking = _Taking(changes)
    workers = [process for process in changes.stale if not process.is_main]
    workers.sort(
        key=lambda process: (place_of(process) not in changes.receivers, not taking.urgent(process), process.index)
    )
    senders = {entry.place for entry in changes.senders}
    if changes.main_deafens:
        # What the old release still serves is stale or fails; main serves while all of them restart.
        taking.assign_together(workers)
    elif not senders and (late := taking.can_speak_late(workers)):
        taking.assign([process for process in workers if place_of(process) not in late], 0)
        taking.assign([process for process in workers if place_of(process) in late], taking.next_turn)
    elif not senders:
        taking.assign(workers, 0)
    else:
        # Processes that send events come first, because sending waits for them.
        ahead = [process for process in workers if taking.urgent(process) or place_of(process) in senders]
        taking.assign(ahead, 0)
        places = {place_of(process) for process in ahead}
        rest = [process for process in workers if place_of(process) not in places]
        taking.assign(rest, max(1, taking.next_turn))
    return Turns(changes, taking.of, taking.staying)


class _Taking:
    """Assigns turns."""

    def __init__(self, changes: Changes) -> None:
        self.changes = changes
        self.topology = changes.topology
        self.of: dict[Place, int] = {}
        self.staying = {str(duty): self._staying(str(duty)) for duty in serving_duties(self.topology) if duty}
        stale = {place_of(process) for process in changes.stale}
        # Whether nginx has routes to the others already is unknown while its configuration differs.
        self._counts = {
            duty: len(members & stale if changes.proxies else members) for duty, members in self.staying.items()
        }
        self._away: dict[tuple[str, int], int] = {}
        # For each duty, how many turns from the first one on are full.
        self._full: dict[str, int] = {}
        self._senders = {entry.place for entry in changes.senders}

    def _staying(self, duty: str) -> frozenset[Place]:
        found = (self.changes.seen.get(place_of(worker)) for worker in self.topology.with_duty(duty))
        return frozenset(
            entry.place
            for entry in found
            if entry is not None
            and entry.running
            and entry.place not in self.changes.halted
            and (duty in entry.duties or not entry.known)
        )

    def urgent(self, process: Process) -> bool:
        """Returns whether a running process takes over a duty whose requests fail meanwhile."""
        return any(map(is_missed, self.changes.gains(process)))

    def assign(self, workers: Iterable[Process], base: int) -> None:
        """Gives each worker the earliest turn from ``base`` on."""
        for process in workers:
            place = place_of(process)
            duties = [duty for duty in served_by(self.topology, process) if place in self.staying[duty]]
            turn = max([base, self._earliest(process, duties), *(self._full.get(duty, 0) for duty in duties)])
            while not all(self._fits(duty, turn) for duty in duties):
                turn += 1
            self.of[place] = turn
            for duty in duties:
                self._away[duty, turn] = self._away.get((duty, turn), 0) + 1
                while not self._fits(duty, self._full.get(duty, 0)):
                    self._full[duty] = self._full.get(duty, 0) + 1

    def assign_together(self, workers: Iterable[Process]) -> None:
        """Gives all workers the first turn."""
        self.of = dict.fromkeys(map(place_of, workers), 0)

    @property
    def next_turn(self) -> int:
        """The turn after all that were assigned."""
        return max(self.of.values(), default=-1) + 1

    def can_speak_late(self, workers: Iterable[Process]) -> frozenset[Place]:
        """Returns the workers that restart after all others, because these would get no news beside them.

        None if one of them is needed earlier.
        """
        late = [process for process in workers if place_of(process) in self.changes.speakers]
        receivers = {*self.changes.receivers, *(place for taken in self.changes.receivers.values() for place in taken)}
        if any(self.urgent(process) or place_of(process) in receivers for process in late):
            return frozenset()
        return frozenset(map(place_of, late))

    def _fits(self, duty: str, turn: int) -> bool:
        count = self._counts[duty]
        limit = count - count // 2 if self.changes.around_main else 1
        return count <= 1 or self._away.get((duty, turn), 0) < limit

    def _earliest(self, process: Process, duties: Iterable[str]) -> int:
        place = place_of(process)
        earliest = [0]
        if place in self._senders:
            earliest.append(int(self._main_would_send(place)))
        elif self.changes.main is not None and not self.urgent(process) and self._needs_main(process):
            earliest.append(1)
        earliest += [
            self.of[giver] + 1 for giver, taken in self.changes.receivers.items() if place in taken and giver in self.of
        ]
        for duty in duties:
            if self.staying[duty] == {place}:
                earliest += self._after_replacements(place, duty)
        return max(earliest)

    def _main_would_send(self, place: Place) -> bool:
        """Returns whether main would send events instead of a process that restarts in the first turn.

        Persisters with another list run until then, and main has the new one.
        """
        changes = self.changes
        if changes.hold_senders:
            return True
        return not changes.main_is_halted and any(pool == {place} for pool in self._sending_pools)

    @cached_property
    def _sending_pools(self) -> list[frozenset[Place]]:
        """For each duty with requests that write events, the workers that go on and serve it."""
        staying = [
            entry
            for entry in self.changes.seen.values()
            if entry.running and entry.place in self.changes.wanted and entry.place not in self.changes.halted
        ]
        return [
            frozenset(entry.place for entry in staying if {duty, *DUTIES[duty].fallback} & set(entry.duties))
            for duty in SENDERS
        ]

    def _needs_main(self, process: Process) -> bool:
        """Returns whether the main process is the fallback while this process restarts."""
        return any(
            not DUTIES[duty].exclusive and not _has_peers(self.topology, duty)
            for duty in served_by(self.topology, process)
        )

    def _after_replacements(self, place: Place, duty: str) -> Iterable[int]:
        """Returns the turns after those processes that will serve a duty, while only this one does."""
        for other in map(place_of, self.topology.with_duty(duty)):
            if other == place or other in self.changes.receivers.get(place, ()):
                continue
            if other in self.of:
                yield self.of[other] + 1
            elif other not in self.changes.seen or not self.changes.seen[other].running or other in self.changes.halted:
                yield 1
