# SPDX-License-Identifier: GPL-3.0-or-later
"""All inputs of the collection, by their names. Each module has those of one part of a fleet."""

from __future__ import annotations

from ..schema import Input, table_of
from . import nginx, playbooks, postgres, redis, synapse, watchdog

INPUTS: dict[str, Input] = table_of(
    synapse.INPUTS,
    postgres.INPUTS,
    redis.INPUTS,
    nginx.INPUTS,
    watchdog.INPUTS,
    playbooks.INPUTS,
)

__all__ = ("INPUTS",)
