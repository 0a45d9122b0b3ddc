# SPDX-License-Identifier: GPL-3.0-or-later
"""Every view of every example inventory is what the golden files show: ``python -m tools.golden`` rewrites them."""

from __future__ import annotations

import json

import pytest
import yaml
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.topology import parse_topology

from tools.golden import CHECKS, GOLDEN, INVENTORIES, filter_names, inventory_names, load_filter, views
from tools.inventory import load_topology_json


@pytest.mark.parametrize("inventory", inventory_names())
def test_every_view_is_as_the_golden_file_shows_it(inventory: str) -> None:
    found = views(inventory)
    golden = {path.name: path.read_text() for path in (GOLDEN / inventory).glob("*")}
    assert sorted(found) == sorted(golden)
    for name in found:
        assert found[name] == golden[name], f"golden/{inventory}/{name}"


def test_every_filter_has_a_golden_file_and_every_inventory_a_directory() -> None:
    assert sorted(path.name for path in GOLDEN.iterdir()) == inventory_names()
    for inventory in inventory_names():
        shown = {path.stem for path in (GOLDEN / inventory).iterdir()}
        assert shown == set(filter_names()) - CHECKS


@pytest.mark.parametrize("inventory", inventory_names())
def test_nothing_is_wrong_with_the_inventory_nor_with_the_hosts_that_it_is_for(inventory: str) -> None:
    topology_json = load_topology_json(INVENTORIES / inventory)
    assert load_filter("topology_problem")(topology_json) == ""
    for host in parse_topology(topology_json).addresses:
        for python, postgres in (("3.11.2", "15"), ("3.13.5", "17")):
            assert load_filter("host_problem")(topology_json, host=host, python=python, postgres=postgres) == ""
        assert load_filter("memory_budget")(topology_json, host, memory_mib=8192)["problem"] == ""


def test_what_is_wrong_is_told_by_the_checks() -> None:
    inputs = json.loads(load_topology_json(INVENTORIES / "monolith"))
    inputs["hosts"]["synapse1"]["synapse_preset"] = "smal"
    assert "Did you mean 'small'?" in load_filter("topology_problem")(json.dumps(inputs))
    problem = load_filter("host_problem")(
        load_topology_json(INVENTORIES / "monolith"), host="synapse1", python="3.9.2", postgres=""
    )
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


@pytest.mark.parametrize("inventory", inventory_names())
def test_views_are_plain_data_that_yaml_and_json_hold_alike(inventory: str) -> None:
    for name, text in views(inventory).items():
        if name.endswith(".json"):
            data = json.loads(text)
            assert yaml.safe_load(yaml.safe_dump(data)) == data


def test_group_vars_have_the_precedence_that_ansible_gives_them() -> None:
    inputs = json.loads(load_topology_json(INVENTORIES / "single_host"))
    assert inputs["hosts"]["synapse1"]["generic_workers"]["sync"]["count"] == 2
    assert inputs["hosts"]["synapse1"]["synapse_server_name"] == "example.org"
