# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture of the fleet, as Mermaid text, which forges and editors draw."""

from __future__ import annotations

from collections.abc import Iterator

from ._process import Process
from ._proxy import serving_duty
from ._routes import ROUTES
from ._topology import Topology, natural_key


def diagram(topology: Topology) -> str:
    """Returns a flowchart: clients and servers, nginx, every pool on its host, PostgreSQL and Redis."""
    lines = ["flowchart LR", "  clients([clients]) --> nginx", "  servers([other servers]) --> nginx"]
    for host in sorted(topology.addresses, key=natural_key):
        lines += [f'  subgraph {_id("host", host)}["{host}"]', *_host(topology, host), "  end"]
    lines += [f"  nginx --> {node}" for node in _proxied(topology)]
    senders = [_pool_id(pool) for pool in _pools(topology) if "federation_sender" in pool[0].duties]
    lines += [f"  {node} --> servers" for node in dict.fromkeys(senders)] or ["  main --> servers"]
    return "\n".join(lines) + "\n"


def _host(topology: Topology, host: str) -> Iterator[str]:
    if host in topology.nginx_hosts:
        yield "    nginx{{nginx}}"
    if host == topology.main.host:
        yield '    main["main process"]'
    for pool in _pools(topology):
        if pool[0].host == host:
            count = f", {len(pool)} workers" if len(pool) > 1 else ""
            duties = ", ".join(duty for duty in pool[0].duties if duty != pool[0].pool)
            label = f"<b>{pool[0].pool}{count}</b>" + (f"<br/>{duties}" if duties else "")
            yield f'    {_pool_id(pool)}["{label}"]'
    if host == topology.postgres_host:
        yield "    postgres[(PostgreSQL)]"
    if host == topology.redis_host:
        yield "    redis[(Redis)]"


def _pools(topology: Topology) -> list[list[Process]]:
    pools: dict[tuple[str, str, str], list[Process]] = {}
    for worker in topology.workers:
        pools.setdefault((worker.host, worker.group, worker.pool), []).append(worker)
    return list(pools.values())


def _proxied(topology: Topology) -> list[str]:
    """Returns the nodes that nginx sends requests to."""
    serving = {serving_duty(topology, route) for route in ROUTES if route.serves(topology.release)}
    return ["main", *(_pool_id(pool) for pool in _pools(topology) if serving.intersection(pool[0].duties))]


def _pool_id(pool: list[Process]) -> str:
    return _id(pool[0].host, pool[0].pool)


def _id(*parts: str) -> str:
    return "_".join("".join(char if char.isalnum() else "_" for char in part) for part in parts)
