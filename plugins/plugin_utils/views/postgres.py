# SPDX-License-Identifier: GPL-3.0-or-later
"""How PostgreSQL is tuned for Synapse: a pure function of the machine and of the topology.

The rules and where they come from:

* ``shared_buffers`` is a quarter of the memory PostgreSQL may use: PostgreSQL manual, "Resource Consumption"
  ("a reasonable starting value for shared_buffers is 25% of the memory in your system"). It stops at 32 GiB.
* ``effective_cache_size`` is three quarters of it: PostgreSQL manual, "Query Planning", which asks for the memory that
  the kernel's and PostgreSQL's caches have together.
* ``work_mem``: "it is possible for the total memory used to be many times the value of work_mem" (manual, "Resource
  Consumption"), so a quarter of the memory is divided by all connections.
* ``maintenance_work_mem`` and ``autovacuum_work_mem`` hold one VACUUM or CREATE INDEX each. Up to PostgreSQL 16 VACUUM
  uses at most 1 GB, so they stop there.
* Synapse's own manual ("Using Postgres") names just these five settings as worth tuning.
* ``max_wal_size`` and ``checkpoint_timeout`` spread checkpoints: PostgreSQL manual, "WAL Configuration".
* ``random_page_cost`` and ``effective_io_concurrency`` are for solid state disks: PostgreSQL manual, "Query Planning".
* ``jit`` is off, and few queries may run in parallel: Synapse's queries are many and short, and compiling one or
  starting helpers for it costs more than running it.

Memory is rounded down to whole steps, so that another kernel, which sees a few MiB more or less, restarts nothing.
"""

from __future__ import annotations

from ..model.budgets import bounded, shared_buffers
from ..model.errors import TopologyError
from ..model.sizes import POSTGRES_LEAST_MIB

MIN_MEMORY_MIB = POSTGRES_LEAST_MIB
"""The least memory of a machine that these rules were made for."""

_MIN_CONNECTIONS = 10
_MAX_CONNECTIONS = 262143


def _whole_number(name: str, value: object, least: int, most: int) -> int:
    fix = f"Give a whole number from {least} to {most}."
    if isinstance(value, bool) or not isinstance(value, int):
        raise TopologyError(name, value, "it must be a whole number", fix)
    if not least <= value <= most:
        raise TopologyError(name, value, "it is outside of the possible range", fix)
    return int(value)


def postgresql_settings(
    *,
    memory_mib: int,
    cpus: int,
    shared: bool,
    max_connections: int,
    transport: str,
    listen_address: str | None,
    port: int,
    tls: tuple[str, str] | None = None,
) -> dict[str, int | str]:
    """Return the settings for postgresql.conf, in the units that PostgreSQL reads.

    Args:
        memory_mib: memory of the machine in MiB.
        cpus: processors of the machine.
        shared: whether Synapse runs on the same machine. PostgreSQL then plans with half of the memory.
        max_connections: what the connection budget of the topology comes to.
        transport: ``unix`` (the socket only) or ``tcp``.
        listen_address: the address to listen on, needed with ``tcp``.
        port: the port, which also is the suffix of the socket's name.
        tls: the paths of the server's certificate and of its key; None to leave TLS as the distribution has it.

    Raises:
        TopologyError: an argument that no machine or topology can have.
    """
    memory = _whole_number("memory_mib", memory_mib, MIN_MEMORY_MIB, 1 << 30)
    processors = _whole_number("cpus", cpus, 1, 1 << 16)
    connections = _whole_number("max_connections", max_connections, _MIN_CONNECTIONS, _MAX_CONNECTIONS)
    number = _whole_number("port", port, 1, 65535)
    if transport not in ("unix", "tcp"):
        raise TopologyError("transport", transport, "PostgreSQL is reached over unix or tcp", "Give one of the two.")
    if transport == "tcp" and not listen_address:
        raise TopologyError(
            "listen_address",
            None,
            "with the transport tcp PostgreSQL must know where to listen",
            "Give the private address of the host, synapse_address.",
        )

    usable = memory // 2 if shared else memory
    wal = bounded(usable // 4, 1024, 8192, 256)
    encryption = {} if tls is None else {"ssl": "on", "ssl_cert_file": tls[0], "ssl_key_file": tls[1]}
    return {
        **encryption,
        "listen_addresses": str(listen_address) if transport == "tcp" else "",
        "port": number,
        "max_connections": connections,
        "password_encryption": "scram-sha-256",
        "shared_buffers": shared_buffers(memory, shared=shared),
        "effective_cache_size": f"{bounded(usable * 3 // 4, 256, 1 << 20, 256)}MB",
        "work_mem": f"{bounded(usable // 4 // connections, 4, 64)}MB",
        "maintenance_work_mem": f"{bounded(usable // 16, 64, 1024, 32)}MB",
        "autovacuum_work_mem": f"{bounded(usable // 32, 32, 1024, 32)}MB",
        "max_wal_size": f"{wal}MB",
        "min_wal_size": f"{wal // 4}MB",
        "checkpoint_timeout": "15min",
        "random_page_cost": "1.1",
        "effective_io_concurrency": 200,
        "jit": "off",
        "max_worker_processes": bounded(processors, 8, 64),
        "max_parallel_workers": bounded(processors // 2, 1, 32),
        "max_parallel_workers_per_gather": 2 if processors >= 8 else 0,
        "max_parallel_maintenance_workers": bounded(processors // 4, 1, 4),
    }
