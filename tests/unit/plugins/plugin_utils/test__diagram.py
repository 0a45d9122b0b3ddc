# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture shows the whole fleet, in text that Mermaid can read."""

from __future__ import annotations

import re

import pytest
from ansible_collections.baremetal.synapse.plugins.plugin_utils._diagram import diagram
from ansible_collections.baremetal.synapse.plugins.plugin_utils._topology import Topology, build_topology

from tests.unit.fleets import every_fleet, one_host, several_hosts, several_hosts_inputs

FLEETS = every_fleet()
_NODE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?:\[\".*\"\]|\(\[.*\]\)|\[\(.*\)\]|\{\{.*\}\})?")


def nodes(text: str) -> list[str]:
    """Returns the ids of nodes and groups where the picture defines them."""
    found = []
    for line in text.splitlines():
        definition = re.match(r'\s*(?:subgraph )?([A-Za-z_][A-Za-z0-9_]*)(?:\["|\(\[|\[\(|\{\{)', line)
        if definition:
            found.append(definition[1])
    return found


def arrows(text: str) -> set[tuple[str, str]]:
    """Returns where arrows lead, with pools by their names."""
    names = dict(re.findall(r'(pool[0-9]+)\["<b>(\w+)', text))
    ends = re.findall(r"^  (\w+)(?:\(.*\))? --> (\w+)$", text, re.MULTILINE)
    return {(names.get(start, start), names.get(end, end)) for start, end in ends}


@pytest.mark.parametrize("topology", FLEETS.values(), ids=FLEETS)
def test_every_pool_is_in_the_picture_with_the_number_of_its_workers(topology: Topology) -> None:
    text = diagram(topology)
    pools: dict[tuple[str, str], int] = {}
    for worker in topology.workers:
        pools[worker.host, worker.pool] = pools.get((worker.host, worker.pool), 0) + 1
    shown = re.findall(r'\["<b>(\w+)(?:, (\d+) workers)?</b>', text)
    assert sorted((name, int(count or 1)) for name, count in shown) == sorted(
        (pool, count) for (_, pool), count in pools.items()
    )


@pytest.mark.parametrize("topology", FLEETS.values(), ids=FLEETS)
def test_every_line_is_mermaid_and_every_arrow_joins_nodes_that_are_there(topology: Topology) -> None:
    text = diagram(topology)
    assert text.startswith("flowchart LR\n")
    assert text.endswith("\n")
    defined = set(nodes(text))
    for line in text.splitlines()[1:]:
        stripped = line.strip()
        if " --> " in stripped:
            ends = [re.sub(r"[^A-Za-z0-9_].*", "", end) for end in stripped.split(" --> ")]
            assert set(ends) <= defined, line
        else:
            assert stripped == "end" or _NODE.fullmatch(stripped.removeprefix("subgraph ")), line
    assert text.count("subgraph ") == text.count("\n  end\n")
    assert {"nginx", "main", "postgres"} <= defined


def test_requests_go_to_the_pools_that_serve_them_and_to_no_other() -> None:
    text = diagram(one_host(generic_workers={"sync": {}, "events": {}}, background_workers={"pusher": {}}))
    assert {end for start, end in arrows(text) if start == "nginx"} == {"main", "sync"}


def test_what_goes_out_to_other_servers_leaves_from_the_senders_or_from_main() -> None:
    alone = arrows(diagram(one_host()))
    with_senders = arrows(diagram(one_host(background_workers={"federation_sender": {"count": 2}})))
    assert {start for start, end in alone if end == "servers"} == {"main"}
    assert {start for start, end in with_senders if end == "servers"} == {"federation_sender"}


def test_several_hosts_are_groups_with_what_runs_on_them() -> None:
    text = diagram(several_hosts({"generic2": {"generic_workers": {"sync": {}}}}, media_workers={"media": {}}))
    host = text.split('["generic2"]')[1].split("  end")[0]
    assert "<b>sync</b>" in host
    assert "PostgreSQL" in text.split('["db1"]')[1].split("  end")[0]
    assert "main process" in text.split('["main1"]')[1].split("  end")[0]


def test_hosts_and_pools_whose_names_run_together_are_still_nodes_of_their_own() -> None:
    groups = {
        "postgres": ["a"],
        "redis": ["a"],
        "synapse_main": ["a"],
        "nginx": ["a"],
        "generic_workers": ["a", "a-b", "a_b", "host"],
    }
    own = {
        "a": {"synapse_address": "10.0.1.1", "generic_workers": {"b_login": {"duties": ["login"]}}},
        "a-b": {"synapse_address": "10.0.1.2", "generic_workers": {"login": {}}},
        "a_b": {"synapse_address": "10.0.1.3", "generic_workers": {"login": {}}},
        "host": {"synapse_address": "10.0.1.4", "generic_workers": {"a": {"duties": ["login"]}}},
    }
    defined = nodes(diagram(build_topology(several_hosts_inputs(own, groups))))
    assert sorted(defined) == sorted(set(defined))
