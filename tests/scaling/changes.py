# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of a fleet under load, and what they cost."""

from __future__ import annotations

import time
from collections.abc import Collection
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from benchmarks.load import Report, Verification
from benchmarks.load.fleet import load_on
from tools.runs import Fleet, Run

AFTER_SECONDS = 5.0
"""How long the load goes on after a run: what failed last has to be seen to work again."""

GAP_SECONDS = 10.0
"""The longest time without a success that a change may cost the requests of a process that has to stop."""

READERS: dict[str, Any] = {
    "reader": {"count": 2, "duties": ["client_reader", "federation_reader", "federation_inbound", "room", "login"]},
    "sync": {"count": 2, "duties": ["sync", "initial_sync", "sliding_sync"]},
    "events": {"count": 1},
    "writer": {"count": 1, "duties": ["to_device", "account_data", "presence", "push_rules", "receipts"]},
    "writer2": {"count": 1, "duties": ["typing", "device_lists", "thread_subscriptions"]},
}
"""``generic_workers`` of the fleet before the changes: readers in pools of two, and two pools of writers."""

WORKERS: dict[str, Any] = {
    "media_workers": {"media": {"count": 2}},
    "background_workers": {
        "background": {"count": 1, "duties": ["background_tasks", "user_directory", "appservices"]},
        "pusher": {"count": 1},
        "federation_sender": {"count": 1},
    },
}
"""The other workers before the changes."""


@dataclass(frozen=True)
class Cost:
    """What a change has cost.

    Attributes:
        run: the run of site.yml.
        report: all requests during it.
        verification: what became of the messages.
    """

    run: Run
    report: Report
    verification: Verification

    def expect_none(self) -> None:
        """Expects that no request failed and every message is where it belongs."""
        self.expect_only(())
        assert not self.report.failed and not self.report.refused, self.report.summary()

    def expect_only(self, kinds: Collection[str], gap: float = GAP_SECONDS) -> None:
        """Expects failures of some kinds alone, for a short time, and every message where it belongs.

        Args:
            kinds: what may fail.
            gap: seconds that each of them may be away.
        """
        assert self.run.code == 0, self.run.output[-4000:]
        assert self.report.outcomes, "the load did nothing"
        assert not self.report.apart_from(kinds), self.report.summary()
        assert self.report.gap < gap, self.report.summary()
        assert self.verification.acknowledged > 0
        assert not self.verification.problems, self.verification.problems


def change(fleet: Fleet, **variables: Any) -> Cost:
    """Sets variables and runs site.yml, under load."""
    fleet.set_variables(**variables)
    with load_on(fleet) as load:
        run = fleet.run()
        print(run.output)
        time.sleep(AFTER_SECONDS)
    print(load.report().summary())
    return Cost(run, load.report(), load.verification)


def pools(base: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Returns pools of workers with changed settings; a pool that is None goes.

    Args:
        base: the pools before.
        changes: settings by pool.
    """
    found = deepcopy(base)
    for pool, settings in changes.items():
        if settings is None:
            found.pop(pool, None)
        else:
            found[pool] = {**found.get(pool, {}), **settings}
    return found
