# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture of the fleet, as Mermaid text, which forges and editors draw."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ._process import Process
from ._routing import in_use, serving_duty
from ._topology import Topology, natural_key


def diagram(topology: Topology) -> str:
    """Returns a flowchart: clients and servers, nginx, every pool on its host, PostgreSQL and Redis."""
    pools = {f"pool{number}": pool for number, pool in enumerate(_pools(topology), start=1)}
    lines = ["flowchart LR", "  clients([clients]) --> nginx", "  servers([other servers]) --> nginx"]
    for number, host in enumerate(sorted(topology.addresses, key=natural_key), start=1):
        lines += [f'  subgraph host{number}["{host}"]', *_host(topology, host, pools), "  end"]
    serving = {serving_duty(topology, duty) for duty in in_use(topology)}
    proxied = [node for node, pool in pools.items() if serving.intersection(pool[0].duties)]
    lines += [f"  nginx --> {node}" for node in ("main", *proxied)]
    senders = [node for node, pool in pools.items() if "federation_sender" in pool[0].duties]
    lines += [f"  {node} --> servers" for node in senders or ["main"]]
    return "\n".join(lines) + "\n"


def _host(topology: Topology, host: str, pools: Mapping[str, list[Process]]) -> Iterator[str]:
    if host in topology.nginx_hosts:
        yield "    nginx{{nginx}}"
    if host == topology.main.host:
        yield '    main["main process"]'
    for node, pool in pools.items():
        if pool[0].host == host:
            count = f", {len(pool)} workers" if len(pool) > 1 else ""
            duties = ", ".join(duty for duty in pool[0].duties if duty != pool[0].pool)
            label = f"<b>{pool[0].pool}{count}</b>" + (f"<br/>{duties}" if duties else "")
            yield f'    {node}["{label}"]'
    if host == topology.postgres_host:
        yield "    postgres[(PostgreSQL)]"
    if host == topology.redis_host:
        yield "    redis[(Redis)]"


def _pools(topology: Topology) -> list[list[Process]]:
    pools: dict[tuple[str, str, str], list[Process]] = {}
    for worker in topology.workers:
        pools.setdefault((worker.host, worker.group, worker.pool), []).append(worker)
    return list(pools.values())
