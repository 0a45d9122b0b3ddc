# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables say where each request goes: few patterns, no request of main taken along, another pool behind each."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.baremetal.synapse.plugins.module_utils.routes.path_template import regex_of, sample
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.topology import Topology
from ansible_collections.baremetal.synapse.plugins.plugin_utils.routing.decisions import (
    decisions,
    fallback_duty,
    fallback_upstream,
    tables,
    uses_mas,
)

from tests.unit.fleets import INVENTORIES, example, one_host
from tests.unit.nginx_maps import Proxy

V3 = "/_matrix/client/v3"


def with_mas(**variables: Any) -> Topology:
    return one_host(synapse_extra_config={"matrix_authentication_service": {"enabled": True}}, **variables)


def test_a_monolith_has_no_tables() -> None:
    assert tables(one_host()) == ()


@pytest.mark.parametrize("inventory", INVENTORIES)
def test_a_table_has_few_patterns(inventory: str) -> None:
    """nginx tries them one after the other."""
    assert all(len(table.entries) < 20 for table in tables(example(inventory)))


@pytest.mark.parametrize("inventory", INVENTORIES)
def test_the_first_pattern_that_fits_is_the_one_for_the_route(inventory: str) -> None:
    of_family = {table.family: table for table in tables(example(inventory))}
    proxy = Proxy(example(inventory))
    for decision in decisions(example(inventory)):
        (method,) = decision.route.methods
        outcome = proxy.serve(method, sample(decision.route.path) + "?since=s1")
        if outcome.upstream is not None:
            assert outcome.upstream == decision.upstream, decision.route
    assert inventory == "monolith" or of_family


def test_words_that_differ_in_one_place_share_a_pattern() -> None:
    (table,) = (table for table in tables(one_host(generic_workers={"room": {}})) if table.family == "client/rooms")
    reads = [entry.regex for entry in table.entries if "messages" in entry.regex]
    assert len(reads) == 1
    for word in ("messages", "members", "joined_members", "state"):
        assert re.fullmatch(reads[0], f"{V3}/rooms/!x:y/{word}")


def test_what_a_setting_takes_from_workers_stays_on_main() -> None:
    """MAS decides which admin requests a worker of 1.130 serves; the operator's configuration tells."""
    pools: dict[str, Any] = {"generic_workers": {"client_reader": {}}, "synapse_version": "1.130.0"}
    path = "/_synapse/admin/v1/username_available"
    assert Proxy(one_host(**pools)).serve("GET", path).upstream == "synapse_main"
    assert Proxy(with_mas(**pools)).serve("GET", path).upstream == "synapse_client_reader"


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, False),
        ({"matrix_authentication_service": {"enabled": True}}, True),
        ({"matrix_authentication_service": {"enabled": False}}, False),
        ({"experimental_features": {"msc3861": {"enabled": True}}}, True),
        ({"experimental_features": None}, False),
    ],
)
def test_mas_is_told_from_the_operators_configuration(config: dict[str, Any], expected: bool) -> None:
    assert uses_mas(one_host(synapse_extra_config=config)) is expected


def test_a_pool_that_is_away_has_another_one_behind_it_and_then_main() -> None:
    topology = one_host(generic_workers={"client_reader": {}, "sync": {}, "typing": {}, "room": {}})
    assert fallback_upstream(topology, "sync") == "synapse_client_reader_then_main"
    assert fallback_upstream(topology, "client_reader") == "synapse_main"


def test_a_pool_is_not_its_own_fallback() -> None:
    topology = one_host(generic_workers={"reader": {"duties": ["client_reader", "room", "sync"]}})
    assert fallback_duty(topology, "room") is None
    assert fallback_upstream(topology, "room") == "synapse_main"


@pytest.mark.parametrize("duty", ["typing", "to_device", "receipts", "push_rules", "media", "sso"])
def test_nobody_stands_in_for_what_others_cannot_do(duty: str) -> None:
    assert fallback_upstream(example("full"), duty) is None


def test_a_sync_is_split_only_where_a_pool_is_for_its_beginning() -> None:
    alone = Proxy(one_host(generic_workers={"sync": {}}))
    split = Proxy(one_host(generic_workers={"sync": {}, "initial_sync": {}}))
    assert alone.serve("GET", f"{V3}/sync").upstream == "synapse_sync"
    assert split.serve("GET", f"{V3}/sync").upstream == "synapse_initial_sync"
    assert split.serve("GET", f"{V3}/sync?since=s1").upstream == "synapse_sync"


@pytest.mark.parametrize(
    ("template", "path", "fits"),
    [
        ("/a/{x}", "/a/b", True),
        ("/a/{x}", "/a/b%2Fc", True),
        ("/a/{x}", "/a/b/c", False),
        ("/a.b/{x:c|d}", "/a.b/c", True),
        ("/a.b/{x:c|d}", "/aXb/c", False),
        ("/a{rest:(?:/.*)?}", "/a", True),
        ("/a{rest:(?:/.*)?}", "/a/b/c", True),
        ("/a{rest:(?:/.*)?}", "/ab", False),
        ("/{x:[a-z]{2}}/y", "/ab/y", True),
    ],
)
def test_a_template_stands_for_its_paths(template: str, path: str, fits: bool) -> None:
    assert (re.fullmatch(regex_of(template), path) is not None) is fits
