# SPDX-License-Identifier: GPL-3.0-or-later
"""Where runs are killed."""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Mapping
from dataclasses import dataclass

# More of them: KILLED_RUNS=60 make molecule SCENARIO=killed
RUNS = 10
FIRST = 8
"""The first task that does something on the host."""


@dataclass(frozen=True)
class Choice:
    """What is chosen for a test.

    Attributes:
        runs: how many runs are killed.
        seed: of the tasks at which they are.
    """

    runs: int
    seed: int

    @classmethod
    def of(cls, environment: Mapping[str, str] = os.environ) -> Choice:
        """Returns what ``KILLED_RUNS`` and ``KILLED_SEED`` say; without a seed, another one each time."""
        seed = environment.get("KILLED_SEED") or random.randrange(10**6)  # noqa: S311  not about secrets
        return cls(int(environment.get("KILLED_RUNS") or RUNS), int(seed))

    def __str__(self) -> str:
        return f"KILLED_RUNS={self.runs} KILLED_SEED={self.seed}"

    def points(self, tasks: int) -> list[int]:
        """Returns the numbers of the tasks, ascending: one of each part of a run, so that none is left out.

        Args:
            tasks: how many a whole run has.
        """
        chosen = random.Random(self.seed)  # noqa: S311
        edges = [FIRST + round(index * (tasks - FIRST) / self.runs) for index in range(self.runs + 1)]
        return [chosen.randrange(low, max(high, low + 1)) for low, high in itertools.pairwise(edges)]
