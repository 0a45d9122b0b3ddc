# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd has to know of each process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..model import layout
from ..model.process import Process, Settings
from ..model.topology import Topology
from .config import health, metrics_address
from .secrets import hidden_files


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
            "needs_media_store": topology.serves_media(worker),
            "hidden": hidden_files(topology, worker),
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
        "needs_media_store": topology.serves_media(main),
        "hidden": hidden_files(topology, main),
        **unit_settings(main.settings),
    }


def process_files(topology: Topology, host: str) -> dict[str, Any]:
    """Returns what a host has for its processes and nothing else: the media store, and the files that are not stale.

    Args:
        topology: the fleet.
        host: the inventory name of the host.

    Returns:
        ``directories``, the media store if a process of the host needs it; and ``purge``, where files of processes are
        (``directory``, ``pattern``) and which of them stay (``keep``).
    """
    workers = worker_units(topology, host)
    main = [main_unit(topology)] if host == topology.main.host else []
    drop_ins = [drop_in_path(process["unit"]) for process in (*workers, *main)]
    store = {
        "path": topology.options["synapse_media_store_path"],
        "owner": layout.USER,
        "group": layout.GROUP,
        "mode": "0750",
    }
    main_config = Path(layout.MAIN_CONFIG)
    return {
        "directories": [store] if any(process["needs_media_store"] for process in (*workers, *main)) else [],
        "purge": [
            _purge(layout.WORKERS_DIR, "*.yaml", [f"{worker['name']}.yaml" for worker in workers]),
            _purge(layout.UNIT_DIR, drop_in_path(layout.WORKER_UNIT.replace("@", "@*")), drop_ins),
            _purge(layout.UNIT_DIR, drop_in_path(layout.MAIN_UNIT), drop_ins),
            _purge(layout.UNIT_DIR, layout.MAIN_UNIT, [unit["unit"] for unit in main]),
            _purge(str(main_config.parent), main_config.name, [main_config.name for _ in main]),
        ],
    }


def drop_in_path(unit: str) -> str:
    """Returns the path of what a pool adds to a unit, relative to the directory of units."""
    return layout.POOL_DROP_IN.format(unit=unit)


def _purge(directory: str, pattern: str, keep: list[str]) -> dict[str, Any]:
    return {"directory": directory, "pattern": pattern, "keep": keep}


def unit_settings(settings: Settings) -> dict[str, Any]:
    """Returns the directives of [Service] and the environment that the pool sets."""
    limits = {"MemoryMax": settings.memory_max, "CPUQuota": settings.cpu_quota}
    return {
        "service": {name: value for name, value in limits.items() if value is not None},
        "environment": dict(settings.env),
    }
