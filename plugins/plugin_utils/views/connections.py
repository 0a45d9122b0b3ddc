# SPDX-License-Identifier: GPL-3.0-or-later
"""How many connections the fleet may open, which PostgreSQL must admit."""

from __future__ import annotations

from typing import Any

from ..model.topology import Topology

# A process opens one more while it starts, before its pool exists (Synapse's storage/database.py).
_WHILE_STARTING = 1
# For the superuser (3 are PostgreSQL's own default), backups, monitoring and a person with psql.
_RESERVED = 15
# PostgreSQL must be restarted to take more or less. Sizes that double make that rare while a fleet grows or shrinks; a
# connection that is not opened costs some KiB.
_LEAST = 200


def connection_budget(topology: Topology) -> dict[str, Any]:
    """Returns the connections of each process, their sum, and ``max_connections``: 200, 400, 800, …."""
    default = topology.options["synapse_cp_max"]
    processes = [
        {"name": process.name, "connections": (process.settings.cp_max or default) + _WHILE_STARTING}
        for process in topology.processes
    ]
    synapse = sum(int(entry["connections"]) for entry in processes)
    admitted = _LEAST
    while admitted < synapse + _RESERVED:
        admitted *= 2
    return {
        "processes": processes,
        "synapse": synapse,
        "reserved": _RESERVED,
        "max_connections": admitted,
    }
