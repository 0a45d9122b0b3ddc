# SPDX-License-Identifier: GPL-3.0-or-later
"""The change of each process: which processes stop, start, restart or reload, and which duties they hand over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from ..model import layout
from ..model.duties import DUTIES
from ..model.process import MAIN, Process
from ..model.topology import Topology
from ..routing.decisions import serving_duty
from .dependencies import needs_handover, option_key, sharded_duties
from .observed import Observed, Place, place_of
from .reasons import concerns_all, reasons_of
from .replication import unknown_writers, writes

PERSISTER = "events"
"""The duty that writes events."""

SENDERS = ("room", "client_reader", "federation_reader", "federation_inbound", "login")
"""Duties with requests that write events, which their processes send to a persister by their own list."""

_LISTS = option_key("stream_writers")
_PERSISTERS = option_key(f"stream_writers.{PERSISTER}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Changes:
    """The processes of a fleet, grouped by their change.

    Attributes:
        topology: what is wanted.
        wanted: the processes that are wanted on the hosts that were asked.
        seen: the processes that were seen there.
        stopped: run, and must be down before any process starts: they hand over a duty, or send or push by another
            list.
        reshared: persisters that stay, but shard rooms by another list, and processes that become persisters: all
            must be down before one of them starts.
        started: are wanted and not up, or will be stopped.
        stale: are up, and must be restarted.
        retired: are no longer wanted, and may end last.
        reloaded: only have to reload files.
        disabled: are up, but not enabled at boot.
        reasons: the reason of each change.
        receivers: for processes that hand over a single-worker duty when they restart: the processes that take it.
        senders: run with another list of persisters than the one that is wanted, and send events by it.
        main_first: the main process has to be up before any other process starts: it updates the database schema.
        one_first: one process has to be up before others start: it deletes the positions of streams of writers that
            are gone. Of processes that try that together, one fails (``stream_positions`` in Synapse's
            storage/util/id_generators.py).
        hold_senders: senders that no longer know where events are written must get no requests before main starts.
        full_stop: all processes stop before any of them starts.
        deafened: the running processes that get no news while processes of the wanted release are up, because they do
            not know streams of theirs; with the places of these.
        proxies: whether the configuration of nginx differs; None if the run does not include nginx.
    """

    topology: Topology
    wanted: Mapping[Place, Process]
    seen: Mapping[Place, Observed]
    stopped: tuple[Observed, ...]
    reshared: tuple[Observed, ...]
    started: tuple[Process, ...]
    stale: tuple[Process, ...]
    retired: tuple[Observed, ...]
    reloaded: tuple[Process, ...]
    disabled: tuple[Process, ...]
    reasons: Mapping[Place, str]
    receivers: Mapping[Place, frozenset[Place]]
    senders: tuple[Observed, ...]
    main_first: bool
    one_first: bool
    hold_senders: bool
    full_stop: bool
    deafened: Mapping[Place, frozenset[Place]]
    proxies: bool | None

    @cached_property
    def main(self) -> Process | None:
        """The main process, if it restarts or starts."""
        return next((process for process in (*self.stale, *self.started) if process.is_main), None)

    @cached_property
    def halted(self) -> frozenset[Place]:
        """Everything that stops before other processes start."""
        return frozenset(entry.place for entry in (*self.stopped, *self.reshared))

    @cached_property
    def main_is_halted(self) -> bool:
        """Whether the main process stops before other processes start."""
        return self.main is not None and place_of(self.main) in self.halted

    @cached_property
    def around_main(self) -> bool:
        """Whether main or other processes stop: then half of each pool restarts at once, else one process of each."""
        return bool(self.halted or self.senders) or self.main is not None

    @cached_property
    def persisters_change(self) -> bool:
        """Whether processes run with another list of persisters than the one that is wanted."""
        return _persisters_change(self.seen)

    @cached_property
    def main_deafens(self) -> bool:
        """Whether workers get no news from the moment in which the main process is up."""
        main = place_of(self.topology.main)
        return any(main in places for places in self.deafened.values())

    @cached_property
    def speakers(self) -> frozenset[Place]:
        """The processes whose restart cuts running ones off from all news."""
        return frozenset().union(*self.deafened.values())

    @cached_property
    def taken(self) -> frozenset[str]:
        """Duties that workers have now, so main does not."""
        return frozenset(duty for entry in self.seen.values() if _is_worker(entry) for duty in entry.duties)

    @cached_property
    def main_sends(self) -> bool:
        """Whether the main process serves requests that write events, before, after, or while others are down."""
        staying = frozenset(
            duty
            for entry in self.seen.values()
            if _is_worker(entry) and entry.place not in self.halted
            for duty in entry.duties
        )
        return any(
            serving_duty(self.topology, duty) is None or staying.isdisjoint((duty, *DUTIES[duty].fallback))
            for duty in SENDERS
        )

    def gains(self, process: Process) -> frozenset[str]:
        """Returns the duties that a running process takes over, of those that need a handover."""
        before = self.seen[place_of(process)].duties
        return frozenset(duty for duty in process.duties if needs_handover(duty) and duty not in before)


def find_changes(
    topology: Topology,
    observed: Iterable[Observed],
    hosts: Collection[str],
    proxies: bool | None,
    *,
    moved: bool = False,
) -> Changes:
    """Compares the topology with the processes that the survey found.

    Args:
        topology: what is wanted.
        observed: the processes that were seen.
        hosts: the surveyed hosts; other hosts get no steps.
        proxies: whether the configuration of any nginx differs; None if the run does not include nginx.
        moved: whether a service below Synapse will be reached elsewhere, so that no running process finds it.
    """
    seen = {entry.place: entry for entry in observed if entry.host in hosts}
    wanted = {place_of(process): process for process in topology.processes if process.host in hosts}
    unwanted = [entry for place, entry in seen.items() if place not in wanted and (entry.alive or entry.enabled)]
    full_stop = _all_stop(topology, wanted, seen, moved=moved)
    receivers = {} if full_stop or _persisters_change(seen) else dict(_handovers(topology, wanted, seen))
    main = seen.get(place_of(topology.main))
    main_first = topology.main.host in hosts and (main is None or not main.running or layout.CURRENT in main.changed)
    stopped, reshared = _halted(wanted, seen, receivers, full_stop)
    halted = {entry.place for entry in (*stopped, *reshared)}
    senders = () if full_stop else _old_senders(wanted, seen, halted)
    persisted = main is not None and _main_persisted(topology, seen, main)
    holds = main_first or not _take_turns(senders) or _stopped_before(topology, seen)
    if main is not None and persisted and senders and not holds:
        # Half of the senders get the new list while main is down, since the others would go on to send to it.
        stopped.append(main)
        halted.add(main.place)
    up = {place: process for place, process in wanted.items() if place in seen and seen[place].running}
    steady = {place: process for place, process in up.items() if seen[place].reason is None and place not in halted}
    return Changes(
        topology=topology,
        wanted=wanted,
        seen=seen,
        stopped=tuple(stopped),
        reshared=tuple(reshared),
        # A halted process is started again after that, if it is wanted.
        started=tuple(process for place, process in wanted.items() if place not in up or place in halted),
        stale=tuple(process for place, process in up.items() if place not in halted and place not in steady),
        retired=tuple(entry for entry in unwanted if entry.place not in halted),
        reloaded=tuple(process for place, process in steady.items() if seen[place].changed),
        disabled=tuple(process for place, process in steady.items() if not seen[place].enabled),
        reasons={
            **{entry.place: "the inventory no longer assigns it to this host" for entry in unwanted},
            **{place: _reason(seen.get(place), process) for place, process in wanted.items()},
        },
        receivers=receivers,
        senders=senders,
        main_first=main_first,
        one_first=main is not None and any(change.startswith(_LISTS) for change in main.changed),
        hold_senders=bool(senders) and holds and (main is None or not main.running or persisted),
        full_stop=full_stop,
        deafened=_deafened(topology, wanted, seen),
        proxies=proxies,
    )


def _reason(entry: Observed | None, wanted: Process) -> str:
    if entry is None or not entry.running:
        return "new" if entry is None or not entry.enabled else f"it is {entry.active}"
    if entry.reason is not None:
        return entry.reason
    if given := _given_up(entry, wanted):
        return f"it hands over {', '.join(given)}"
    return reasons_of(entry.changed) if entry.changed else "it is not enabled at boot"


def _is_worker(entry: Observed) -> bool:
    return entry.alive and entry.name != MAIN


def _concerns_all(wanted: Mapping[Place, Process], seen: Mapping[Place, Observed]) -> bool:
    staying = [entry for entry in seen.values() if _is_worker(entry) and entry.place in wanted]
    return any(concerns_all(change) for entry in staying for change in entry.changed)


def _all_stop(
    topology: Topology, wanted: Mapping[Place, Process], seen: Mapping[Place, Observed], *, moved: bool
) -> bool:
    """Returns whether no process may run as it does while others run as it is wanted."""
    return (
        (moved and any(entry.alive and entry.reason is not None for entry in seen.values()))
        or _concerns_all(wanted, seen)
        or _a_writer_moves(wanted, seen)
        or any(_is_too_new(topology, entry) for entry in seen.values())
    )


def _a_writer_moves(wanted: Mapping[Place, Process], seen: Mapping[Place, Observed]) -> bool:
    """Returns whether others would go on to call a writer of a stream at the address that it leaves."""
    addresses = {
        option_key(f"instance_map.{entry.name}")
        for entry in seen.values()
        if entry.alive
        and entry.place in wanted
        and any(DUTIES[duty].stream is not None for duty in set(entry.duties) & set(wanted[entry.place].duties))
    }
    return any(addresses.intersection(entry.changed) for entry in seen.values() if entry.alive)


def _is_too_new(topology: Topology, entry: Observed) -> bool:
    """Returns whether processes of the wanted, lower release would get no news beside a running one."""
    release = entry.release
    return (
        release is not None
        and entry.alive
        and release > topology.release
        and bool(unknown_writers(topology.release, release))
    )


def _deafened(
    topology: Topology, wanted: Mapping[Place, Process], seen: Mapping[Place, Observed]
) -> dict[Place, frozenset[Place]]:
    found = {}
    for entry in seen.values():
        if entry.release is None or not entry.running:
            continue
        unknown = unknown_writers(entry.release, topology.release)
        places = frozenset(
            place for place, process in wanted.items() if place != entry.place and unknown & writes(topology, process)
        )
        if places:
            found[entry.place] = places
    return found


def _halted(
    wanted: Mapping[Place, Process],
    seen: Mapping[Place, Observed],
    receivers: Collection[Place],
    full_stop: bool,
) -> tuple[list[Observed], list[Observed]]:
    """Returns the processes that must be down before any process starts, and the persisters with another list."""
    alive = [entry for entry in seen.values() if entry.alive and entry.place not in receivers]
    stopped = [entry for entry in alive if _leaves(entry, wanted.get(entry.place), full_stop)]
    places = {entry.place for entry in stopped}
    reshared = [
        entry for entry in alive if entry.place not in places and _gets_new_list(entry, wanted.get(entry.place))
    ]
    return stopped, reshared


def _gets_new_list(entry: Observed, wanted: Process | None) -> bool:
    """Returns whether a process writes events, or will, and runs with another list of persisters."""
    becomes = entry.known and wanted is not None and PERSISTER in wanted.duties and PERSISTER not in entry.duties
    return becomes or _shard_list_changes(entry, PERSISTER)


def _leaves(entry: Observed, wanted: Process | None, full_stop: bool) -> bool:
    """Returns whether a running process must be down before any process starts.

    A process that starts with a list of writers without this one would wait forever for its next position (``advance``
    in Synapse's storage/util/id_generators.py). Senders and pushers stop at once; no request waits for them.
    """
    if entry.name == MAIN:
        return wanted is None
    if full_stop:
        return wanted is None or entry.reason is not None
    kept = wanted.duties if wanted is not None else ()
    return any(
        needs_handover(duty) and (duty not in kept or (duty != PERSISTER and _shard_list_changes(entry, duty)))
        for duty in entry.duties
    )


def _shard_list_changes(entry: Observed, duty: str) -> bool:
    return duty in entry.duties and sharded_duties().get(duty) in entry.changed


def _handovers(
    topology: Topology, wanted: Mapping[Place, Process], seen: Mapping[Place, Observed]
) -> Iterator[tuple[Place, frozenset[Place]]]:
    """Returns the processes that can hand over a duty when they restart, with those that take it.

    That is a duty for one worker that is no stream: it may pause, so the old process restarts in its turn, before
    the new one. Processes that also hand over another duty, or take one from a receiver, have to stop.
    """
    givers = {
        entry.place: given
        for entry in seen.values()
        if _is_worker(entry) and (given := _given_up(entry, wanted.get(entry.place)))
    }
    for place, given in givers.items():
        if place not in wanted or not _may_pause(seen[place], wanted[place], given):
            continue
        receivers = frozenset(place_of(worker) for duty in given for worker in topology.with_duty(duty))
        to_main = any(not topology.with_duty(duty) for duty in given)
        if not to_main and not receivers & givers.keys():
            yield place, receivers


def _given_up(entry: Observed, wanted: Process | None) -> list[str]:
    kept = wanted.duties if wanted is not None else ()
    return [duty for duty in entry.duties if needs_handover(duty) and duty not in kept]


def _may_pause(entry: Observed, process: Process, given: Iterable[str]) -> bool:
    """Returns whether a process hands over only duties that may pause, and restarts in turn with its peers."""
    serves = any(DUTIES[duty].resources and not needs_handover(duty) for duty in process.duties)
    lasting = any(DUTIES[duty].stream is not None or duty in sharded_duties() for duty in given)
    return (
        serves
        and not lasting
        and entry.reason is not None
        and not any(_shard_list_changes(entry, duty) for duty in sharded_duties())
    )


def _persisters_change(seen: Mapping[Place, Observed]) -> bool:
    return any(_PERSISTERS in entry.changed for entry in seen.values() if entry.alive)


def _old_senders(
    wanted: Mapping[Place, Process], seen: Mapping[Place, Observed], halted: Collection[Place]
) -> tuple[Observed, ...]:
    """Returns the workers that send events by another list of persisters than the one that is wanted."""
    if not _persisters_change(seen):
        return ()
    return tuple(
        entry
        for entry in seen.values()
        if _is_worker(entry)
        and entry.place not in halted
        and (_PERSISTERS in entry.changed or not entry.known or entry.place not in wanted)
        and set(SENDERS) & set(entry.duties or (wanted[entry.place].duties if entry.place in wanted else ()))
    )


def _take_turns(senders: Iterable[Observed]) -> bool:
    """Returns whether some senders go on while others restart."""
    counts = Counter(duty for entry in senders for duty in entry.duties if duty in SENDERS)
    return any(count > 1 for count in counts.values())


def _main_persisted(topology: Topology, seen: Mapping[Place, Observed], main: Observed) -> bool:
    """Returns whether the running main process may write events, and workers will."""
    return (
        main.alive
        and _PERSISTERS in main.changed
        and bool(topology.with_duty(PERSISTER))
        and not any(PERSISTER in entry.duties for entry in seen.values() if _is_worker(entry))
    )


def _stopped_before(topology: Topology, seen: Mapping[Place, Observed]) -> bool:
    """Returns whether a run that was cut off has stopped persisters; it is unknown whether they were that before."""
    entries = (seen.get(place_of(worker)) for worker in topology.with_duty(PERSISTER))
    return any(entry is not None and entry.enabled and not entry.alive for entry in entries)
