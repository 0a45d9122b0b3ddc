# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture of the fleet, as SVG: who is outside, the proxy, the processes on their hosts, and what they use."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ansible_collections.baremetal.synapse.plugins.module_utils.routes.families import Audience, family_of

from ..model.process import Process
from ..model.service import Service
from ..model.topology import Topology, natural_key
from ..routing.decisions import decisions, serving_duty
from . import svg
from .svg import Point

_KINDS = {"client": "requests of clients", "federation": "requests of other servers", "media": "media"}
_SENDS = "sends"
_TIMES = "\N{MULTIPLICATION SIGN}"
_STYLE = """\
.host{fill:#f6f8fa;stroke:#d0d7de}.node{fill:#fff;stroke:#8c959f}.outside{fill:#ddf4ff;stroke:#54aeff}
.service{fill:#fff8c5;stroke:#d4a72c}.proxy{fill:#dafbe1;stroke:#4ac26b}
.line.client{stroke:#0969da}.line.federation{stroke:#bc4c00}.line.media{stroke:#8250df}
.line.sends{stroke:#bc4c00;stroke-dasharray:5 3}
{service_lines}
.head.client{fill:#0969da}.head.federation,.head.sends{fill:#bc4c00}.head.media{fill:#8250df}
@media (prefers-color-scheme:dark){.host{fill:#161b22;stroke:#30363d}.node{fill:#0d1117;stroke:#6e7681}
.outside{fill:#0c2d6b;stroke:#388bfd}.service{fill:#3b2300;stroke:#9e6a03}.proxy{fill:#04260f;stroke:#2ea043}
.line.client{stroke:#58a6ff}.line.federation,.line.sends{stroke:#f0883e}.line.media{stroke:#bc8cff}
{service_lines_dark}
.head.client{fill:#58a6ff}.head.federation,.head.sends{fill:#f0883e}.head.media{fill:#bc8cff}}
"""

# How the lines to services are dashed, one after the other.
_DASHES = ("", "2 3", "7 3", "7 3 2 3")
# The columns: those outside, the proxy, processes, services; between them is room for lines.
_LEFT = (16, 200, 416, 784)
_WIDTH = (112, 88, 276, 108)
_OUTSIDE, _PROXY, _PROCESSES, _SERVICES = range(4)
_TOP = 56
_PADDING = 12
_HEADER = 28
_GAP = 10
_LINE = 15
_STEP = 7
_WRAP = 42
# Above it, hosts that have the same are drawn once.
_MANY_HOSTS = 12


@dataclass(frozen=True, kw_only=True)
class _Node:
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
        return 12 + _LINE * (1 + len(self.about))


@dataclass(frozen=True, kw_only=True)
class _Host:
    """A host, or several that have the same.

    Attributes:
        names: their names.
        nodes: what runs on it.
    """

    names: tuple[str, ...]
    nodes: tuple[_Node, ...]

    @property
    def columns(self) -> range:
        """The columns that it covers."""
        used = [node.column for node in self.nodes] or [_PROCESSES]
        return range(min(used), max(used) + 1)

    def stack(self, column: int) -> list[_Node]:
        """Returns its nodes of one column."""
        return [node for node in self.nodes if node.column == column]

    @property
    def height(self) -> float:
        return _HEADER + max((_stack_height(self.stack(column)) for column in self.columns), default=0) + _PADDING


@dataclass(frozen=True)
class _Placed:
    """A node, and where its top left corner is."""

    node: _Node
    x: float
    y: float

    @property
    def right(self) -> float:
        return self.x + _WIDTH[self.node.column]

    @property
    def middle(self) -> float:
        return self.y + self.node.height / 2

    def port(self, name: str) -> float:
        """Returns at what height the lines of a kind touch it."""
        return self.middle + _STEP * (self.node.ports.index(name) - (len(self.node.ports) - 1) / 2)


