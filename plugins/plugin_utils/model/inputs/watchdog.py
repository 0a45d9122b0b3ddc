# SPDX-License-Identifier: GPL-3.0-or-later
"""The inputs of the watchdog."""

from __future__ import annotations

from functools import partial

from ..kinds import boolean, number
from ..schema import Input

_watchdog = partial(Input, role="watchdog", per_host=True)

INPUTS = (
    _watchdog(
        name="watchdog_enabled",
        about="Whether the watchdog runs. If not, it is stopped and removed.",
        kind=boolean,
        default=True,
    ),
    _watchdog(
        name="watchdog_interval",
        about=(
            "Seconds between two checks. Each reads the metrics of every Synapse process of the host, as"
            " Prometheus does."
        ),
        kind=number(1, 86400, "seconds"),
        default=15,
    ),
    _watchdog(
        name="watchdog_checks",
        about="Checks in a row that a process must fail before it is restarted.",
        kind=number(1, 1000, "checks"),
        default=3,
    ),
    _watchdog(
        name="watchdog_grace",
        about="Seconds after its start in which a process is not restarted.",
        kind=number(1, 86400, "seconds"),
        default=60,
    ),
)

__all__ = ("INPUTS",)
