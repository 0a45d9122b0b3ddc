# SPDX-License-Identifier: GPL-3.0-or-later
"""What services may take of a host's memory and of PostgreSQL's connections: the functions of their rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .service import Part
from .sizes import postgres_size_in_mib, systemd_size_in_mib

if TYPE_CHECKING:
    from .topology import Topology

# A process opens one more while it starts, before its pool exists (Synapse's storage/database.py).
_WHILE_STARTING = 1


def bounded(value: int, least: int, most: int, step: int = 1) -> int:
    """Returns the value rounded down to a whole step and kept between the bounds."""
    return max(least, min(most, value // step * step))


def shared_buffers(memory_mib: int, *, shared: bool) -> str:
    """Returns PostgreSQL's setting of that name: a quarter of the memory that it may use, 32 GiB at most.

    Args:
        memory_mib: memory of the machine in MiB.
        shared: whether Synapse runs on the same machine. PostgreSQL then plans with half of the memory.
    """
    usable = memory_mib // 2 if shared else memory_mib
    return f"{bounded(usable // 4, 128, 32768, 64)}MB"


def memory_of_processes(
    topology: Topology, host: str, memory_mib: int, _variables: Mapping[str, Any]
) -> Iterator[Part]:
    """Returns the limits of the processes of a host, as far as they have one."""
    for process in topology.processes:
        limit = systemd_size_in_mib(process.settings.memory_max, memory_mib)
        if process.host == host and limit is not None:
            yield process.name, limit


def memory_of_postgres(topology: Topology, host: str, memory_mib: int, variables: Mapping[str, Any]) -> Iterator[Part]:
    """Returns PostgreSQL's shared buffers."""
    planned = int(variables.get("postgres_memory_mib") or memory_mib)
    settings = variables.get("postgres_settings") or {}
    written = settings.get("shared_buffers") or shared_buffers(planned, shared=host in topology.process_hosts)
    yield "PostgreSQL", postgres_size_in_mib(written)


def memory_of_redis(_topology: Topology, _host: str, _memory_mib: int, variables: Mapping[str, Any]) -> Iterator[Part]:
    """Returns Redis' limit, if it has one."""
    limit = int(variables.get("redis_maxmemory_mib") or 0)
    if limit > 0:
        yield "Redis", limit


def connections_of_processes(topology: Topology) -> Iterator[Part]:
    """Returns the connections of each process."""
    default = topology.options["synapse_cp_max"]
    for process in topology.processes:
        yield process.name, (process.settings.cp_max or default) + _WHILE_STARTING
