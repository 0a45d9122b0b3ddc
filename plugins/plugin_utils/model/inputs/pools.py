# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of a pool, and of the main process."""

from __future__ import annotations

from typing import Any

from ..kinds import Kind, environment, list_of, mapping, number, text, to_number, to_whole_number
from ..layout import FIRST_FREE_SLOT, SLOT_SIZE, SLOTS
from ..schema import Input, table_of
from ..texts import cpu_share, memory_limit
from ..values import Problem, is_whole_number


def _count(value: Any) -> Problem | None:
    if not is_whole_number(value):
        return "it is a whole number of workers", "Write count: 2."
    if 0 <= value <= SLOT_SIZE:
        return None
    return (
        f"a pool has 0 to {SLOT_SIZE} workers on one host",
        "Choose a number in that range; for more, make a second pool with the same duties.",
    )


def _names_of_duties(value: Any) -> Problem | None:
    if isinstance(value, list) and value and all(isinstance(name, str) for name in value):
        return None
    return "a pool has one duty or more, as a list", "Write duties: [client_reader], or remove the pool."


def _slot(value: Any) -> Problem | None:
    if is_whole_number(value) and FIRST_FREE_SLOT <= value < SLOTS:
        return None
    return "it is the number of a slot of ports", f"Choose one from {FIRST_FREE_SLOT} to {SLOTS - 1}."


def _factor(value: Any) -> Problem | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 10**6:
        return None
    return "it is a number above 0", "Write 0.5, 1 or 2.0."


def _options(value: Any) -> Problem | None:
    if isinstance(value, dict):
        return None
    return "it is a mapping of Synapse options", "Write name: value lines below it."


_POOL = (
    Input(
        name="count",
        about="workers on each host of the group",
        kind=Kind(type="int", convert=to_whole_number, check=_count),
        default=1,
    ),
    Input(
        name="duties",
        about="what the workers are for; the pool's name if not set",
        kind=list_of(_names_of_duties),
    ),
    Input(
        name="port_slot",
        about=(
            f"{FIRST_FREE_SLOT} to {SLOTS - 1}: only needed when two pools of your own naming would share ports;"
            " the error"
            " says so"
        ),
        kind=Kind(type="int", convert=to_whole_number, check=_slot),
    ),
)

_SETTINGS = (
    Input(
        name="memory_max",
        about="systemd's C(MemoryMax=), for each worker; no limit if not set",
        kind=text(memory_limit),
    ),
    Input(
        name="cpu_quota",
        about="systemd's C(CPUQuota=), for each worker; no limit if not set",
        kind=text(cpu_share),
    ),
    Input(
        name="cp_max",
        about="database connections of each worker; C(synapse_cp_max) if not set",
        kind=number(1, 1000, "connections"),
    ),
    Input(
        name="cache_factor",
        about="C(caches.global_factor) of each worker; Synapse's own if not set",
        kind=Kind(type="float", convert=to_number, check=_factor),
    ),
    Input(
        name="env",
        about="environment variables; every local user can see them, so no secrets",
        kind=environment,
        default={},
        secret=True,
    ),
    Input(
        name="extra_config",
        about="further options of the worker's own file",
        kind=Kind(type="dict", convert=mapping.convert, check=_options),
        default={},
        secret=True,
    ),
)

SETTINGS = table_of(_SETTINGS)
"""The settings that the main process has as well."""

POOL_INPUTS = table_of(_POOL, _SETTINGS)

__all__ = ("POOL_INPUTS", "SETTINGS")
