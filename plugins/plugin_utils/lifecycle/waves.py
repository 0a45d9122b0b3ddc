# SPDX-License-Identifier: GPL-3.0-or-later
"""The waves of a plan: the steps of each level of the graph, and what nginx does before them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from ..model.topology import natural_key
from .changes import SENDERS
from .observed import Place, place_of
from .order import FINAL, ROUTES, SWITCH, Node, Order
from .steps import Step, Wave
from .turns import replaceable, served_by

Interval = tuple[int, int]
"""The first and the last wave in which nginx holds back a process."""


def make_waves(order: Order, levels: Mapping[Node, int]) -> tuple[Wave, ...]:
    """Returns the waves: the steps of each level, and what nginx does first."""
    steps: dict[int, list[Step]] = {}
    for node, step in order.graph.steps.items():
        steps.setdefault(levels[node], []).append(step)
    proxies = _proxies(order, levels)
    last = {process.name for process in order.topology.processes if replaceable(order.topology, process)}
    return tuple(
        Wave(proxy=proxy, held=held, steps=_sorted(steps.get(level, ()), last))
        for level in sorted({*steps, *proxies})
        for proxy, held in [proxies.get(level, (None, ()))]
    )


def _sorted(steps: Iterable[Step], last: set[str]) -> tuple[Step, ...]:
    """Returns steps by host; processes that no other one replaces come first."""
    return tuple(sorted(steps, key=lambda step: (natural_key(step.host), step.name in last, natural_key(step.name))))


def _proxies(order: Order, levels: Mapping[Node, int]) -> dict[int, tuple[str, tuple[str, ...]]]:
    """Returns the changes of nginx at the beginning of each wave that has any."""
    changes = order.changes
    if changes.proxies is None:
        return {}
    intervals = dict(_intervals(order, levels))
    position = {place: number for number, place in enumerate(dict.fromkeys((*changes.wanted, *changes.seen)))}
    found: dict[int, tuple[str, tuple[str, ...]]] = {}
    current: frozenset[Place] = frozenset()
    for level in range(levels[FINAL] + 1):
        wanted = frozenset(place for place, (first, last) in intervals.items() if first <= level <= last)
        due = (
            bool(wanted - current)
            or (level == levels[ROUTES] and changes.proxies)
            or (level in (levels[SWITCH], levels[FINAL]) and wanted != current)
        )
        if due:
            held = tuple(name for _, name in sorted(wanted, key=position.__getitem__))
            found[level] = ("apply" if level >= levels[ROUTES] else "hold", held)
            current = wanted
    return found


def _intervals(order: Order, levels: Mapping[Node, int]) -> Iterator[tuple[Place, Interval]]:
    """Returns the processes that nginx holds back, and when."""
    switch = levels[SWITCH]
    senders = order.old_senders
    for node in order.drains:
        place = node[1], node[2]
        last = levels[order.up[place]] if place in order.up else levels["retire", *place]
        if place in order.changes.halted:
            last = min(levels[kind, *place] for kind in ("stop", "retire") if (kind, *place) in levels)
        yield place, (levels[node], max(last, switch - 1) if place in senders else last)
    early = order.turns.held_back_early
    for process in order.changes.stale:
        place = place_of(process)
        if place not in early and order.is_held_back(process):
            yield from _in_its_turn(order, levels, place)
    for process in order.changes.started:
        yield from _new(order, levels, place_of(process))
    for entry in order.changes.retired:
        if entry.place in senders and switch < levels[ROUTES]:
            yield entry.place, (switch, levels[ROUTES] - 1)


def _in_its_turn(order: Order, levels: Mapping[Node, int], place: Place) -> Iterator[tuple[Place, Interval]]:
    """Returns when nginx holds back a process that restarts in its turn."""
    level, switch = levels[order.up[place]], levels[SWITCH]
    first_turn = order.changes.around_main and not order.turns.of[place]
    if place in order.old_senders:
        # Until then it must not send by the new list, or from then on not by the old one.
        interval = (level, switch - 1) if first_turn else (switch, level)
    else:
        interval = (level, level - first_turn)
    if interval[0] <= interval[1]:
        yield place, interval


def _new(order: Order, levels: Mapping[Node, int], place: Place) -> Iterator[tuple[Place, Interval]]:
    """Returns when nginx does not yet send requests to a process that starts.

    That is while nginx has the new routes and the process is not up, and until the persisters have its list.
    """
    process = order.changes.wanted[place]
    if process.is_main or not served_by(order.topology, process):
        return
    first, last = levels[ROUTES], levels[order.up[place]]
    if order.switches and set(SENDERS) & set(process.duties):
        first, last = min(first, last), max(last, levels[SWITCH] - 1)
    if first <= last:
        yield place, (first, last)
