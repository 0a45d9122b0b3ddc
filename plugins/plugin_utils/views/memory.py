# SPDX-License-Identifier: GPL-3.0-or-later
"""The memory of a host that is assigned, as far as it is known: the limits of the processes and services there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..model.errors import TopologyError
from ..model.topology import Topology


def host_memory(topology: Topology, host: str, memory_mib: int, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Returns, in MiB, what each part of a host may take and their sum; parts without a limit are left out.

    Args:
        topology: the fleet.
        host: the inventory name of the host.
        memory_mib: the memory of the host in MiB.
        variables: of the host; those count that the rows of services name.
    """
    parts = [
        part
        for service in topology.services
        if service.memory is not None and host in topology.running(service)
        for part in service.memory(topology, host, memory_mib, variables)
    ]
    return {
        "parts": [{"name": name, "mib": mib} for name, mib in parts],
        "sum": sum(mib for _name, mib in parts),
        "memory_mib": memory_mib,
    }


def check_memory(host: str, budget: Mapping[str, Any]) -> None:
    """Refuses a host with less memory than is assigned.

    Raises:
        TopologyError: the parts may take more than the host has.
    """
    if budget["sum"] <= budget["memory_mib"]:
        return
    shown = ", ".join(f"{part['name']} {part['mib']} MiB" for part in budget["parts"])
    raise TopologyError(
        "memory_max",
        f"{budget['sum']} MiB",
        f"its processes and servers may take that much ({shown}), and the host has {budget['memory_mib']} MiB",
        "Set memory_max of a pool lower, or move a pool to another host.",
        host,
    )
