# SPDX-License-Identifier: GPL-3.0-or-later
"""How many random examples a property is tried with.

``FUZZ=50`` tries fifty times as many as a run of the unit tests does, with another seed each time. ``FUZZ=0.1`` tries a
tenth of them.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

_TIMES = float(os.environ.get("FUZZ") or 1)


def tried(examples: int) -> settings:
    """Returns settings with this number of examples, always the same ones unless ``FUZZ`` asks for more.

    Args:
        examples: the number for a run of the unit tests.
    """
    return settings(
        max_examples=max(1, round(examples * _TIMES)),
        derandomize=_TIMES <= 1,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
