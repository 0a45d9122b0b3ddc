# SPDX-License-Identifier: GPL-3.0-or-later
"""How many connections the fleet may open, which PostgreSQL must admit."""

from __future__ import annotations

from typing import Any

from ._topology import Topology

# A process opens one more while it starts, before its pool exists (Synapse's storage/database.py).
_WHILE_STARTING = 1
# For the superuser (3 are PostgreSQL's own default), backups, monitoring and a person with psql.
_RESERVED = 15
# PostgreSQL must be restarted to take more; in steps, adding a few workers needs no restart.
_STEP = 50


def connection_budget(topology: Topology) -> dict[str, Any]:
    """Returns the connections of each process, their sum, and the ``max_connections`` of PostgreSQL, in steps of 50."""
    default = topology.options["synapse_cp_max"]
    processes = [
        {"name": process.name, "connections": (process.settings.cp_max or default) + _WHILE_STARTING}
        for process in topology.processes
    ]
    synapse = sum(int(entry["connections"]) for entry in processes)
    return {
        "processes": processes,
        "synapse": synapse,
        "reserved": _RESERVED,
        "max_connections": -(-(synapse + _RESERVED) // _STEP) * _STEP,
    }
