# SPDX-License-Identifier: GPL-3.0-or-later
"""The order of a plan: steps, edges "A before B, because ...", and the waves that follow from them.

An edge joins two groups of steps. A step comes one wave after the last step that is before it, and no later. What nginx
does is a node of the graph as well: it comes first in its wave, so steps that need it may be in the same one.
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
from .dependencies import held_alone, sharded_duties
from .observed import Observed, ServiceNeed, place_of
from .steps import Step
from .turns import Turns, is_missed, left_out, served_by

ROUTES = ("nginx", "", "routes")
"""nginx gets its new configuration."""
SWITCH = ("nginx", "", "senders")
"""nginx sends nothing any more to processes that send events by the old list of persisters."""
FINAL = ("nginx", "", "end")
"""nginx leaves no process out any more."""

_TEXTS = {
    ROUTES: "nginx has its new configuration",
    SWITCH: "nginx leaves out what sends by the old list of persisters",
    FINAL: "nginx leaves no process out",
}
_SHOWN = 4
_POLLED = frozenset(("sync", "initial_sync", "sliding_sync"))
"""Duties with requests that wait for news."""

Node = tuple[str, str, str]
"""What happens, where, and to which process or service."""


@dataclass(frozen=True)
class Edge:
    """All of one group before all of another one.

    Attributes:
        before: what comes first.
        after: what waits for it.
        because: why.
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
        """Adds an edge; a node in both groups is not before itself."""
        earlier = tuple(dict.fromkeys(first))
        later = tuple(node for node in dict.fromkeys(then) if node not in set(earlier))
        if earlier and later:
            self.edges.append(Edge(earlier, later, because))

    def levels(self) -> dict[Node, int]:
        """Returns the wave of each node, from 0.

        Raises:
            ValueError: the edges make a circle.
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
            raise ValueError(f"the order of the plan has a circle: {[node for node in into if waiting[node]]}")
        return level


def _takes(node: Node) -> int:
    """Returns how many waves later the next node is: what waits for nginx is in the wave that nginx begins."""
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
    """The graph of one plan, and the groups of steps that its edges join."""

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
        early = self.turns.left_out_early
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
                drain=waited and self.is_left_out(process) and not self._waits_in_vain(process),
            )
        )

    def is_left_out(self, process: Process) -> bool:
        """Tells whether nginx leaves a process out while it restarts, for all or some of its requests."""
        if self.changes.proxies is None or process.is_main:
            return False
        sends = place_of(process) in self.old_senders and bool(served_by(self.topology, process))
        return sends or left_out(self.topology, process)

    def _waits_in_vain(self, process: Process) -> bool:
        """Tells whether requests may hang in a process that still sends to a persister which has left.

        It would try for half a minute (``RETRY_ON_CONNECT_ERROR`` in Synapse's replication/http/_base.py). Cut off,
        clients send again, to a process with the new list; other requests have had their time since nginx left the
        process out.
        """
        left = any(PERSISTER in entry.duties or entry.name == "main" for entry in self.changes.stopped)
        return left and bool(set(SENDERS) & set(process.duties)) and not _POLLED & set(process.duties)

    def _sort_out(self) -> None:
        """Sorts what starts by how urgent it is."""
        changes = self.changes
        self.heirs: list[Node] = []
        self.needed: list[Node] = []
        self.calm: list[Node] = []
        self.persisters: list[Node] = []
        self.lists: list[Node] = []
        early = [process for process in changes.stale if self.turns.of.get(place_of(process)) == 0]
        gaining = [process for process in early if any(map(is_missed, changes.gains(process)))]
        self.heirs += [self.up[place_of(process)] for process in gaining]
        urgent = set(self.heirs)
        for process in changes.started:
            if not process.is_main:
                self._group_of(process).append(self.up[place_of(process)])
        if not self.heirs:
            # Nothing is gained by waiting.
            self.needed, self.calm = [*self.needed, *self.calm], []
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
        if changes.everybody or not any(entry.running for entry in changes.seen.values()):
            return self.needed
        if any(map(is_missed, process.duties)):
            return self.heirs
        replaces = any(self._was_served(duty) for duty in served_by(self.topology, process))
        return self.needed if replaces else self.calm

    def _may_have_persisted(self, process: Process) -> bool:
        """Tells whether processes with the old list of persisters may send to a process until nginx leaves them out.

        What a run that was cut off has stopped tells no longer what it was.
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
    def main_leads(self) -> bool:
        """Whether workers get what the main process gives up, so it must restart before they have it."""
        return self.main_restarts and bool(self.from_main)

    @property
    def main_takes(self) -> bool:
        """Whether the main process gets requests that it cannot answer before it restarts."""
        return self.main_restarts and any(
            DUTIES[duty].exclusive and not self.topology.with_duty(duty) for duty in self.changes.taken
        )

    @cached_property
    def from_main(self) -> list[Node]:
        """What gets a duty that the main process gives up."""
        changes = self.changes
        gained = {place_of(process): frozenset(process.duties) for process in changes.started}
        gained |= {place_of(process): changes.gains(process) for process in changes.stale if not process.is_main}
        return [
            self.up[place]
            for place, duties in gained.items()
            if any(held_alone(duty) and duty not in changes.taken for duty in duties)
        ]

    def _choose_first(self) -> Node | None:
        """Returns the one process that starts before all others; None if they need none."""
        changes = self.changes
        if self.main is not None and (changes.main_first or changes.everybody or changes.hold_senders):
            return self.main
        if not changes.one_first:
            return None
        main = [self.main] if self.main is not None and self.main_restarts else []
        candidates = [
            *(main if self.main_leads else []),
            *self.heirs,
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
        """Everything that starts or restarts."""
        return list(self.up.values())

    @property
    def replaced_at_once(self) -> bool:
        """Whether nginx gets its new configuration in the moment in which it leaves the old senders out.

        That is so if new senders replace old ones, or if nothing is gained by an earlier moment.
        """
        if not self.switches:
            return False
        waits = bool(self.changes.senders) and not self.heirs
        return waits or any(node in self.needed or node in self.heirs for node in self.new_senders)

    @cached_property
    def new_senders(self) -> list[Node]:
        """What starts and sends events."""
        return [
            self.up[place_of(process)]
            for process in self.changes.started
            if set(SENDERS) & set(process.duties) and not process.is_main
        ]

    @property
    def switches(self) -> bool:
        """Whether requests must move from processes with the old list of persisters to those with the new one."""
        changes = self.changes
        return changes.persisters_change and not changes.everybody and bool(changes.senders or self.new_senders)


def _service_step(need: ServiceNeed) -> Step:
    return Step(
        action=need.action, host=need.host, name=need.service, unit=need.unit, reason=need.reason, title=need.title
    )


def _step(action: str, process: Process, reason: str, *, drain: bool = False) -> Step:
    return Step(action=action, host=process.host, name=process.name, unit=unit_of(process), reason=reason, drain=drain)


# The rules. Each adds the edges of one reason; docs/operations.md has them as a table.


def _services_first(order: Order) -> None:
    rest = [*order.drains, *order.closes, *order.ups]
    if order.changes.everybody:
        order.graph.before(order.stops, order.services, "processes that are down lose no connection")
    else:
        rest += order.stops
    order.graph.before(order.services, rest, "the processes need the service as it will be")


def _drain_while_all_run(order: Order) -> None:
    order.graph.before(
        order.drains, [*order.stops, *order.closes, *order.ups], "their requests end while all processes are there"
    )


def _givers_stop(order: Order) -> None:
    order.graph.before(
        order.stops,
        order.ups,
        "two processes must not do its work, and what starts with a list without it would wait for it for ever",
    )
    order.graph.before(order.closes, order.persisters, "two lists of persisters must not share out the same rooms")


def _first_alone(order: Order) -> None:
    if order.first is not None:
        because = "it deletes the positions of writers that have left; of several that try, one fails"
        if order.changes.main_first or order.changes.everybody:
            because = "the main process brings the schema to its release, and all others call it"
        order.graph.before([order.first], order.ups, because)


def _main_knows_the_lists(order: Order) -> None:
    if order.main is None:
        return
    if order.main_restarts:
        order.graph.before(
            [order.main],
            [*order.persisters, *order.lists],
            "the main process must know the list before others work by it",
        )
        order.graph.before([order.main], order.from_main, "the main process gives up what they get")
    if order.later:
        order.graph.before([order.main], order.later[0], "the main process serves while they restart")


def _hand_over(order: Order) -> None:
    for giver, places in order.changes.receivers.items():
        taken = [order.up[place] for place in places if place in order.up]
        order.graph.before([order.up[giver]], taken, "it gives up what they get")


def _routes(order: Order) -> None:
    """nginx gets its new configuration when what it sends requests to is up."""
    graph = order.graph
    blocked = order.takers if order.late_givers else {}
    served = [node for node in (*order.heirs, *order.needed) if node not in blocked]
    if order.main is not None and order.main_takes:
        served.append(order.main)
    graph.before(served, [ROUTES], "nginx sends them requests")
    urgent = order.heirs and not order.replaced_at_once
    if urgent:
        spared = {
            *order.givers,
            *([order.main] if order.main_leads or order.main_takes or order.changes.hold_senders else ()),
        }
        rest = [*order.early, *order.calm, *([order.main] if order.main is not None else ())]
        graph.before(
            [ROUTES],
            [node for node in rest if node not in spared and node != order.first],
            "what is away comes back first",
        )
    elif order.changes.around_main:
        main = [order.main] if order.main is not None and order.main_restarts else []
        early = [node for node in order.early if node not in blocked]
        graph.before([*early, *main], [ROUTES], "one change of nginx is enough")
    else:
        rest = [node for node in order.early if node not in order.givers]
        graph.before([ROUTES], rest, "new processes serve while they restart")
    graph.before(
        [ROUTES], [node for group in order.later for node in group], "what replaces them must have its requests"
    )


def _in_turns(order: Order) -> None:
    groups = [[*order.early, *(node for node in order.heirs if node not in order.takers)], *order.later]
    for group, following in pairwise(groups):
        order.graph.before(group, following, "those that can replace each other are not away together")
    if order.later:
        started = [node for node in (*order.needed, *order.calm, *order.persisters) if node not in order.takers]
        order.graph.before(
            started, order.later[0], "what no process does comes back first, and new processes serve meanwhile"
        )


def _requests_first(order: Order) -> None:
    order.graph.before(
        [node for node in (*order.heirs, *order.needed, *order.calm) if node not in order.takers],
        order.lists,
        "requests wait for them, and for these none",
    )


def _end(order: Order) -> None:
    order.graph.before([*order.ups, ROUTES, SWITCH], [FINAL], "all processes are up")
    order.graph.before([FINAL], order.retired, "nginx sends them nothing any more")


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
    """Half of the senders knows the new list when the persisters stop, so that sending waits a short time only."""
    if not order.switches or order.changes.hold_senders:
        return
    graph, main = order.graph, [order.main] if order.main is not None and order.main_restarts else []
    graph.before(
        [*order.sending, *main, *order.closes], [SWITCH], "they send by the new list, and nothing works by the old one"
    )
    if order.replaced_at_once:
        graph.before([*order.sending, *main, *order.closes], [ROUTES], "new senders must not send to old persisters")
    else:
        graph.before([ROUTES], [SWITCH], "the routes come first")
    if not order.changes.main_sends:
        graph.before([*order.sending, *main], order.closes, "sending waits from then on")


def _main_before_senders(order: Order) -> None:
    if order.main is not None and order.main_restarts:
        order.graph.before([order.main], order.sending, "the main process serves while they restart")


def _main_sends(order: Order) -> None:
    if order.main is not None and order.main_restarts and order.changes.main_sends:
        order.graph.before(order.closes, [order.main], "it sends events, and not to a persister with another list")


def _senders_are_left_out(order: Order) -> None:
    changes = order.changes
    if not changes.senders:
        return
    main = [order.main] if order.main is not None and (changes.hold_senders or not order.main_restarts) else []
    if changes.hold_senders:
        order.graph.before([*order.stops, *order.closes], [SWITCH], "nothing works by the old list")
    bound = order.persisters if order.main_restarts or order.main is None else []
    order.graph.before([SWITCH], [*bound, *main], "what sends by the old list must not send to it")
    order.graph.before([SWITCH], [node for group in order.later for node in group], "nginx has left them out")


_RULES_OF_SENDERS = (_senders_learn_the_list, _main_before_senders, _main_sends, _senders_are_left_out)
