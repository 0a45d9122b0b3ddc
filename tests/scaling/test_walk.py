# SPDX-License-Identifier: GPL-3.0-or-later
"""Random legal changes under load: users see what the plan has announced, and no message is lost.

Short walks are on one host or on two, as the seed says. ``WALK_SECONDS=3600 make molecule SCENARIO=scaling`` walks for
an hour on each of both fleets; ``WALK_SEED=`` repeats a walk. Walks of ten minutes and more begin with an old release,
and may upgrade.
"""

from __future__ import annotations

from benchmarks.load.fleet import load_on
from tests.support.choice import Choice
from tools.runs import Fleet

from .walk import Walk
from .wishes import Wishes


def test_users_see_what_was_announced(fleet: tuple[Fleet, Wishes], choice: Choice) -> None:
    made, wishes = fleet
    walk = Walk(made, wishes, choice)
    with load_on(made, rate=10.0) as load:
        walk.go(load)
    walk.check(load)
    run = made.run()
    assert run.code == 0, run.output[-4000:]
    assert run.changed == 0, run.output[-8000:]
