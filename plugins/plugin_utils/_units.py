# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd has to know of each process."""

from __future__ import annotations

from typing import Any

from . import _layout as layout
from ._duties import MEDIA
from ._metrics import metrics_address
from ._process import Process, Settings
from ._synapse_config import health
from ._topology import Topology


def unit_of(process: Process) -> str:
    """Returns the name of a process' systemd unit."""
    return layout.MAIN_UNIT if process.is_main else layout.WORKER_UNIT.replace("@", f"@{process.name}")


def worker_units(topology: Topology, host: str, group: str | None = None) -> list[dict[str, Any]]:
    """Returns the workers of one host, of one group or of all, as systemd instances."""
    return [
        {
            "name": worker.name,
            "unit": unit_of(worker),
            "kind": worker.group,
            "pool": worker.pool,
            "duties": list(worker.duties),
            "health": health(topology, worker),
            "metrics": metrics_address(topology, worker),
            "needs_media_store": worker.group == MEDIA,
            **unit_settings(worker.settings),
        }
        for worker in topology.workers
        if worker.host == host and group in (None, worker.group)
    ]


def main_unit(topology: Topology) -> dict[str, Any]:
    """Returns the same of the main process."""
    main: Process = topology.main
    return {
        "name": main.name,
        "unit": unit_of(main),
        "health": health(topology, main),
        "metrics": metrics_address(topology, main),
        "needs_media_store": not topology.with_duty("media"),
        **unit_settings(main.settings),
    }


def unit_settings(settings: Settings) -> dict[str, Any]:
    """Returns the directives of [Service] and the environment that the pool sets."""
    limits = {"MemoryMax": settings.memory_max, "CPUQuota": settings.cpu_quota}
    return {
        "service": {name: value for name, value in limits.items() if value is not None},
        "environment": dict(settings.env),
    }
