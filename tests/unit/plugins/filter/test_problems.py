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
        for python, postgres in (("3.11.2", "15"), ("3.13.5", "17")):
            assert load_filter("host_problem")(text, host=host, python=python, postgres=postgres) == ""
        assert load_filter("memory_budget")(text, host, memory_mib=8192)["problem"] == ""


def test_what_is_wrong_is_told_by_the_checks() -> None:
    inputs = json.loads(topology_json("monolith"))
    inputs["hosts"]["synapse1"]["synapse_preset"] = "smal"
    assert "Did you mean 'small'?" in load_filter("topology_problem")(json.dumps(inputs))
    problem = load_filter("host_problem")(topology_json("monolith"), host="synapse1", python="3.9.2", postgres="")
    assert "it needs Python 3.10, the host has 3.9.2" in problem


@pytest.mark.parametrize("value", [[], ["192.0.2.0/24", "2001:db8::/32", "192.0.2.1"]])
def test_nothing_is_wrong_with_networks(value: object) -> None:
    assert load_filter("networks_problem")(value, variable="nginx_admin_allowed", host="synapse1") == ""


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("192.0.2.0/24", "is '192.0.2.0/24': it is a list of networks. Write a list of networks, such as"),
        (None, "is not set: it is a list of networks. Write"),
        (["office.example.org"], "is ['office.example.org']: 'office.example.org' in it is no network, and nginx"),
        (["192.0.2.0/24; allow all"], "'192.0.2.0/24; allow all' in it is no network"),
        ([3], "3 in it is no network"),
    ],
)
def test_what_is_wrong_with_networks_is_told(value: object, told: str) -> None:
    problem = load_filter("networks_problem")(value, variable="nginx_admin_allowed", host="synapse1")
    assert problem.startswith("nginx_admin_allowed on host synapse1 is ")
    assert told in problem
