# SPDX-License-Identifier: GPL-3.0-or-later
"""The size and the seed of a test that chooses at random."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Choice:
    """What repeats a test, as the environment says it.

    Attributes:
        name: the environment variable with the size, such as ``WALK_SECONDS``; ``WALK_SEED`` has the seed.
        size: how long or how often the test does something.
        seed: of all that is random in it.
    """

    name: str
    size: int
    seed: int

    @classmethod
    def of(cls, name: str, size: int, environment: Mapping[str, str] = os.environ) -> Choice:
        """Returns what the environment says; without a seed, another one each time.

        Args:
            name: the environment variable with the size.
            size: the default.
            environment: the environment.
        """
        seed = environment.get(_seed_name(name)) or random.randrange(10**6)  # noqa: S311  not about secrets
        return cls(name, int(environment.get(name) or size), int(seed))

    def __str__(self) -> str:
        return f"{self.name}={self.size} {_seed_name(self.name)}={self.seed}"

    def random(self) -> random.Random:
        """Returns a generator that begins with the seed."""
        return random.Random(self.seed)  # noqa: S311


def _seed_name(name: str) -> str:
    return f"{name.partition('_')[0]}_SEED"
