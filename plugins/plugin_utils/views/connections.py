# SPDX-License-Identifier: GPL-3.0-or-later
"""How many connections the fleet may open, which PostgreSQL must admit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..model.service import Part

if TYPE_CHECKING:
    from ..model.topology import Topology

# For the superuser (3 are PostgreSQL's own default), backups, monitoring and a person with psql.
_RESERVED = 15
# PostgreSQL must be restarted to take more or less. Sizes that double make that rare while a fleet grows or shrinks; a
# connection that is not opened costs some KiB.
_LEAST = 200


def connection_budget(topology: Topology) -> dict[str, Any]:
    """Returns the connections of each part of the fleet, their sum, and ``max_connections``: 200, 400, 800, …."""
    parts = list(_parts(topology))
    needed = sum(number for _name, number in parts)
    admitted = _LEAST
    while admitted < needed + _RESERVED:
        admitted *= 2
    return {
        "parts": [{"name": name, "connections": number} for name, number in parts],
        "sum": needed,
        "reserved": _RESERVED,
        "max_connections": admitted,
    }


def _parts(topology: Topology) -> Iterator[Part]:
    for service in topology.services:
        if not isinstance(service.connections, int):
            yield from service.connections(topology)
        elif service.connections:
            yield from ((f"{service.title} on {host}", service.connections) for host in topology.running(service))
