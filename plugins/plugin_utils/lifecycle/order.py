# SPDX-License-Identifier: GPL-3.0-or-later
"""The order of a plan: steps, edges "A before B, because ...", and the waves that follow from them.

An edge joins two groups of steps. A step is in the wave after its last predecessor, and no later. Changes of nginx
are nodes of the graph too: nginx comes first in a wave, so steps that depend on it may be in the same wave.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

from ..model.duties import DUTIES
from ..model.process import Process
from ..synapse.units import unit_of
from .changes import PERSISTER, SENDERS, Changes
from .dependencies import needs_handover, sharded_duties
from .observed import Observed, ServiceNeed, place_of
from .steps import Step
from .turns import Turns, can_be_held_back, is_missed, served_by

ROUTES = ("nginx", "", "routes")
"""nginx gets its new configuration."""
SWITCH = ("nginx", "", "senders")
"""nginx holds back processes that send events by the old list of persisters."""
FINAL = ("nginx", "", "end")
"""nginx holds back no process."""

_TEXTS = {
    ROUTES: "nginx has its new configuration",
    SWITCH: "nginx holds back the processes that send by the old list of persisters",
    FINAL: "nginx holds back no process",
}
_SHOWN = 4
_POLLED = frozenset(("sync", "initial_sync", "sliding_sync"))
"""Duties with requests that wait for news."""

Node = tuple[str, str, str]
"""An action, a host, and a process or service."""


@dataclass(frozen=True)
class Edge:
    """All steps of one group come before all steps of another one.

    Attributes:
        before: the group that comes first.
        after: the group that waits for it.
        because: the reason.
    """

    before: tuple[Node, ...]
    after: tuple[Node, ...]
    because: str


@dataclass(eq=False)
class Graph:
    """Steps and edges between them.

    Attributes:
        steps: the steps.
        edges: the edges.
    """

    steps: dict[Node, Step] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)

    def add(self, step: Step) -> Node:
        """Adds a step and returns its node."""
        kind = "up" if step.action in ("start", "restart") and not step.title else step.action
        node = kind, step.host, step.name
        self.steps[node] = step
        return node

    def before(self, first: Iterable[Node], then: Iterable[Node], because: str) -> None:
        """Adds an edge; a node in both groups does not precede itself."""
        earlier = tuple(dict.fromkeys(first))
        later = tuple(node for node in dict.fromkeys(then) if node not in set(earlier))
        if earlier and later:
            self.edges.append(Edge(earlier, later, because))

    def levels(self) -> dict[Node, int]:
        """Returns the wave of each node, from 0.

        Raises:
            ValueError: the edges form a cycle.
        """
        into: dict[Node, list[int]] = {node: [] for node in (*self.steps, *_TEXTS)}
        out: dict[Node, list[int]] = {node: [] for node in into}
        for number, edge in enumerate(self.edges):
            for node in edge.after:
                into[node].append(number)
            for node in edge.before:
                out[node].append(number)
        left = [len(edge.before) for edge in self.edges]
        earliest = [0] * len(self.edges)
        waiting = {node: len(numbers) for node, numbers in into.items()}
        level = dict.fromkeys(into, 0)
        ready = [node for node, count in waiting.items() if not count]
        while ready:
            node = ready.pop()
            for number in out[node]:
                left[number] -= 1
                earliest[number] = max(earliest[number], level[node] + _takes(node))
                if left[number]:
                    continue
                for later in self.edges[number].after:
                    level[later] = max(level[later], earliest[number])
                    waiting[later] -= 1
                    if not waiting[later]:
                        ready.append(later)
        if any(waiting.values()):
            raise ValueError(f"the order of the plan has a cycle: {[node for node in into if waiting[node]]}")
        return level


def _takes(node: Node) -> int:
    """Returns how many waves later the next node is: steps that wait for nginx are in the same wave."""
    return 0 if node in (ROUTES, SWITCH) else 1


def lines(graph: Graph, levels: Mapping[Node, int]) -> Iterator[str]:
    """Returns one line for each edge, in the order of the waves."""
    for edge in sorted(graph.edges, key=lambda edge: max(levels[node] for node in edge.before)):
        yield f"{_group(graph, edge.before)} before {_group(graph, edge.after)}: {edge.because}"


def _group(graph: Graph, nodes: Sequence[Node]) -> str:
    texts = [_TEXTS[node] for node in nodes if node in _TEXTS]
    actions: dict[str, list[str]] = {}
    for node in nodes:
        if node in graph.steps:
            step = graph.steps[node]
            actions.setdefault(step.action, []).append(step.title or step.name)
    for action, names in actions.items():
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        texts.append(f"{action} {', '.join(names[:_SHOWN])}{more}")
    return "; ".join(texts)


class Order:
    """The graph of one plan, and the groups of steps that its edges connect."""

    def __init__(self, changes: Changes, turns: Turns, needs: Iterable[ServiceNeed]) -> None:
        self.changes, self.turns = changes, turns
        self.topology = changes.topology
        self.started = frozenset(map(place_of, changes.started))
        self.old_senders = frozenset(entry.place for entry in changes.senders)
        self.graph = Graph()
        self.services = [self.graph.add(_service_step(need)) for need in needs]
        self._add_small_steps()
        self.drains = [self._seen_step("drain", place, "it restarts next") for place in self._drained()]
        self.stops = [self._stop(entry) for entry in changes.stopped]
        self.closes = [self._stop(entry) for entry in changes.reshared]
        self.up = {place_of(process): self._up(process) for process in (*changes.stale, *changes.started)}
        self.retired = [
            self._seen_step("retire", entry.place, changes.reasons[entry.place], drain=changes.proxies is not None)
            for entry in changes.retired
        ]
        self.main = self.up[place_of(changes.main)] if changes.main is not None else None
        self._sort_out()
        self.first = self._choose_first()
        for rule in (*_RULES, *_RULES_OF_SENDERS):
            rule(self)

    def _add_small_steps(self) -> None:
        for action, processes in (("reload", self.changes.reloaded), ("enable", self.changes.disabled)):
            for process in processes:
                self.graph.add(_step(action, process, self.changes.reasons[place_of(process)]))

    def _drained(self) -> list[tuple[str, str]]:
        early = self.turns.held_back_early
        return [place for place in self.changes.seen if place in early]

    def _seen_step(self, action: str, place: tuple[str, str], reason: str, *, drain: bool = False) -> Node:
        entry = self.changes.seen[place]
        drain = drain or action == "drain"
        return self.graph.add(
            Step(action=action, host=entry.host, name=entry.name, unit=entry.unit, reason=reason, drain=drain)
        )

    def _stop(self, entry: Observed) -> Node:
        action = "stop" if entry.place in self.changes.wanted else "retire"
        return self._seen_step(action, entry.place, self.changes.reasons[entry.place])

    def _up(self, process: Process) -> Node:
        place = place_of(process)
        turn = self.turns.of.get(place)
        waited = turn is not None and (turn > 0 or not self.changes.around_main)
        return self.graph.add(
            _step(
                "start" if turn is None and place in self.started else "restart",
                process,
                self.changes.reasons[place],
                drain=waited and self.is_held_back(process) and not self._waits_for_old_persister(process),
            )
        )

    def is_held_back(self, process: Process) -> bool:
        """Returns whether nginx holds back a process while it restarts, for all or some of its requests."""
        if self.changes.proxies is None or process.is_main:
            return False
        sends = place_of(process) in self.old_senders and bool(served_by(self.topology, process))
        return sends or can_be_held_back(self.topology, process)

    def _waits_for_old_persister(self, process: Process) -> bool:
        """Returns whether requests may hang in a process that still sends to a removed persister.

        The process retries for half a minute (``RETRY_ON_CONNECT_ERROR`` in Synapse's replication/http/_base.py).
        Disconnected clients retry, with a process that has the new list; other requests had time to end since nginx
        held back the process.
        """
        left = any(PERSISTER in entry.duties or entry.name == "main" for entry in self.changes.stopped)
        return left and bool(set(SENDERS) & set(process.duties)) and not _POLLED & set(process.duties)

    def _sort_out(self) -> None:
        """Sorts the processes that start into groups, by urgency."""
        changes = self.changes
        self.takeovers: list[Node] = []
        self.needed: list[Node] = []
        self.deferred: list[Node] = []
        self.persisters: list[Node] = []
        self.lists: list[Node] = []
        early = [process for process in changes.stale if self.turns.of.get(place_of(process)) == 0]
        gaining = [process for process in early if any(map(is_missed, changes.gains(process)))]
        self.takeovers += [self.up[place_of(process)] for process in gaining]
        urgent = set(self.takeovers)
        for process in changes.started:
            if not process.is_main:
                self._group_of(process).append(self.up[place_of(process)])
        if not self.takeovers:
            # There is no reason to wait.
            self.needed, self.deferred = [*self.needed, *self.deferred], []
        self.early = [node for process in early if (node := self.up[place_of(process)]) not in urgent]
        self.later = [[self.up[place_of(process)] for process in group] for group in self.turns.groups[1:]]
        self.givers = [self.up[place] for place in changes.receivers]
        self.takers = {
            self.up[place]: place for places in changes.receivers.values() for place in places if place in self.up
        }
        self.late_givers = [self.up[place] for place in changes.receivers if self.turns.of[place] > 0]
        self.sending = [self.up[entry.place] for entry in changes.senders if self.turns.of.get(entry.place) == 0]

    def _group_of(self, process: Process) -> list[Node]:
        changes = self.changes
        if PERSISTER in process.duties or self._may_have_persisted(process):
            return self.persisters
        if sharded_duties().keys() & set(process.duties) and not served_by(self.topology, process):
            return self.lists
        if changes.full_stop or not any(entry.running for entry in changes.seen.values()):
            return self.needed
        if any(map(is_missed, process.duties)):
            return self.takeovers
        replaces = any(self._was_served(duty) for duty in served_by(self.topology, process))
        return self.needed if replaces else self.deferred

    def _may_have_persisted(self, process: Process) -> bool:
        """Returns whether processes with the old list of persisters may send to a process until nginx holds them back.

        The former duties of a process that an interrupted run has stopped are unknown.
        """
        before = self.changes.seen.get(place_of(process))
        if before is None:
            return False
        return PERSISTER in before.duties or (bool(self.changes.senders) and before.enabled and not before.alive)

    def _was_served(self, duty: str) -> bool:
        return not self.changes.taken.isdisjoint((duty, *DUTIES[duty].fallback))

    @property
    def main_restarts(self) -> bool:
        """Whether the main process restarts, or starts, and was not stopped before."""
        return self.changes.main is not None and not self.changes.main_is_halted

    @property
    def main_hands_over(self) -> bool:
        """Whether the main process hands duties over to workers, so it must restart before they take them."""
        return self.main_restarts and bool(self.from_main)

    @property
    def main_takes(self) -> bool:
        """Whether the main process gets requests that it cannot answer before it restarts."""
        return self.main_restarts and any(
            DUTIES[duty].exclusive and not self.topology.with_duty(duty) for duty in self.changes.taken
        )

    @cached_property
    def from_main(self) -> list[Node]:
        """The processes that take a duty over from the main process."""
        changes = self.changes
        gained = {place_of(process): frozenset(process.duties) for process in changes.started}
        gained |= {place_of(process): changes.gains(process) for process in changes.stale if not process.is_main}
        return [
            self.up[place]
            for place, duties in gained.items()
            if any(needs_handover(duty) and duty not in changes.taken for duty in duties)
        ]

    def _choose_first(self) -> Node | None:
        """Returns the one process that starts before all others; None if none must."""
        changes = self.changes
        if self.main is not None and (changes.main_first or changes.full_stop or changes.hold_senders):
            return self.main
        if not changes.one_first:
            return None
        main = [self.main] if self.main is not None and self.main_restarts else []
        candidates = [
            *(main if self.main_hands_over else []),
            *self.takeovers,
            *main,
            *self.sending,
            *self.early,
            *self.needed,
            *self.persisters,
            *self.lists,
        ]
        return next((node for node in candidates if node not in self.takers), None)

    @property
    def ups(self) -> list[Node]:
        """All processes that start or restart."""
        return list(self.up.values())

    @property
    def replaced_at_once(self) -> bool:
        """Whether nginx gets its new configuration at the moment in which it holds back the old senders.

        That is so if new senders replace old ones, or if an earlier moment has no advantage.
        """
        if not self.switches:
            return False
        waits = bool(self.changes.senders) and not self.takeovers
        return waits or any(node in self.needed or node in self.takeovers for node in self.new_senders)

    @cached_property
    def new_senders(self) -> list[Node]:
        """The processes that start and send events."""
        return [
            self.up[place_of(process)]
            for process in self.changes.started
            if set(SENDERS) & set(process.duties) and not process.is_main
        ]

    @property
    def switches(self) -> bool:
        """Whether requests must move from processes with the old list of persisters to those with the new one."""
        changes = self.changes
        return changes.persisters_change and not changes.full_stop and bool(changes.senders or self.new_senders)


def _service_step(need: ServiceNeed) -> Step:
    return Step(
        action=need.action, host=need.host, name=need.service, unit=need.unit, reason=need.reason, title=need.title
    )


def _step(action: str, process: Process, reason: str, *, drain: bool = False) -> Step:
    return Step(action=action, host=process.host, name=process.name, unit=unit_of(process), reason=reason, drain=drain)


# The rules. Each adds the edges of one reason; docs/operations.md lists them in a table.


def _services_first(order: Order) -> None:
    rest = [*order.drains, *order.closes, *order.ups]
    if order.changes.full_stop:
        order.graph.before(order.stops, order.services, "stopped processes lose no connection")
    else:
        rest += order.stops
    order.graph.before(order.services, rest, "processes need the service with its new settings")


def _drain_while_all_run(order: Order) -> None:
    order.graph.before(order.drains, [*order.stops, *order.closes, *order.ups], "until then all duties are served")


def _givers_stop(order: Order) -> None:
    order.graph.before(
        order.stops,
        order.ups,
        "two processes must not do the same work, and a process that starts with the new list would wait for the old"
        " writer",
    )
    order.graph.before(
        order.closes, order.persisters, "processes with different lists of persisters must not write to the same room"
    )


def _first_alone(order: Order) -> None:
    if order.first is not None:
        because = "it deletes the positions of writers that have left; if several try, one fails"
        if order.changes.main_first or order.changes.full_stop:
            because = "the main process updates the database schema, and all other processes call it"
        order.graph.before([order.first], order.ups, because)


def _main_knows_the_lists(order: Order) -> None:
    if order.main is None:
        return
    if order.main_restarts:
        order.graph.before(
            [order.main],
            [*order.persisters, *order.lists],
            "the main process must have the new list before other processes use it",
        )
        order.graph.before([order.main], order.from_main, "the main process hands over their new duties")
    if order.later:
        order.graph.before([order.main], order.later[0], "the main process serves their requests while they restart")


def _hand_over(order: Order) -> None:
    for giver, places in order.changes.receivers.items():
        taken = [order.up[place] for place in places if place in order.up]
        order.graph.before([order.up[giver]], taken, "it hands over their new duties")


def _routes(order: Order) -> None:
    """nginx gets its new configuration when the processes that it sends requests to are up."""
    graph = order.graph
    blocked = order.takers if order.late_givers else {}
    served = [node for node in (*order.takeovers, *order.needed) if node not in blocked]
    if order.main is not None and order.main_takes:
        served.append(order.main)
    graph.before(served, [ROUTES], "nginx sends them requests")
    urgent = order.takeovers and not order.replaced_at_once
    if urgent:
        spared = {
            *order.givers,
            *([order.main] if order.main_hands_over or order.main_takes or order.changes.hold_senders else ()),
        }
        rest = [*order.early, *order.deferred, *([order.main] if order.main is not None else ())]
        graph.before(
            [ROUTES],
            [node for node in rest if node not in spared and node != order.first],
            "unavailable duties come back first",
        )
    elif order.changes.around_main:
        main = [order.main] if order.main is not None and order.main_restarts else []
        early = [node for node in order.early if node not in blocked]
        graph.before([*early, *main], [ROUTES], "one reload of nginx is enough")
    else:
        rest = [node for node in order.early if node not in order.givers]
        graph.before([ROUTES], rest, "new processes serve while they restart")
    graph.before(
        [ROUTES],
        [node for group in order.later for node in group],
        "the processes that replace them must receive requests first",
    )


def _in_turns(order: Order) -> None:
    groups = [[*order.early, *(node for node in order.takeovers if node not in order.takers)], *order.later]
    for group, following in pairwise(groups):
        order.graph.before(group, following, "processes that can replace each other do not restart together")
    if order.later:
        started = [node for node in (*order.needed, *order.deferred, *order.persisters) if node not in order.takers]
        order.graph.before(
            started, order.later[0], "duties that no process has come back first, and new processes serve meanwhile"
        )


def _requests_first(order: Order) -> None:
    order.graph.before(
        [node for node in (*order.takeovers, *order.needed, *order.deferred) if node not in order.takers],
        order.lists,
        "requests wait for the former, and none for the latter",
    )


def _end(order: Order) -> None:
    order.graph.before([*order.ups, ROUTES, SWITCH], [FINAL], "all processes are up")
    order.graph.before([FINAL], order.retired, "nginx no longer sends them requests")


_RULES = (
    _services_first,
    _drain_while_all_run,
    _givers_stop,
    _first_alone,
    _main_knows_the_lists,
    _hand_over,
    _routes,
    _in_turns,
    _requests_first,
    _end,
)


def _senders_learn_the_list(order: Order) -> None:
    """Half of the senders have the new list when the persisters stop, so that sending waits a short time only."""
    if not order.switches or order.changes.hold_senders:
        return
    graph, main = order.graph, [order.main] if order.main is not None and order.main_restarts else []
    graph.before(
        [*order.sending, *main, *order.closes], [SWITCH], "they send by the new list, and no persister uses the old one"
    )
    if order.replaced_at_once:
        graph.before([*order.sending, *main, *order.closes], [ROUTES], "new senders must not send to old persisters")
    else:
        graph.before([ROUTES], [SWITCH], "nginx gets the new routes first")
    if not order.changes.main_sends:
        graph.before([*order.sending, *main], order.closes, "from then on sending waits")


def _main_before_senders(order: Order) -> None:
    if order.main is not None and order.main_restarts:
        order.graph.before([order.main], order.sending, "the main process serves their requests while they restart")


def _main_sends(order: Order) -> None:
    if order.main is not None and order.main_restarts and order.changes.main_sends:
        order.graph.before(order.closes, [order.main], "it sends events, and a persister must have the same list")


def _senders_are_left_out(order: Order) -> None:
    changes = order.changes
    if not changes.senders:
        return
    main = [order.main] if order.main is not None and (changes.hold_senders or not order.main_restarts) else []
    if changes.hold_senders:
        order.graph.before([*order.stops, *order.closes], [SWITCH], "no persister uses the old list")
    bound = order.persisters if order.main_restarts or order.main is None else []
    order.graph.before([SWITCH], [*bound, *main], "processes with the old list must not send to them")
    order.graph.before([SWITCH], [node for group in order.later for node in group], "nginx holds them back")


_RULES_OF_SENDERS = (_senders_learn_the_list, _main_before_senders, _main_sends, _senders_are_left_out)
