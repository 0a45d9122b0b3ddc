# SPDX-License-Identifier: GPL-3.0-or-later
"""Every route that goes to a worker in some configuration has a request, or a reason why it has none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.releases import NEWEST
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.topology import Topology, build_topology

from tools.inventory import load_inputs
from tools.proof import fleets, record
from tools.proof.cases import CASES, WITHOUT
from tools.proof.host import PROJECT
from tools.proof.targets import Key, settings_on, targets
from tools.proof.world import Exchange, World


def topology(config: dict[str, Any]) -> Topology:
    inputs = load_inputs(PROJECT / "inventories" / fleets.EXAMPLE)
    for variables in inputs["hosts"].values():
        variables["synapse_extra_config"] = config
    return build_topology(inputs)


CONFIGS = {"own": fleets.OWN_LOGINS, "delegated": fleets.DELEGATED}
ROUTES: set[Key] = {target.key for config in CONFIGS.values() for target in targets(topology(config))}


def test_every_route_on_workers_has_a_request_or_a_reason() -> None:
    found = {name: targets(topology(config)) for name, config in CONFIGS.items()}
    asked = {
        target.key
        for case in CASES
        for its in found.values()
        for target in its
        if target.matches(case.method, Exchange.blank(case.path.partition("?")[0]))
    }
    missing = [key for key in ROUTES - asked if not any(key[1].startswith(prefix) for prefix in WITHOUT)]
    assert missing == []


def test_every_name_of_a_case_is_made_by_something() -> None:
    made = {name for kind in (World, Exchange) for name in dir(kind) if name.startswith("make_")}
    # Set by what comes before a request.
    given = {"new_delay", "new_version", "new_media_id", "new_peer_user", "new_openid", "new_token", "new_state"}
    unknown = {
        name
        for case in CASES
        for name in Exchange.names_in(json.dumps([case.path, case.body]))
        if f"make_{name}" not in made and name not in given
    }
    assert unknown == set()


def test_broken_routes_go_to_no_worker() -> None:
    paths = {path for _, path in ROUTES}
    assert not any("openid/userinfo" in path or "msc4370" in path for path in paths)


@pytest.mark.parametrize(
    ("config", "on"),
    [
        ({}, {"enable_media_repo"}),
        ({"enable_media_repo": False}, set()),
        ({"cas_config": {"enabled": False}}, {"enable_media_repo"}),
        ({"cas_config": {"server_url": "x"}}, {"enable_media_repo", "cas_config"}),
        (
            {"experimental_features": {"msc1_enabled": True, "msc2_enabled": False}},
            {"enable_media_repo", "experimental_features.msc1_enabled"},
        ),
        ({"oidc_providers": []}, {"enable_media_repo"}),
    ],
)
def test_settings_are_on_as_synapse_reads_them(config: dict[str, Any], on: set[str]) -> None:
    assert settings_on(config) >= on
    assert not {"cas_config", "oidc_providers", "experimental_features.msc2_enabled"} & (settings_on(config) - on)


def test_the_newest_release_has_a_record_of_every_route_on_workers() -> None:
    document = json.loads(record.file_of(str(NEWEST)).read_text())
    recorded = {(route["method"], route["path"]): route for route in document["routes"]}
    assert document["release"] == str(NEWEST)
    # What the decisions send to workers today: `make proof` after a change of rules.
    assert set(recorded) >= ROUTES
    assert all("proven" in route or route["unproven"] for route in recorded.values())
    assert sum("proven" in route for route in recorded.values()) > 200


def test_a_record_is_sorted_and_has_one_route_a_line() -> None:
    routes = [("PUT", "/b"), ("GET", "/b"), ("GET", "/a")]
    text = record.text("1.163.2", routes, {("GET", "/b"): record.COMPARED}, {("PUT", "/b"): "main answers 500"})
    lines = [json.loads(line.rstrip(",")) for line in text.splitlines()[1:-1]]
    assert [(line["path"], line["method"]) for line in lines] == [("/a", "GET"), ("/b", "GET"), ("/b", "PUT")]
    assert lines[1]["proven"] == "compared"
    assert lines[0]["unproven"] == "no request for it was sent"
    assert lines[2]["unproven"] == "main answers 500"
