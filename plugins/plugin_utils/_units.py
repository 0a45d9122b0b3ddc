# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd has to know of each process."""

from __future__ import annotations

from typing import Any

from ._duties import MEDIA
from ._process import Process, Settings
from ._synapse_config import health
from ._topology import Topology


def worker_units(topology: Topology, host: str, group: str | None = None) -> list[dict[str, Any]]:
    """Returns the workers of one host, of one group or of all, as systemd instances."""
    return [
        {
            "name": worker.name,
            "unit": f"matrix-synapse-worker@{worker.name}.service",
            "kind": worker.group,
            "pool": worker.pool,
            "duties": list(worker.duties),
            "health": health(topology, worker),
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
        "unit": "matrix-synapse.service",
        "health": health(topology, main),
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
