# SPDX-License-Identifier: GPL-3.0-or-later
"""What the watchdog of a host has to know of its processes and of Redis."""

from __future__ import annotations

from typing import Any

from ..model.layout import SECRETS_DIR, in_address
from ..model.topology import LOOPBACK, Topology
from ..synapse.units import main_unit, worker_units
from .fleet import fleet


def watchdog(topology: Topology, host: str) -> dict[str, Any]:
    """Returns the channel of the server, how Redis is reached (None: there is none), and the processes of a host."""
    units = {entry["name"]: entry["unit"] for entry in (main_unit(topology), *worker_units(topology, host))}
    processes = [process for process in topology.processes if process.host == host]
    return {
        "host": host,
        "channel": topology.server_name,
        "redis": _redis(topology),
        "processes": [
            {
                "name": process.name,
                "unit": units[process.name],
                "metrics": in_address(LOOPBACK if topology.unix else process.address, process.metrics_port),
            }
            for process in processes
        ],
    }


def _redis(topology: Topology) -> dict[str, str] | None:
    redis = fleet(topology)["redis"]
    if redis is None:
        return None
    if topology.unix:
        return {"socket": redis["socket"]}
    return {
        "address": redis["address"],
        "port": str(redis["port"]),
        "password_file": f"{SECRETS_DIR}/redis_password",
    }
