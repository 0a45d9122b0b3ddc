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


def test_a_run_of_nginx_alone_plans_nothing_for_processes() -> None:
    """With --tags nginx no process is surveyed; that none was seen does not mean that all are to be started."""
    proxies = {"synapse1": {"stdout_lines": ["write /etc/nginx/conf.d/matrix-synapse.conf", "reload nginx"]}}
    plan = load_filter("plan")(topology_json("single_host"), {}, proxies)
    assert [(wave["proxy"], wave["held"], wave["steps"]) for wave in plan["waves"]] == [("apply", [], {})]
    assert load_filter("plan")(topology_json("single_host"), {}, {"synapse1": {"stdout_lines": []}})["waves"] == []
