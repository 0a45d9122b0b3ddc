# SPDX-License-Identifier: GPL-3.0-or-later
"""The inputs of Redis."""

from __future__ import annotations

from ..kinds import name_in_unit, number, one_of, port
from ..layout import REDIS_PORT
from ..platform import REDIS_PACKAGES
from ..schema import Input
from ..service import REDIS

INPUTS = (
    Input(
        name="redis_port",
        about="Redis' port; used with V(tcp).",
        kind=port,
        default=REDIS_PORT,
    ),
    Input(
        name="redis_package",
        about="Debian's package that serves Redis: V(redis-server), or V(valkey-server) from Debian 13 on.",
        kind=one_of(REDIS_PACKAGES),
        default="redis-server",
    ),
    Input(
        name="redis_instance",
        about="Redis' instance: a name for one of Synapse's own, or V(default) for the one that the package starts.",
        more=("If it is not set, it is the one that the fleet uses already, else V(synapse).",),
        kind=name_in_unit,
        since="0.2.0",
    ),
    Input(
        name="redis_maxmemory_mib",
        about="The most memory for data, in MiB; V(0) sets no limit.",
        more=("When it is full, the least recently used entries are evicted. Synapse keeps little in Redis.",),
        kind=number(0, 1 << 30, "MiB"),
        default=0,
        per_host=True,
        role=REDIS,
    ),
)

__all__ = ("INPUTS",)