def diagram(topology: Topology) -> str:
    """Returns the picture as SVG text.

    Hosts are boxes, with a box for each pool; coloured lines lead requests to the pools that serve them. Of more than a
    dozen hosts, those that have the same are drawn as one.
    """
    hosts = _hosts(topology)
    boxes, placed, bottom = _place(hosts)
    proxies = [one for one in placed if one.node.style == "proxy"]
    middle = (proxies[0].middle + proxies[-1].middle) / 2
    clients = _outside("clients", middle - 30, "client")
    servers = _outside("other servers", middle + 30, "federation")
    body = [
        svg.text((_LEFT[0], 30), _title(topology), "title"),
        *boxes,
        *_incoming(clients, servers, proxies),
        *_routes(placed, proxies),
        *_sending(placed, servers, bottom + 14),
        *_services(placed, _serving(topology)),
        *(part for one in (clients, servers, *placed) for part in _draw(one)),
        *_legend(topology, bottom + 44),
    ]
    size = _LEFT[-1] + _WIDTH[-1] + 28, bottom + 70
    return svg.document(size, _title(topology), _about(topology), _style(topology), body)


def _title(topology: Topology) -> str:
    counts = _count(len(topology.addresses), "host"), _count(len(topology.processes), "process", "processes")
    return f"{topology.server_name} · Synapse {topology.release} · {' · '.join(counts)}"


def _about(topology: Topology) -> str:
    parts = [*_whereabouts(topology, "proxy"), f"the main process on {topology.main.host}"]
    parts += [f"{pool[0].pool} ({len(pool)}) on {pool[0].host}" for pool in _pools(topology)[:40]]
    parts += _whereabouts(topology, "services")
    return f"The fleet of {topology.server_name}: {'; '.join(parts)}."


def _whereabouts(topology: Topology, column: str) -> list[str]:
    """Returns on which hosts the services of a column are."""
    drawn = [(service.title, topology.running(service)) for service in topology.services if service.column == column]
    return [f"{title} on {', '.join(sorted(hosts))}" for title, hosts in drawn if hosts]


def _serving(topology: Topology) -> list[Service]:
    """Returns the services that processes use, whether the fleet has a host of them or not."""
    return [service for service in topology.services if service.column == "services" and service.serves is not None]


def _line(service: Service) -> str:
    """Returns the class of the lines that lead to a service."""
    return str(service.serves).lower().replace(" ", "-")


def _style(topology: Topology) -> str:
    classes = [f".line.{_line(service)}" for service in _serving(topology)]
    dashes = [_DASHES[number % len(_DASHES)] for number in range(len(classes))]
    lines = [
        f"{name}{{stroke:#afb8c1{f';stroke-dasharray:{dash}' if dash else ''}}}"
        for name, dash in zip(classes, dashes, strict=True)
    ]
    dark = f"{','.join(classes)}{{stroke:#484f58}}" if classes else ""
    return _STYLE.replace("{service_lines}", "".join(lines)).replace("{service_lines_dark}", dark)


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


# -- what is on the hosts ----------------------------------------------------------------------------------------------


def _pools(topology: Topology) -> list[list[Process]]:
    pools: dict[tuple[str, str, str], list[Process]] = {}
    for worker in topology.workers:
        pools.setdefault((worker.host, worker.group, worker.pool), []).append(worker)
    return list(pools.values())


def _hosts(topology: Topology) -> list[_Host]:
    processes = _process_nodes(topology)
    hosts = []
    for name in sorted(topology.addresses, key=natural_key):
        nodes = [*_service_nodes(topology, name, "proxy"), *processes.get(name, ())]
        nodes += _service_nodes(topology, name, "services")
        hosts.append(_Host(names=(name,), nodes=tuple(nodes)))
    return hosts if len(hosts) <= _MANY_HOSTS else _merged(hosts)


def _service_nodes(topology: Topology, host: str, column: str) -> Iterator[_Node]:
    """Returns the services of a host that are drawn in a column."""
    for service in topology.services:
        if service.column == column and host in topology.running(service):
            if column == "proxy":
                yield _Node(column=_PROXY, style="proxy", name=service.title, ports=tuple(_KINDS))
            else:
                yield _Node(column=_SERVICES, style="service", name=service.title)


