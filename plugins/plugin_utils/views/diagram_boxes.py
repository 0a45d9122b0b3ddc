# SPDX-License-Identifier: GPL-3.0-or-later
"""What the picture of a fleet shows: hosts, and the boxes on them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ansible_collections.baremetal.synapse.plugins.module_utils.routes.families import Audience, family_of

from ..model.process import Process
from ..model.service import Service
from ..model.topology import Topology, natural_key
from ..routing.decisions import decisions, serving_duty

KINDS = {"client": "requests of clients", "federation": "requests of other servers", "media": "media"}
SENDS = "sends"
_TIMES = "\N{MULTIPLICATION SIGN}"
# The columns: those outside, the proxy, processes, services.
OUTSIDE, PROXY, PROCESSES, SERVICES = range(4)
PADDING = 12
HEADER = 28
GAP = 10
LINE = 15
_WRAP = 42
# Above it, hosts that have the same are drawn once.
_MANY_HOSTS = 12


@dataclass(frozen=True, kw_only=True)
class Node:
    """A box of its own: a pool, or a service.

    Attributes:
        column: the column it belongs into.
        style: what it looks like.
        name: its first line.
        about: its other lines.
        ports: the kinds of requests that it gets, and whether it sends to other servers.
    """

    column: int
    style: str
    name: str
    about: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()

    @property
    def height(self) -> float:
        return 12 + LINE * (1 + len(self.about))


@dataclass(frozen=True, kw_only=True)
class Host:
    """A host, or several that have the same.

    Attributes:
        names: their names.
        nodes: what runs on it.
    """

    names: tuple[str, ...]
    nodes: tuple[Node, ...]

    @property
    def columns(self) -> range:
        """The columns that it covers."""
        used = [node.column for node in self.nodes] or [PROCESSES]
        return range(min(used), max(used) + 1)

    def stack(self, column: int) -> list[Node]:
        """Returns its nodes of one column."""
        return [node for node in self.nodes if node.column == column]

    @property
    def height(self) -> float:
        return HEADER + max((stack_height(self.stack(column)) for column in self.columns), default=0) + PADDING


def stack_height(nodes: Sequence[Node]) -> float:
    """Returns the height of boxes one above the other."""
    return sum(node.height for node in nodes) + GAP * max(0, len(nodes) - 1)


def serving(topology: Topology) -> list[Service]:
    """Returns the services that processes use, whether the fleet has a host of them or not."""
    return [service for service in topology.services if service.column == "services" and service.serves is not None]


def line_of(service: Service) -> str:
    """Returns the class of the lines that lead to a service."""
    return str(service.serves).lower().replace(" ", "-")


def pools_of(topology: Topology) -> list[list[Process]]:
    """Returns the workers of each pool of each host."""
    pools: dict[tuple[str, str, str], list[Process]] = {}
    for worker in topology.workers:
        pools.setdefault((worker.host, worker.group, worker.pool), []).append(worker)
    return list(pools.values())


def hosts_of(topology: Topology) -> list[Host]:
    """Returns the hosts with their boxes; of many hosts, those that have the same as one."""
    processes = _process_nodes(topology)
    hosts = []
    for name in sorted(topology.addresses, key=natural_key):
        nodes = [*_service_nodes(topology, name, "proxy"), *processes.get(name, ())]
        nodes += _service_nodes(topology, name, "services")
        hosts.append(Host(names=(name,), nodes=tuple(nodes)))
    return hosts if len(hosts) <= _MANY_HOSTS else _merged(hosts)


def _service_nodes(topology: Topology, host: str, column: str) -> Iterator[Node]:
    """Returns the services of a host that are drawn in a column."""
    for service in topology.services:
        if service.column == column and host in topology.running(service):
            if column == "proxy":
                yield Node(column=PROXY, style="proxy", name=service.title, ports=tuple(KINDS))
            else:
                yield Node(column=SERVICES, style="service", name=service.title)


def _process_nodes(topology: Topology) -> dict[str, list[Node]]:
    """Returns the main process and the pools of each host."""
    served = _served(topology)
    senders = topology.with_duty("federation_sender") or (topology.main,)
    main = topology.main
    ports = (*served[None], *([SENDS] if main in senders else []))
    nodes = {main.host: [Node(column=PROCESSES, style="node", name="main process", ports=ports)]}
    for pool in pools_of(topology):
        nodes.setdefault(pool[0].host, []).append(_pool_node(pool, served, senders))
    return nodes


def _merged(hosts: Iterable[Host]) -> list[Host]:
    """Returns one host for all that have the same."""
    alike: dict[tuple[Node, ...], Host] = {}
    for host in hosts:
        first = alike.get(host.nodes)
        alike[host.nodes] = host if first is None else replace(first, names=(*first.names, *host.names))
    return list(alike.values())


def _pool_node(pool: Sequence[Process], served: Mapping[str | None, list[str]], senders: Sequence[Process]) -> Node:
    first = pool[0]
    kinds = {kind for duty in first.duties for kind in served.get(duty, ())}
    sends = [SENDS] * (first in senders)
    about = textwrap.wrap(", ".join(duty for duty in first.duties if duty not in (first.pool, *first.streams)), _WRAP)
    if first.streams:
        about += textwrap.wrap(f"writes {', '.join(first.streams)}", _WRAP)
    return Node(
        column=PROCESSES,
        style="node",
        name=first.pool if len(pool) == 1 else f"{first.pool} {_TIMES} {len(pool)}",
        about=tuple(about),
        ports=(*(kind for kind in KINDS if kind in kinds), *sends),
    )


def _served(topology: Topology) -> dict[str | None, list[str]]:
    """Returns the kinds of requests that come to each duty's workers, and to main (None)."""
    found: dict[str | None, set[str]] = {None: set()}
    for decision in decisions(topology):
        duty = serving_duty(topology, decision.duty)
        found.setdefault(duty, set()).add(_kind(duty, decision.route.path))
        if decision.initial is not None:
            initial = serving_duty(topology, "initial_sync")
            found.setdefault(initial, set()).add("client")
    return {duty: [kind for kind in KINDS if kind in kinds] for duty, kinds in found.items()}


def _kind(duty: str | None, path: str) -> str:
    family = family_of(path)
    audience = Audience.MEDIA if duty == "media" else Audience.CLIENTS if family is None else family.audience
    return audience.value
