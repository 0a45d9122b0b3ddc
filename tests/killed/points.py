# SPDX-License-Identifier: GPL-3.0-or-later
"""Where runs are killed."""

from __future__ import annotations

import itertools

from tests.support.choice import Choice

# More of them: KILLED_RUNS=60 make molecule SCENARIO=killed
NAME, RUNS = "KILLED_RUNS", 10
FIRST = 8
"""The first task that does something on the host."""


def points(choice: Choice, tasks: int) -> list[int]:
    """Returns the numbers of the tasks, ascending: one of each part of a run, so that none is left out.

    Args:
        choice: how many runs are killed, and the seed of the tasks at which they are.
        tasks: how many a whole run has.
    """
    chosen = choice.random()
    edges = [FIRST + round(index * (tasks - FIRST) / choice.size) for index in range(choice.size + 1)]
    return [chosen.randrange(low, max(high, low + 1)) for low, high in itertools.pairwise(edges)]
