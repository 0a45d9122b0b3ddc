# SPDX-License-Identifier: GPL-3.0-or-later
"""What the files of workers hold, computed in one call for all workers of a host."""

from __future__ import annotations

from typing import Any

from ..model.topology import Topology
from ..views.text import as_yaml
from .config import worker_config
from .drop_in import drop_in
from .units import worker_units


def worker_files(topology: Topology, host: str, group: str) -> list[dict[str, str]]:
    """Returns for each worker of one host and group the texts of its files, and what names them.

    Args:
        topology: the fleet.
        host: the inventory name of the host.
        group: the group of workers.
    """
    return [_files(topology, unit) for unit in worker_units(topology, host, group)]


def _files(topology: Topology, unit: dict[str, Any]) -> dict[str, str]:
    return {
        "name": unit["name"],
        "unit": unit["unit"],
        "about": f"Pool {unit['pool']}: {', '.join(unit['duties'])}.",
        "config": as_yaml(worker_config(topology, topology.worker(unit["name"]))),
        "drop_in": drop_in(unit, topology.options["synapse_media_store_path"]),
    }


__all__ = ("worker_files",)
