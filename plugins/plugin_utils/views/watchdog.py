# SPDX-License-Identifier: GPL-3.0-or-later
"""What the watchdog of a host has to know of its processes and of Redis."""

from __future__ import annotations

from typing import Any

from ..model.layout import in_address, secret
from ..model.process import Process
from ..model.topology import Topology
from ..synapse import secrets
from ..synapse.units import unit_of
from .fleet import fleet


def watchdog(topology: Topology, host: str) -> dict[str, Any]:
    """Returns the channel of the server, how Redis is reached (None: there is none), and the processes of a host."""
    return {
        "host": host,
        "channel": topology.server_name,
        "redis": _redis(topology),
        "processes": [
            {
                "name": process.name,
                "unit": unit_of(process),
                "metrics": in_address(topology.listen_address(host), process.metrics_port),
                "ports": _ports(topology, process),
            }
            for process in topology.processes
            if process.host == host
        ],
    }


def _ports(topology: Topology, process: Process) -> list[str]:
    """Returns the addresses on which a process serves nginx and the other processes."""
    if topology.unix:
        return []
    calls = (process.is_main and topology.workers) or process.streams
    ports = (process.http_port, process.replication_port) if calls else (process.http_port,)
    return [in_address(process.address, port) for port in ports]


def _redis(topology: Topology) -> dict[str, str] | None:
    redis = fleet(topology)["redis"]
    if redis is None:
        return None
    if topology.unix:
        return {"socket": redis["socket"]}
    return {
        "address": redis["address"],
        "port": str(redis["port"]),
        "password_file": secret(secrets.REDIS),
    }
