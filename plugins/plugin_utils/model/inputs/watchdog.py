# SPDX-License-Identifier: GPL-3.0-or-later
"""The inputs of the watchdog."""

from __future__ import annotations

from ..kinds import boolean, number
from ..schema import Input

_ROLE = "watchdog"

INPUTS = (
    Input(
        name="watchdog_enabled",
        about="Whether the watchdog runs. If not, it is stopped and removed.",
        kind=boolean,
        default=True,
        per_host=True,
        role=_ROLE,
    ),
    Input(
        name="watchdog_interval",
        about=(
            "Seconds between two checks. Each reads the metrics of every Synapse process of the host, as"
            " Prometheus does."
        ),
        kind=number(1, 86400, "seconds"),
        default=15,
        per_host=True,
        role=_ROLE,
    ),
    Input(
        name="watchdog_checks",
        about="Checks in a row that a process must fail before it is restarted.",
        kind=number(1, 1000, "checks"),
        default=3,
        per_host=True,
        role=_ROLE,
    ),
    Input(
        name="watchdog_grace",
        about="Seconds after its start in which a process is not restarted.",
        kind=number(1, 86400, "seconds"),
        default=60,
        per_host=True,
        role=_ROLE,
    ),
)

__all__ = ("INPUTS",)
