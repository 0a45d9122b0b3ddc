# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture shows the whole fleet, is well-formed SVG, and nothing in it covers anything else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any
from xml.etree import ElementTree

import pytest
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.topology import Topology, build_topology
from ansible_collections.baremetal.synapse.plugins.plugin_utils.views.diagram import diagram

from tests.unit.fleets import every_fleet, one_host, several_hosts, several_hosts_inputs

FLEETS = every_fleet()
_SVG = "{http://www.w3.org/2000/svg}"
_TIMES = "\N{MULTIPLICATION SIGN}"


@dataclass(frozen=True)
class Box:
    """A rectangle, and the lines of text in it."""

    style: str
    x: float
    y: float
    right: float
    bottom: float
    lines: tuple[str, ...]

    def covers(self, x: float, y: float) -> bool:
        """Tells whether a point is in it, or on its border."""
        return self.x <= x <= self.right and self.y <= y <= self.bottom

    def meets(self, other: Box) -> bool:
        """Tells whether they have a point in common."""
        return self.x < other.right and other.x < self.right and self.y < other.bottom and other.y < self.bottom


def parse(text: str) -> ElementTree.Element:
    """Returns the picture as XML."""
    return ElementTree.fromstring(text)  # noqa: S314  # the code under test has just written it


def boxes(text: str, *styles: str) -> list[Box]:
    """Returns the rectangles of these styles."""
    root = parse(text)
    written = [(float(t.get("x", 0)), float(t.get("y", 0)), t.text or "") for t in root.iter(f"{_SVG}text")]
    found = []
    for one in root.iter(f"{_SVG}rect"):
        x, y, width, height = (float(one.get(name, 0)) for name in ("x", "y", "width", "height"))
        box = Box(one.get("class", ""), x, y, x + width, y + height, ())
        lines = tuple(content for at, line, content in written if box.covers(at, line))
        found.append(Box(box.style, box.x, box.y, box.right, box.bottom, lines))
    return [box for box in found if box.style in styles]


def pools(text: str) -> list[tuple[str, int]]:
    """Returns each pool in the picture with the number of its workers."""
    names = [box.lines[0] for box in boxes(text, "node") if box.lines[0] != "main process"]
    matches = [re.fullmatch(rf"(\w+)(?: {_TIMES} (\d+))?", name) for name in names]
    return sorted((match[1], int(match[2] or 1)) for match in matches if match)


def arrows(text: str) -> Iterator[tuple[str, str]]:
    """Returns the kind of each arrow, and what it points to."""
    shown = boxes(text, "node", "proxy", "outside", "service")
    for head in parse(text).iter(f"{_SVG}polygon"):
        x, y = map(float, head.get("points", "").split(" ")[0].split(","))
        (target,) = [box for box in shown if box.covers(x, y)]
        yield head.get("class", "").removeprefix("head "), target.lines[0]


@pytest.mark.parametrize("topology", FLEETS.values(), ids=FLEETS)
def test_every_pool_is_in_the_picture_with_the_number_of_its_workers(topology: Topology) -> None:
    wanted: dict[tuple[str, str, str], int] = {}
    for worker in topology.workers:
        key = worker.host, worker.group, worker.pool
        wanted[key] = wanted.get(key, 0) + 1
    assert pools(diagram(topology)) == sorted((pool, count) for (_, _, pool), count in wanted.items())


@pytest.mark.parametrize("topology", FLEETS.values(), ids=FLEETS)
def test_nothing_covers_anything_else_and_everything_is_on_the_paper(topology: Topology) -> None:
    text = diagram(topology)
    (paper,) = boxes(text, "paper")
    for styles in (("node", "proxy", "outside", "service"), ("host", "outside")):
        for one, other in combinations(boxes(text, *styles), 2):
            assert not one.meets(other), (one, other)
    for box in boxes(text, "host", "node", "proxy", "outside", "service"):
        assert paper.covers(box.x, box.y) and paper.covers(box.right, box.bottom)
    for line in parse(text).iter(f"{_SVG}polyline"):
        assert all(paper.covers(*map(float, point.split(","))) for point in line.get("points", "").split(" "))


@pytest.mark.parametrize("topology", FLEETS.values(), ids=FLEETS)
def test_no_line_of_text_is_longer_than_its_box(topology: Topology) -> None:
    for box in boxes(diagram(topology), "node"):
        # A wide font has 6.6 pixels for a character.
        assert all(10 + 6.4 * len(line) <= box.right - box.x for line in box.lines), box