def _process_nodes(topology: Topology) -> dict[str, list[_Node]]:
    """Returns the main process and the pools of each host."""
    served = _served(topology)
    senders = topology.with_duty("federation_sender") or (topology.main,)
    main = topology.main
    ports = (*served[None], *([_SENDS] if main in senders else []))
    nodes = {main.host: [_Node(column=_PROCESSES, style="node", name="main process", ports=ports)]}
    for pool in _pools(topology):
        nodes.setdefault(pool[0].host, []).append(_pool_node(pool, served, senders))
    return nodes


def _merged(hosts: Iterable[_Host]) -> list[_Host]:
    """Returns one host for all that have the same."""
    alike: dict[tuple[_Node, ...], _Host] = {}
    for host in hosts:
        first = alike.get(host.nodes)
        alike[host.nodes] = host if first is None else replace(first, names=(*first.names, *host.names))
    return list(alike.values())


def _pool_node(pool: Sequence[Process], served: Mapping[str | None, list[str]], senders: Sequence[Process]) -> _Node:
    first = pool[0]
    kinds = {kind for duty in first.duties for kind in served.get(duty, ())}
    sends = [_SENDS] * (first in senders)
    about = textwrap.wrap(", ".join(duty for duty in first.duties if duty not in (first.pool, *first.streams)), _WRAP)
    if first.streams:
        about += textwrap.wrap(f"writes {', '.join(first.streams)}", _WRAP)
    return _Node(
        column=_PROCESSES,
        style="node",
        name=first.pool if len(pool) == 1 else f"{first.pool} {_TIMES} {len(pool)}",
        about=tuple(about),
        ports=(*(kind for kind in _KINDS if kind in kinds), *sends),
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
    return {duty: [kind for kind in _KINDS if kind in kinds] for duty, kinds in found.items()}


def _kind(duty: str | None, path: str) -> str:
    family = family_of(path)
    audience = Audience.MEDIA if duty == "media" else Audience.CLIENTS if family is None else family.audience
    return audience.value


# -- where it goes -----------------------------------------------------------------------------------------------------


def _stack_height(nodes: Sequence[_Node]) -> float:
    return sum(node.height for node in nodes) + _GAP * max(0, len(nodes) - 1)


def _place(hosts: Sequence[_Host]) -> tuple[list[str], list[_Placed], float]:
    """Returns the boxes of the hosts, their nodes, and where the lowest box ends."""
    # The hosts that need the width of several columns go above the others.
    ordered = sorted(hosts, key=lambda host: len(host.columns) == 1)
    cursors = dict.fromkeys((_PROXY, _PROCESSES, _SERVICES), float(_TOP))
    tops: list[float] = []
    for host in ordered:
        tops.append(max(cursors[column] for column in host.columns))
        cursors.update(dict.fromkeys(host.columns, tops[-1] + host.height + _GAP + 4))
    bottom = max(cursors.values()) - _GAP - 4
    centred = all(len(host.columns) == 1 for host in ordered)
    boxes: list[str] = []
    placed: list[_Placed] = []
    for host, top in zip(ordered, tops, strict=True):
        first, last = host.columns[0], host.columns[-1]
        y = top + (bottom - cursors[first] + _GAP + 4) / 2 if centred else top
        corner = (_LEFT[first] - _PADDING, y)
        width = _LEFT[last] + _WIDTH[last] - _LEFT[first] + 2 * _PADDING
        boxes += [svg.rectangle(corner, width, host.height, "host"), _label(host, (_LEFT[first], y + 18), width)]
        placed += _stacks(host, y)
    return boxes, sorted(placed, key=lambda one: (one.y, one.x)), bottom


def _label(host: _Host, at: Point, width: float) -> str:
    names = host.names
    label = names[0] if len(names) == 1 else f"{names[0]} … {names[-1]} ({len(names)} hosts)"
    most = int((width - 2 * _PADDING) / 7)
    return svg.text(at, label if len(label) <= most else f"{label[: most - 1]}…", "strong")


def _stacks(host: _Host, top: float) -> Iterator[_Placed]:
    room = host.height - _HEADER - _PADDING
    for column in host.columns:
        nodes = host.stack(column)
        y = top + _HEADER + (room - _stack_height(nodes)) / 2
        for node in nodes:
            yield _Placed(node, _LEFT[column], y)
            y += node.height + _GAP


def _outside(name: str, middle: float, port: str) -> _Placed:
    node = _Node(column=_OUTSIDE, style="outside", name=name, ports=(port,))
    return _Placed(node, _LEFT[_OUTSIDE], middle - node.height / 2)


# -- what is drawn -----------------------------------------------------------------------------------------------------


def _draw(placed: _Placed) -> Iterator[str]:
    node = placed.node
    yield svg.rectangle((placed.x, placed.y), _WIDTH[node.column], node.height, node.style)
    yield svg.text((placed.x + 10, placed.y + 18), node.name, "strong")
    for number, about in enumerate(node.about, start=1):
        yield svg.text((placed.x + 10, placed.y + 18 + _LINE * number), about, "small")


def _bus(x: float, starts: Iterable[Point], ends: Iterable[Point], style: str, *, heads: bool = True) -> Iterator[str]:
    """Draws lines from the left to the right that share one vertical line."""
    starts, ends = list(starts), list(ends)
    if not starts or not ends:
        return
    heights = [y for _x, y in (*starts, *ends)]
    yield svg.line([(x, min(heights)), (x, max(heights))], style)
    yield from (svg.line([start, (x, start[1])], style) for start in starts)
    for end in ends:
        yield svg.line([(x, end[1]), (end[0] - (4 if heads else 0), end[1])], style)
        if heads:
            yield svg.arrow_head(end, style)


def _incoming(clients: _Placed, servers: _Placed, proxies: Sequence[_Placed]) -> Iterator[str]:
    for number, outside in enumerate((clients, servers)):
        kind = outside.node.ports[0]
        ends = [(proxy.x, proxy.port(kind)) for proxy in proxies]
        yield from _bus(outside.right + 24 + 10 * number, [(outside.right, outside.middle)], ends, kind)


def _routes(placed: Sequence[_Placed], proxies: Sequence[_Placed]) -> Iterator[str]:
    for number, kind in enumerate(_KINDS):
        starts = [(proxy.right, proxy.port(kind)) for proxy in proxies]
        serving = [one for one in placed if one.node.column == _PROCESSES and kind in one.node.ports]
        x = _LEFT[_PROXY] + _WIDTH[_PROXY] + 26 + 12 * number
        yield from _bus(x, starts, [(one.x, one.port(kind)) for one in serving], kind)


def _sending(placed: Sequence[_Placed], servers: _Placed, below: float) -> Iterator[str]:
    """Draws what leaves for other servers: down, and back to the left below everything."""
    x = _LEFT[_PROCESSES] - 28
    starts = [(one.x, one.port(_SENDS)) for one in placed if _SENDS in one.node.ports]
    target = (servers.x + _WIDTH[_OUTSIDE] / 2, servers.y + servers.node.height)
    yield from (svg.line([start, (x, start[1])], _SENDS) for start in starts)
    top = min(y for _x, y in starts)
    yield svg.line([(x, top), (x, below), (target[0], below), (target[0], target[1] + 4)], _SENDS)
    yield svg.arrow_head(target, _SENDS, up=True)


def _services(placed: Sequence[_Placed], serving: Sequence[Service]) -> Iterator[str]:
    """Draws the lines from processes to the services that they use, each kind with a vertical line of its own."""
    processes = [one for one in placed if one.node.column == _PROCESSES]
    gaps = max(1, len(serving) - 1)
    for number, service in enumerate(serving):
        x = _LEFT[_PROCESSES] + _WIDTH[_PROCESSES] + 34 + min(14, 44 / gaps) * number
        starts = [(one.right, one.middle - 4 + min(8, 16 / gaps) * number) for one in processes]
        ends = [(one.x, one.middle) for one in placed if one.node.style == "service" and one.node.name == service.title]
        yield from _bus(x, starts, ends, _line(service), heads=False)


def _legend(topology: Topology, y: float) -> Iterator[str]:
    entries = {**_KINDS, _SENDS: "sent to other servers"}
    entries |= {_line(service): str(service.serves) for service in _serving(topology) if topology.running(service)}
    x = float(_LEFT[0])
    for style, label in entries.items():
        yield svg.line([(x, y - 4), (x + 22, y - 4)], style)
        yield svg.text((x + 28, y), label, "small")
        x += 28 + 6.2 * len(label) + 22
