# SPDX-License-Identifier: GPL-3.0-or-later
"""One Synapse process: its name, its duties, its ports and its settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from . import layout
from .duties import DUTIES

MAIN = "main"
"""The main process in ``instance_map`` and in paths."""

MASTER = "master"
"""The main process in every other list of Synapse (config/workers.py)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What may be set for each worker of a pool, and for the main process.

    Attributes:
        memory_max: systemd's ``MemoryMax=`` (``2G``), None for no limit.
        cpu_quota: systemd's ``CPUQuota=`` (``150%``), None for no limit.
        cp_max: database connections of one process, None for ``synapse_cp_max``.
        cache_factor: Synapse's ``caches.global_factor``, None for Synapse's own default.
        env: environment variables.
        extra_config: further options of the process' own configuration file.
    """

    memory_max: str | None = None
    cpu_quota: str | None = None
    cp_max: int | None = None
    cache_factor: float | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    extra_config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Process:
    """One Synapse process.

    Attributes:
        name: ``worker_name``, or ``main``.
        group: the inventory group it comes from.
        host: the inventory name of its host.
        pool: the name of its pool.
        index: its number in the pool on this host, from 1.
        duties: the names of its duties.
        address: where the other processes reach it over TCP.
        slot: the slot of its ports.
        settings: what the pool sets.
    """

    name: str
    group: str
    host: str
    pool: str
    index: int
    duties: tuple[str, ...]
    address: str
    slot: int
    settings: Settings

    @property
    def is_main(self) -> bool:
        """Returns whether it is the main process."""
        return self.name == MAIN

    @property
    def http_port(self) -> int:
        """The TCP port on which it serves nginx."""
        return self.port_in(layout.HTTP_BASE)

    @property
    def replication_port(self) -> int:
        """The TCP port on which it serves its siblings."""
        return self.port_in(layout.REPLICATION_BASE)

    @property
    def metrics_port(self) -> int:
        """The TCP port of its metrics, with either transport."""
        return self.port_in(layout.METRICS_BASE)

    def port_in(self, base: int) -> int:
        """Returns its port in the band that begins with ``base``."""
        return base + self.slot * layout.SLOT_SIZE + self.index - 1

    @property
    def streams(self) -> tuple[str, ...]:
        """The streams it writes."""
        return tuple(stream for name in self.duties if (stream := DUTIES[name].stream))

    @property
    def resources(self) -> tuple[str, ...]:
        """What its HTTP listener serves; without any it still answers ``/health``."""
        found = {resource for name in self.duties for resource in DUTIES[name].resources}
        return tuple(resource for resource in ("client", "federation", "media") if resource in found)