def test_what_it_shows_is_said_to_those_who_do_not_see_it() -> None:
    root = parse(diagram(one_host(generic_workers={"sync": {"count": 2}})))
    named = {element.get("id"): element.text or "" for element in root.iter() if element.get("id")}
    title, about = (named[name] for name in root.get("aria-labelledby", "").split())
    assert "example.org" in title
    assert "sync (2)" in about and "PostgreSQL" in about


def test_requests_go_to_the_pools_that_serve_them_and_to_no_other() -> None:
    fleet = one_host(
        generic_workers={"sync": {}, "events": {}, "federation_inbound": {}},
        media_workers={"media": {}},
        background_workers={"pusher": {}},
    )
    ends = set(arrows(diagram(fleet)))
    assert {end for kind, end in ends if kind == "client"} >= {"nginx", "main process", "sync"}
    assert {end for kind, end in ends if kind == "media"} == {"media"}
    assert ("federation", "federation_inbound") in ends and ("federation", "sync") not in ends
    assert not {"events", "pusher"} & {end for _kind, end in ends}


def test_what_goes_out_to_other_servers_comes_from_the_senders_or_from_main() -> None:
    for fleet in (one_host(), one_host(background_workers={"federation_sender": {"count": 2}})):
        assert ("sends", "other servers") in set(arrows(diagram(fleet)))

    def beginnings(fleet: Topology) -> set[str]:
        text = diagram(fleet)
        starts = {
            tuple(map(float, line.get("points", "").split(" ")[0].split(",")))
            for line in parse(text).iter(f"{_SVG}polyline")
            if line.get("class") == "line sends"
        }
        return {box.lines[0] for box in boxes(text, "node") for x, y in starts if box.covers(x, y)}

    assert beginnings(one_host()) == {"main process"}
    assert beginnings(one_host(background_workers={"federation_sender": {"count": 2}})) == {
        f"federation_sender {_TIMES} 2"
    }


def test_streams_are_said_once() -> None:
    text = diagram(one_host(generic_workers={"writer": {"duties": ["typing", "to_device", "login"]}}))
    (writer,) = [box for box in boxes(text, "node") if box.lines[0] == "writer"]
    assert writer.lines == ("writer", "login", "writes typing, to_device")


def test_what_runs_on_a_host_is_in_its_box() -> None:
    text = diagram(several_hosts({"generic2": {"generic_workers": {"sync": {}}}}, media_workers={"media": {}}))
    on = {box.lines[0]: box.lines for box in boxes(text, "host")}
    assert "sync" in on["generic2"]
    assert "PostgreSQL" in on["db1"]
    assert "main process" in on["main1"]


def fleet_of_many(**own: Any) -> Topology:
    """Returns 50 hosts with two pools each."""
    names = [f"w{number}" for number in range(1, 50)]
    hosts = {name: {"synapse_address": f"10.0.1.{number}"} for number, name in enumerate(names, start=1)}
    hosts["w7"] |= own
    hosts["a"] = {"synapse_address": "10.0.2.1"}
    groups = {name: ["a"] for name in ("postgres", "redis", "synapse_main", "nginx")} | {"generic_workers": names}
    pools_of_all = {"generic_workers": {"sync": {"count": 4}, "room": {}}}
    return build_topology(
        several_hosts_inputs({name: {**pools_of_all, **host} for name, host in hosts.items()}, groups)
    )


def test_of_many_hosts_those_that_have_the_same_are_drawn_once() -> None:
    assert [box.lines[0] for box in boxes(diagram(fleet_of_many()), "host")] == ["a", "w1 … w49 (49 hosts)"]
    with_another = diagram(fleet_of_many(generic_workers={"login": {}}))
    assert [box.lines[0] for box in boxes(with_another, "host")] == ["a", "w1 … w49 (48 hosts)", "w7"]


def test_names_are_escaped() -> None:
    hosts = {"a<b&c": {"synapse_address": "10.0.1.1"}}
    groups = {name: ["a<b&c"] for name in ("postgres", "redis", "synapse_main", "nginx")}
    text = diagram(build_topology(several_hosts_inputs(hosts, groups)))
    assert [box.lines[0] for box in boxes(text, "host")] == ["a<b&c"]
