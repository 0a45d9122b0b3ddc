# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture of the fleet, as SVG: the clients, the proxy, the processes on their hosts, and what they use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ..model.service import Service
from ..model.topology import Topology
from . import svg
from .diagram_boxes import (
    GAP,
    HEADER,
    KINDS,
    LINE,
    OUTSIDE,
    PADDING,
    PROCESSES,
    PROXY,
    SENDS,
    SERVICES,
    Host,
    Node,
    hosts_of,
    line_of,
    pools_of,
    serving,
    stack_height,
)
from .svg import Point

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
_TOP = 56
_STEP = 7


@dataclass(frozen=True)
class _Placed:
    """A node, and where its top left corner is."""

    node: Node
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
    hosts = hosts_of(topology)
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
        *_services(placed, serving(topology)),
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
    parts += [f"{pool[0].pool} ({len(pool)}) on {pool[0].host}" for pool in pools_of(topology)[:40]]
    parts += _whereabouts(topology, "services")
    return f"The fleet of {topology.server_name}: {'; '.join(parts)}."


def _whereabouts(topology: Topology, column: str) -> list[str]:
    """Returns on which hosts the services of a column are."""
    drawn = [(service.title, topology.running(service)) for service in topology.services if service.column == column]
    return [f"{title} on {', '.join(sorted(hosts))}" for title, hosts in drawn if hosts]


def _style(topology: Topology) -> str:
    classes = [f".line.{line_of(service)}" for service in serving(topology)]
    dashes = [_DASHES[number % len(_DASHES)] for number in range(len(classes))]
    lines = [
        f"{name}{{stroke:#afb8c1{f';stroke-dasharray:{dash}' if dash else ''}}}"
        for name, dash in zip(classes, dashes, strict=True)
    ]
    dark = f"{','.join(classes)}{{stroke:#484f58}}" if classes else ""
    return _STYLE.replace("{service_lines}", "".join(lines)).replace("{service_lines_dark}", dark)


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


# -- where it goes -----------------------------------------------------------------------------------------------------


def _place(hosts: Sequence[Host]) -> tuple[list[str], list[_Placed], float]:
    """Returns the boxes of the hosts, their nodes, and where the lowest box ends."""
    # The hosts that need the width of several columns go above the others.
    ordered = sorted(hosts, key=lambda host: len(host.columns) == 1)
    cursors = dict.fromkeys((PROXY, PROCESSES, SERVICES), float(_TOP))
    tops: list[float] = []
    for host in ordered:
        tops.append(max(cursors[column] for column in host.columns))
        cursors.update(dict.fromkeys(host.columns, tops[-1] + host.height + GAP + 4))
    bottom = max(cursors.values()) - GAP - 4
    centred = all(len(host.columns) == 1 for host in ordered)
    boxes: list[str] = []
    placed: list[_Placed] = []
    for host, top in zip(ordered, tops, strict=True):
        first, last = host.columns[0], host.columns[-1]
        y = top + (bottom - cursors[first] + GAP + 4) / 2 if centred else top
        corner = (_LEFT[first] - PADDING, y)
        width = _LEFT[last] + _WIDTH[last] - _LEFT[first] + 2 * PADDING
        boxes += [svg.rectangle(corner, width, host.height, "host"), _label(host, (_LEFT[first], y + 18), width)]
        placed += _stacks(host, y)
    return boxes, sorted(placed, key=lambda one: (one.y, one.x)), bottom


def _label(host: Host, at: Point, width: float) -> str:
    names = host.names
    label = names[0] if len(names) == 1 else f"{names[0]} … {names[-1]} ({len(names)} hosts)"
    most = int((width - 2 * PADDING) / 7)
    return svg.text(at, label if len(label) <= most else f"{label[: most - 1]}…", "strong")


def _stacks(host: Host, top: float) -> Iterator[_Placed]:
    room = host.height - HEADER - PADDING
    for column in host.columns:
        nodes = host.stack(column)
        y = top + HEADER + (room - stack_height(nodes)) / 2
        for node in nodes:
            yield _Placed(node, _LEFT[column], y)
            y += node.height + GAP


def _outside(name: str, middle: float, port: str) -> _Placed:
    node = Node(column=OUTSIDE, style="outside", name=name, ports=(port,))
    return _Placed(node, _LEFT[OUTSIDE], middle - node.height / 2)


# -- what is drawn -----------------------------------------------------------------------------------------------------


def _draw(placed: _Placed) -> Iterator[str]:
    node = placed.node
    yield svg.rectangle((placed.x, placed.y), _WIDTH[node.column], node.height, node.style)
    yield svg.text((placed.x + 10, placed.y + 18), node.name, "strong")
    for number, about in enumerate(node.about, start=1):
        yield svg.text((placed.x + 10, placed.y + 18 + LINE * number), about, "small")


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
    for number, kind in enumerate(KINDS):
        starts = [(proxy.right, proxy.port(kind)) for proxy in proxies]
        serving = [one for one in placed if one.node.column == PROCESSES and kind in one.node.ports]
        x = _LEFT[PROXY] + _WIDTH[PROXY] + 26 + 12 * number
        yield from _bus(x, starts, [(one.x, one.port(kind)) for one in serving], kind)


def _sending(placed: Sequence[_Placed], servers: _Placed, below: float) -> Iterator[str]:
    """Draws what leaves for other servers: down, and back to the left below everything."""
    x = _LEFT[PROCESSES] - 28
    starts = [(one.x, one.port(SENDS)) for one in placed if SENDS in one.node.ports]
    target = (servers.x + _WIDTH[OUTSIDE] / 2, servers.y + servers.node.height)
    yield from (svg.line([start, (x, start[1])], SENDS) for start in starts)
    top = min(y for _x, y in starts)
    yield svg.line([(x, top), (x, below), (target[0], below), (target[0], target[1] + 4)], SENDS)
    yield svg.arrow_head(target, SENDS, up=True)


def _services(placed: Sequence[_Placed], serving: Sequence[Service]) -> Iterator[str]:
    """Draws the lines from processes to the services that they use, each kind with a vertical line of its own."""
    processes = [one for one in placed if one.node.column == PROCESSES]
    gaps = max(1, len(serving) - 1)
    for number, service in enumerate(serving):
        x = _LEFT[PROCESSES] + _WIDTH[PROCESSES] + 34 + min(14, 44 / gaps) * number
        starts = [(one.right, one.middle - 4 + min(8, 16 / gaps) * number) for one in processes]
        ends = [(one.x, one.middle) for one in placed if one.node.style == "service" and one.node.name == service.title]
        yield from _bus(x, starts, ends, line_of(service), heads=False)


def _legend(topology: Topology, y: float) -> Iterator[str]:
    entries = {**KINDS, SENDS: "sent to other servers"}
    entries |= {line_of(service): str(service.serves) for service in serving(topology) if topology.running(service)}
    x = float(_LEFT[0])
    for style, label in entries.items():
        yield svg.line([(x, y - 4), (x + 22, y - 4)], style)
        yield svg.text((x + 28, y), label, "small")
        x += 28 + 6.2 * len(label) + 22
