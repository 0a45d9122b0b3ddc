# SPDX-License-Identifier: GPL-3.0-or-later
"""Random legal changes under load: users see what the plan has announced, and no message is lost.

``WALK_SECONDS=3600 make molecule SCENARIO=scaling`` walks for an hour on each fleet; ``WALK_SEED=`` repeats a walk.
Walks of ten minutes and more begin with an old release, and may upgrade.
"""

from __future__ import annotations

from benchmarks.load.fleet import load_on
from tests.support.choice import Choice
from tools.runs import Fleet

from .walk import Walk
from .wishes import Wishes


def walk(fleet: Fleet, wishes: Wishes, choice: Choice) -> None:
    found = Walk(fleet, wishes, choice)
    with load_on(fleet, rate=10.0) as load:
        found.go(load)
    found.check(load)
    run = fleet.run()
    assert run.code == 0, run.output[-4000:]
    assert run.changed == 0, run.output[-8000:]


def test_users_of_one_host_see_what_was_announced(one: tuple[Fleet, Wishes], choice: Choice) -> None:
    walk(*one, choice)


def test_users_of_two_hosts_see_what_was_announced(two: tuple[Fleet, Wishes], choice: Choice) -> None:
    walk(*two, choice)
