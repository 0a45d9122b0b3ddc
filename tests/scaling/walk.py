# SPDX-License-Identifier: GPL-3.0-or-later
"""A walk over random inventories under load: what failed is compared with what the plans have announced."""

from __future__ import annotations

import time
from dataclasses import dataclass

from ansible_collections.baremetal.synapse.plugins.plugin_utils.lifecycle.refusals import check_changes
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.errors import TopologyError

from benchmarks.load import RunningLoad
from tests.support.choice import Choice
from tests.support.observed import running
from tools.inventory import load_topology
from tools.runs import Fleet

from .announced import may_fail, shown_plan
from .wishes import Wishes, changed, grown

NAME, SECONDS = "WALK_SECONDS", 120
"""How long a walk changes its fleet, by default: it begins no change that would end later, by the longest so far."""

FIRST_TASK = 8
"""The first task at which a run may be killed: the first that does something on the hosts."""

_LEAST = 2
_KILLED_SHARE = 0.3
_AFTER_SECONDS = 4.0
_GAP_SECONDS = 60.0
"""The longest time without a success for a kind of requests, with slow machines in mind."""


@dataclass(frozen=True)
class Step:
    """One change that was carried out.

    Attributes:
        what: the change in words.
        lines: the plans of its runs.
        kinds: the kinds of requests that may have failed.
        began: when its first run began, in seconds of the monotonic clock.
        ended: when the load had gone on for some seconds after its last run.
        killed: whether its first run was killed.
    """

    what: str
    lines: tuple[str, ...]
    kinds: frozenset[str]
    began: float
    ended: float
    killed: bool

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended - self.began


class Walk:
    """Changes of a fleet, one after the other, under one load.

    Args:
        fleet: the fleet, deployed as ``wishes`` say.
        wishes: its inventory.
        choice: the seed and the time.
    """

    def __init__(self, fleet: Fleet, wishes: Wishes, choice: Choice) -> None:
        self.fleet, self.wishes, self.choice = fleet, wishes, choice
        self.random = choice.random()
        self.topology = load_topology(fleet.inventory, fleet.override)
        self.steps: list[Step] = []
        self._tasks = 60

    def go(self, load: RunningLoad) -> None:
        """Changes the fleet until the time is over, twice at least.

        The first change is one that costs nothing, and is not killed.
        """
        until = time.monotonic() + self.choice.size
        self._change(*grown(self.wishes), load=load, kill=False)
        while len(self.steps) < _LEAST or time.monotonic() + max(step.seconds for step in self.steps) < until:
            wishes, what = self._legal_change()
            self._change(wishes, what, load=load, kill=self.random.random() < _KILLED_SHARE)

    def check(self, load: RunningLoad) -> None:
        """Expects that nothing failed but what was announced; the load must have stopped."""
        for number, step in enumerate(self.steps, start=1):
            report = load.report(step.began, step.ended)
            told = f"step {number}, {step.what}, again with {self.choice}\n" + "\n".join(step.lines)
            assert report.outcomes, f"the load did nothing: {told}"
            assert not report.apart_from(step.kinds), f"{told}\nmay fail: {sorted(step.kinds)}\n{report.summary()}"
            if not step.killed:
                assert report.gap < _GAP_SECONDS, f"{told}\n{report.summary()}"
        told = f"{len(self.steps)} changes, {load.verification.acknowledged} acknowledged messages"
        print(f"\n{told}, {load.report().reasons()}, {self.choice}", flush=True)
        assert load.verification.acknowledged > 0
        assert not load.verification.problems, f"{load.verification.problems}; again with {self.choice}"

    def _legal_change(self) -> tuple[Wishes, str]:
        while True:
            wishes, what = changed(self.wishes, self.random)
            self._write(wishes)
            try:
                check_changes(
                    load_topology(self.fleet.inventory, self.fleet.override), running(self.topology), None, ()
                )
            except TopologyError:
                continue
            return wishes, what

    def _write(self, wishes: Wishes) -> None:
        for host in wishes.hosts:
            self.fleet.set_variables(host=host, **wishes.of_host(host))

    def _change(self, wishes: Wishes, what: str, *, load: RunningLoad, kill: bool) -> None:
        self._write(wishes)
        after = load_topology(self.fleet.inventory, self.fleet.override)
        began = time.monotonic()
        lines: list[str] = []
        killed = False
        if kill:
            point = self.random.randrange(FIRST_TASK, self._tasks)
            cut_off = self.fleet.run_killed(point)
            killed = cut_off.code < 0
            what += f", killed at task {point}"
            lines += shown_plan(cut_off.output)
        run = self.fleet.run()
        assert run.code == 0, f"{what}, again with {self.choice}\n{run.output[-5000:]}"
        lines += shown_plan(run.output)
        if not killed:
            self._tasks = run.output.count("\nTASK [")
        time.sleep(_AFTER_SECONDS)
        kinds = frozenset(may_fail(lines, self.topology, after))
        self.steps.append(Step(what, tuple(lines), kinds, began, time.monotonic(), killed))
        self.wishes, self.topology = wishes, after
        failed = load.report(began).failed_kinds
        print(
            f"\n{time.strftime('%X')} {what}: {self.steps[-1].seconds:.0f} s, may fail: {sorted(kinds)},"
            f" failed: {sorted(failed)}",
            flush=True,
        )
