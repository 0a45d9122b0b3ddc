# SPDX-License-Identifier: GPL-3.0-or-later
"""How much memory of a host is promised away, as far as it is known: limits of processes, PostgreSQL and Redis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..model.errors import TopologyError
from ..model.process import Process
from ..model.topology import Topology
from .postgres import shared_buffers as default_shared_buffers
from .postgres import size_in_mib


def memory_budget(
    topology: Topology, host: str, *, memory_mib: int, shared_buffers: str | None = None, redis_maxmemory_mib: int = 0
) -> dict[str, Any]:
    """Returns, in MiB, what each part of a host may take and their sum; parts without a limit are left out.

    Args:
        topology: the fleet.
        host: the inventory name of the host.
        memory_mib: the memory of the host in MiB.
        shared_buffers: PostgreSQL's setting, such as ``2048MB``; counted on its host alone.
        redis_maxmemory_mib: Redis' limit in MiB, 0 for none; counted on its host alone.
    """
    parts: list[dict[str, Any]] = [
        {"name": process.name, "mib": limit}
        for process in topology.processes
        if process.host == host and (limit := _limit(process, memory_mib)) is not None
    ]
    if host == topology.postgres_host and shared_buffers is not None:
        parts.append({"name": "PostgreSQL", "mib": size_in_mib(shared_buffers)})
    if host == topology.redis_host and redis_maxmemory_mib > 0:
        parts.append({"name": "Redis", "mib": redis_maxmemory_mib})
    return {"parts": parts, "sum": sum(part["mib"] for part in parts), "memory_mib": memory_mib}


def host_memory(topology: Topology, host: str, memory_mib: int, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the budget of a host for what its own variables say of PostgreSQL and Redis.

    Args:
        topology: the fleet.
        host: the inventory name of the host.
        memory_mib: the memory of the host in MiB.
        variables: of the host; ``postgres_memory_mib``, ``postgres_settings`` and ``redis_maxmemory_mib`` count.
    """
    shared = topology.postgres_host in {process.host for process in topology.processes}
    settings = variables.get("postgres_settings") or {}
    return memory_budget(
        topology,
        host,
        memory_mib=memory_mib,
        shared_buffers=settings.get("shared_buffers")
        or default_shared_buffers(int(variables.get("postgres_memory_mib") or memory_mib), shared=shared),
        redis_maxmemory_mib=int(variables.get("redis_maxmemory_mib") or 0),
    )


def check_memory(host: str, budget: Mapping[str, Any]) -> None:
    """Refuses a host with less memory than it has promised away.

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


def _limit(process: Process, memory_mib: int) -> int | None:
    """Returns the limit of a process in MiB, rounded down; a percentage is one of the host's memory."""
    written = process.settings.memory_max
    if written is None or written == "infinity":
        return None
    if written.endswith("%"):
        return int(memory_mib * float(written[:-1]) / 100)
    return int(float(written[:-1]) * {"K": 1 / 1024, "M": 1, "G": 1024, "T": 1024**2}[written[-1]])
