# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run is about to do to the processes of a fleet: in which order, and why.

Pure: it compares the topology with what a survey of the hosts saw. Whom a change concerns is in ``dependencies``; here
is in which order things must happen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from ..model import layout
from ..model.duties import DUTIES
from ..model.process import MAIN, Process
from ..model.topology import Topology, natural_key
from ..routing.decisions import in_use, serving_duty
from ..synapse.units import unit_of
from .dependencies import held_alone, option_key, sharded_duties
from .reasons import concerns_everybody, reasons_of

_PERSISTER, _SENDER = "events", "room"
"""The duties of who writes events, and of who sends most of them there."""

_POLLED = frozenset(("sync", "initial_sync", "sliding_sync"))
"""Duties with requests that wait for news."""

Place = tuple[str, str]
"""A host and the name of a process on it."""


@dataclass(frozen=True, kw_only=True)
class Observed:
    """One process as a survey saw it.

    Attributes:
        name: the instance, ``main`` or the name of a worker.
        host: where it was seen.
        unit: its systemd unit.
        active: systemd's ``ActiveState``.
        enabled: whether it starts at boot.
        unread: whether systemd has an older unit file than the one on disk.
        known: whether a note tells what it was started with.
        duties: the duties that it was started with.
        changed: inputs that have changed since, by name.
        reloadable: those of them that SIGHUP makes it read anew.
    """

    name: str
    host: str
    unit: str
    active: str = "inactive"
    enabled: bool = False
    unread: bool = False
    known: bool = False
    duties: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    reloadable: tuple[str, ...] = ()

    @property
    def place(self) -> Place:
        """Where it is and what it is called."""
        return self.host, self.name

    @property
    def running(self) -> bool:
        """Whether it is up."""
        return self.active in ("active", "reloading")

    @property
    def alive(self) -> bool:
        """Whether it has a process, or will have one without our doing."""
        return self.active not in ("inactive", "failed")

    @property
    def reason(self) -> str | None:
        """Why it must be restarted; None if it need not."""
        if not self.known:
            return "nothing tells what it was started with"
        changes = [change for change in self.changed if change not in self.reloadable]
        if changes:
            return reasons_of(changes)
        return "systemd has not read its unit file anew" if self.unread else None


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing to do to one process.

    Attributes:
        action: ``start``, ``stop``, ``restart``, ``reload``, ``enable``, ``drain`` (wait until its requests have
            ended), or ``retire`` (stop it for good).
        host: where.
        name: the process.
        unit: its systemd unit.
        reason: why.
        drain: nginx sends it nothing any more, so its requests are waited for first.
    """

    action: str
    host: str
    name: str
    unit: str
    reason: str
    drain: bool = False


@dataclass(frozen=True, kw_only=True)
class Wave:
    """What happens at the same time; the next wave waits for it.

    Attributes:
        proxy: what nginx does first: ``hold`` (send nothing to ``held``, all else as it is), ``apply`` (the new
            configuration, with nothing for ``held``), or None.
        held: processes that get no requests, but those that nobody else could serve.
        steps: then these.
    """

    proxy: str | None = None
    held: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run does.

    Attributes:
        waves: in their order; empty if nothing is to be done.
        effects: what users notice, a sentence each.
    """

    waves: tuple[Wave, ...] = ()
    effects: tuple[str, ...] = ()

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps, in order."""
        return tuple(step for wave in self.waves for step in wave.steps)


@dataclass(frozen=True, kw_only=True)
class _Found:
    """The processes of a fleet, by what becomes of them.

    Attributes:
        leaving: are running, and must be down before anybody starts: they give something up, or send or push by
            another list.
        reshared: persisters that stay, but share the rooms by another list: all must be down before one of them starts.
        started: are wanted and not up.
        stale: are up, and must be restarted.
        retired: are no longer wanted, and may end last.
        reloaded: only have to read something anew.
        disabled: are up, and would not be after a boot.
        reasons: why, for each.
        main_first: the main process has to be up before anybody else starts: it brings the schema to its release.
        one_first: one process has to be up before others start: it deletes the positions of streams of writers that
            are gone. Of processes that try that together, one fails (``stream_positions`` in Synapse's
            storage/util/id_generators.py).
        everybody: all of them stop before any of them starts.
        taken: duties that workers have, so main has not.
        gaining: are up, and get what only one may have: requests for it follow them.
        proxies: what nginx has to do: None if it is not asked in this run, else whether its configuration differs.
    """

    leaving: tuple[Observed, ...]
    reshared: tuple[Observed, ...]
    started: tuple[Process, ...]
    stale: tuple[Process, ...]
    retired: tuple[Observed, ...]
    reloaded: tuple[Process, ...]
    disabled: tuple[Process, ...]
    reasons: Mapping[Place, str]
    main_first: bool
    one_first: bool
    everybody: bool
    taken: frozenset[str]
    gaining: frozenset[Place]
    proxies: bool | None

    @property
    def halted(self) -> tuple[Observed, ...]:
        """All that must be down before others start."""
        return (*self.leaving, *self.reshared)


def make_plan(topology: Topology, observed: Iterable[Observed], hosts: Iterable[str], proxies: bool | None) -> Plan:
    """Compares what the topology wants with what was seen.

    Args:
        topology: what is wanted.
        observed: the processes that were seen.
        hosts: the hosts that were asked; of other hosts nothing is planned.
        proxies: whether the configuration of any nginx differs; None if none is asked in this run.

    Returns:
        The plan; without waves if all is as it should be.
    """
    asked = set(hosts)
    found = _find(topology, {entry.place: entry for entry in observed if entry.host in asked}, asked, proxies)
    waves = [_small_steps(found)]
    if found.halted or any(process.is_main for process in (*found.stale, *found.started)):
        waves += _around_main(topology, found)
    else:
        waves += _rolling(topology, found)
    if proxies is not None:
        waves.append(Wave(proxy="apply"))
    waves.append(
        Wave(steps=tuple(_seen_step("retire", entry, found, drain=proxies is not None) for entry in found.retired))
    )
    touched = bool(proxies) or any(wave.held for wave in waves)
    return Plan(waves=tuple(_tidied(topology, waves, touched)), effects=tuple(_effects(topology, found)))


def _find(topology: Topology, seen: Mapping[Place, Observed], hosts: set[str], proxies: bool | None) -> _Found:
    wanted = {_place(process): process for process in topology.processes if process.host in hosts}
    unwanted = [entry for place, entry in seen.items() if place not in wanted and (entry.alive or entry.enabled)]
    reasons = {entry.place: "the inventory no longer has it here" for entry in unwanted}
    started: set[Place] = set()
    stale, reloaded, disabled = [], [], []
    for place, process in wanted.items():
        entry = seen.get(place)
        if entry is None or not entry.running:
            started.add(place)
            reasons[place] = "new" if entry is None or not entry.enabled else f"it is {entry.active}"
        elif entry.reason is not None:
            stale.append(process)
            reasons[place] = entry.reason
        else:
            if entry.changed:
                reloaded.append(process)
                reasons[place] = reasons_of(entry.changed)
            if not entry.enabled:
                disabled.append(process)
                reasons.setdefault(place, "it is to start at boot")
    alive = [entry for entry in seen.values() if entry.alive]
    staying = [entry for entry in alive if entry.place in wanted and entry.name != MAIN]
    everybody = any(concerns_everybody(change) for entry in staying for change in entry.changed)
    leaving = tuple(entry for entry in alive if _leaves(entry, wanted.get(entry.place), everybody))
    reshared = tuple(entry for entry in alive if entry not in leaving and _shares_anew(entry, _PERSISTER))
    halted_places = {entry.place for entry in (*leaving, *reshared)}
    main = seen.get(_place(topology.main))
    return _Found(
        leaving=leaving,
        reshared=reshared,
        # A halted process is started again after that, if it is wanted.
        started=tuple(process for place, process in wanted.items() if place in started | halted_places),
        stale=tuple(process for process in stale if _place(process) not in halted_places),
        retired=tuple(entry for entry in unwanted if entry.place not in halted_places),
        reloaded=tuple(reloaded),
        disabled=tuple(disabled),
        reasons=reasons,
        main_first=topology.main.host in hosts and (main is None or not main.running or layout.CURRENT in main.changed),
        one_first=main is not None and any(change.startswith(option_key("stream_writers")) for change in main.changed),
        everybody=everybody,
        taken=frozenset(duty for entry in alive if entry.name != MAIN for duty in entry.duties),
        gaining=frozenset(
            _place(process)
            for process in stale
            if any(held_alone(duty) and duty not in seen[_place(process)].duties for duty in process.duties)
        ),
        proxies=proxies,
    )


def _place(process: Process) -> Place:
    return process.host, process.name


def _leaves(entry: Observed, wanted: Process | None, everybody: bool) -> bool:
    """Tells whether a running process must be down before anybody starts.

    Who starts with a list of writers that this one is no longer on would wait for ever for its next position
    (``advance`` in Synapse's storage/util/id_generators.py). Senders and pushers stop at once; nobody waits for them.
    """
    if entry.name == MAIN:
        return wanted is None
    if everybody:
        return wanted is None or entry.reason is not None
    kept = wanted.duties if wanted is not None else ()
    return any(
        held_alone(duty) and (duty not in kept or (duty != _PERSISTER and _shares_anew(entry, duty)))
        for duty in entry.duties
    )


def _shares_anew(entry: Observed, duty: str) -> bool:
    return duty in entry.duties and sharded_duties().get(duty) in entry.changed


def _around_main(topology: Topology, found: _Found) -> Iterator[Wave]:
    """Waves of a change that concerns the main process: it restarts once, and half of each pool goes on meanwhile.

    What nobody does meanwhile, because it was given up or is shared out anew, comes back as early as it may: while
    rooms wait for a persister, only those restart before it that send to it.
    """
    lists = sharded_duties().keys()
    main = [process for process in (*found.stale, *found.started) if process.is_main]
    workers = [process for process in found.stale if not process.is_main]
    new = [process for process in found.started if not process.is_main]
    new += [process for process in workers if _place(process) in found.gaining]
    late = [process for process in new if lists & set(process.duties)]
    soon = [process for process in new if not lists & set(process.duties)]
    others = [process for process in workers if _place(process) not in found.gaining]
    ahead = others
    if any(_PERSISTER in process.duties for process in late):
        ahead = [process for process in others if _SENDER in process.duties]
    others = [process for process in others if process not in ahead]
    first, second = _halves(topology, ahead)
    held_first, held_second = (_proxied(topology, half, found) for half in (first, second))
    known = [process for process in first if process.name in held_first]

    yield Wave(
        proxy="hold" if held_first else None,
        held=held_first,
        steps=tuple(_step("drain", process, "it restarts next", drain=True) for process in known),
    )
    yield Wave(steps=tuple(_halt(topology, entry, found) for entry in found.leaving))
    heirs = [process for process in soon if any(map(_missed, process.duties))]
    if found.one_first and heirs and not (found.main_first or found.everybody):
        # Main waits, unless it gives up what they get: the first of them clears the way as well.
        soon = [process for process in soon if process not in heirs]
        if any(held_alone(duty) and duty not in found.taken for process in heirs for duty in process.duties):
            heirs, main = [*main, *heirs], []
            if not found.reshared and not any(_SENDER in process.duties for process in workers):
                # Nobody is left who sends by an old list.
                heirs += [process for process in late if _PERSISTER in process.duties]
                late = [process for process in late if process not in heirs]
        yield Wave(steps=(_up(heirs[0], found),))
        yield Wave(steps=tuple(_up(process, found) for process in heirs[1:]))
        yield Wave(
            proxy=None if found.proxies is None else "apply",
            held=(*held_first, *(process.name for process in (*soon, *late))),
        )
    if found.main_first or found.one_first:
        yield Wave(steps=tuple(_up(process, found) for process in main))
        main = []
    if late:
        # Those to whom requests go must know the new list before anybody works by it.
        soon, first = [*soon, *known], [process for process in first if process not in known]
    elif not found.halted:
        soon, first = [*soon, *first], []
    yield Wave(steps=tuple(_up(process, found) for process in (*main, *soon)))
    held = held_first if first and not late else held_second
    yield Wave(
        proxy=None if found.proxies is None else "apply",
        held=held,
        steps=tuple(_halt(topology, entry, found) for entry in found.reshared),
    )
    yield Wave(steps=tuple(_up(process, found) for process in late))
    yield Wave(steps=tuple(_up(process, found) for process in first))
    yield Wave(
        proxy="apply" if held_second and held != held_second else None,
        held=held_second if held != held_second else (),
        steps=tuple(
            _up(process, found, drain=process.name in held_second and not _waits_in_vain(process, found))
            for process in second
        ),
    )
    for half in _halves(topology, others):
        held = _proxied(topology, half, found)
        yield Wave(
            proxy=None if found.proxies is None else "apply",
            held=held,
            steps=tuple(_up(process, found, drain=process.name in held) for process in half),
        )


def _missed(duty: str) -> bool:
    """Tells whether requests fail while nobody has a duty that only one may have."""
    return held_alone(duty) and (DUTIES[duty].stream is not None or DUTIES[duty].exclusive)


def _waits_in_vain(process: Process, found: _Found) -> bool:
    """Tells whether requests may hang in a process that still sends to a persister which has left.

    It would try for half a minute (``RETRY_ON_CONNECT_ERROR`` in Synapse's replication/http/_base.py). Cut off, clients
    send again, to who knows the new list; other requests have had their time since nginx left the process out.
    """
    left = any(_PERSISTER in entry.duties for entry in found.leaving)
    return left and _SENDER in process.duties and not _POLLED & set(process.duties)


def _rolling(topology: Topology, found: _Found) -> Iterator[Wave]:
    """Waves of a change that concerns workers alone: what is new first, then one member of each pool at a time."""
    yield Wave(steps=tuple(_up(process, found) for process in found.started))
    pools: dict[tuple[str, str], list[Process]] = {}
    for process in found.stale:
        pools.setdefault((process.group, process.pool), []).append(process)
    for turn in range(max(map(len, pools.values()), default=0)):
        members = [pool[turn] for pool in pools.values() if turn < len(pool)]
        held = _proxied(topology, members, found)
        yield Wave(
            proxy="apply" if held else None,
            held=held,
            steps=tuple(_up(process, found, drain=process.name in held) for process in members),
        )


def _halves(topology: Topology, stale: Sequence[Process]) -> tuple[list[Process], list[Process]]:
    """Splits processes so that each pool of several keeps a half running, while the other half restarts.

    Who is alone in its pool and has no stand-in restarts with the first half, beside main: it is away either way.
    """
    size: dict[tuple[str, str], int] = {}
    for process in topology.processes:
        size[process.group, process.pool] = size.get((process.group, process.pool), 0) + 1
    turn: dict[tuple[str, str], int] = {}
    first: list[Process] = []
    second: list[Process] = []
    for process in stale:
        key = process.group, process.pool
        turn[key] = turn.get(key, 0) + 1
        waits = _replaceable(topology, process) if size[key] == 1 else turn[key] % 2 == 0
        (second if waits else first).append(process)
    return first, second


def _replaceable(topology: Topology, process: Process) -> bool:
    """Tells whether nginx has somebody else for all that it sends to a process."""
    served = _served(topology, process)
    return bool(served) and all(_stands_in(topology, process, duty) for duty in served)


def _stands_in(topology: Topology, process: Process, duty: str) -> bool:
    """Tells whether somebody else serves a duty while a process is away: another worker, or main."""
    return not DUTIES[duty].exclusive or _peers(topology, process, duty)


def _peers(topology: Topology, process: Process, duty: str) -> bool:
    return any(worker.name != process.name for worker in topology.with_duty(duty))


def _served(topology: Topology, process: Process) -> list[str]:
    return [duty for duty in process.duties if duty in _serving(topology)]


@lru_cache(maxsize=8)
def _serving(topology: Topology) -> frozenset[str | None]:
    return frozenset(serving_duty(topology, duty) for duty in in_use(topology))


def _proxied(topology: Topology, processes: Iterable[Process], found: _Found) -> tuple[str, ...]:
    """Returns the names of those that nginx leaves out, because others do in their stead all or some of what they do.

    What nobody else does is sent to them until they stop: nginx keeps who is alone in an upstream.
    """
    if found.proxies is None:
        return ()
    return tuple(
        process.name
        for process in processes
        if not process.is_main
        and (
            _replaceable(topology, process)
            or any(_peers(topology, process, duty) for duty in _served(topology, process))
        )
    )


def _step(action: str, process: Process, reason: str, *, drain: bool = False) -> Step:
    return Step(action=action, host=process.host, name=process.name, unit=unit_of(process), reason=reason, drain=drain)


def _up(process: Process, found: _Found, *, drain: bool = False) -> Step:
    action = "restart" if _place(process) in {_place(stale) for stale in found.stale} else "start"
    return _step(action, process, found.reasons[_place(process)], drain=drain)


def _halt(topology: Topology, entry: Observed, found: _Found) -> Step:
    wanted = any(_place(process) == entry.place for process in topology.processes)
    return _seen_step("stop" if wanted else "retire", entry, found)


def _seen_step(action: str, entry: Observed, found: _Found, *, drain: bool = False) -> Step:
    reason = found.reasons[entry.place]
    return Step(action=action, host=entry.host, name=entry.name, unit=entry.unit, reason=reason, drain=drain)


def _small_steps(found: _Found) -> Wave:
    steps = [("reload", process) for process in found.reloaded] + [("enable", process) for process in found.disabled]
    return Wave(steps=tuple(_step(action, process, found.reasons[_place(process)]) for action, process in steps))


def _tidied(topology: Topology, waves: Iterable[Wave], proxies_change: bool) -> Iterator[Wave]:
    """Leaves out waves of nothing, and what nginx has done already; whom nobody replaces is the first of a wave."""
    replaceable = {process.name for process in topology.processes if _replaceable(topology, process)}
    last: tuple[str | None, tuple[str, ...]] = (None, ())
    for wave in waves:
        proxy: tuple[str | None, tuple[str, ...]] = (wave.proxy, wave.held)
        needed = wave.proxy is not None and proxies_change and proxy != last
        if needed:
            last = proxy
        if wave.steps or needed:
            steps = sorted(
                wave.steps,
                key=lambda step: (natural_key(step.host), step.name in replaceable, natural_key(step.name)),
            )
            yield Wave(proxy=wave.proxy if needed else None, held=wave.held if needed else (), steps=tuple(steps))


def _effects(topology: Topology, found: _Found) -> Iterator[str]:
    """Says what users notice."""
    restarted = {process.name for process in found.stale} | {entry.name for entry in found.halted}
    if found.everybody:
        yield "Everything is away for some seconds."
        return
    if MAIN in restarted:
        yield "What only the main process serves is away for some seconds."
    duties = {duty for entry in found.halted for duty in entry.duties}
    if _PERSISTER in duties or any(_PERSISTER in process.duties for process in found.stale):
        yield "Sending waits for some seconds; what was acknowledged stays."
    if "federation_sender" in duties:
        yield "Other servers get messages some seconds later."
    if "pusher" in duties:
        yield "Push notifications come some seconds later."
    alone = sorted(
        {
            duty
            for process in topology.workers
            if process.name in restarted
            for duty in _served(topology, process)
            if DUTIES[duty].exclusive and len(topology.with_duty(duty)) == 1
        }
    )
    if alone:
        yield f"Requests for {', '.join(alone)} fail for some seconds; clients ask again."
    members = [process for process in found.stale if _replaceable(topology, process)]
    if members and MAIN not in restarted:
        yield "Nothing else: other processes answer while one restarts."
