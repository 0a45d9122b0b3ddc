# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters that check: nothing is wrong with the examples, and what is wrong elsewhere is told."""

from __future__ import annotations

import json

import pytest
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.topology import parse_topology

from tests.unit.filters import ROOT, load_filter
from tests.unit.fleets import INVENTORIES
from tools.inventory import load_topology_json


def topology_json(inventory: str) -> str:
    """Returns the fact ``topology_json`` of an example inventory."""
    return load_topology_json(ROOT / "inventories" / inventory)


@pytest.mark.parametrize("inventory", INVENTORIES)
def test_nothing_is_wrong_with_the_inventory_nor_with_the_hosts_that_it_is_for(inventory: str) -> None:
    text = topology_json(inventory)
    assert load_filter("topology_problem")(text) == ""
    for host in parse_topology(text).addresses:
        assert load_filter("memory_budget")(text, host, 8192, {})["problem"] == ""


def test_what_is_wrong_is_told_by_the_checks() -> None:
    inputs = json.loads(topology_json("monolith"))
    inputs["hosts"]["synapse1"]["synapse_preset"] = "smal"
    assert "Did you mean 'small'?" in load_filter("topology_problem")(json.dumps(inputs))
