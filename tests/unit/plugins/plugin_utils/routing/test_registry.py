# SPDX-License-Identifier: GPL-3.0-or-later
"""The shipped routes are read as what they are, and a file that is something else is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.errors import TopologyError
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.releases import NEWEST, Release
from ansible_collections.baremetal.synapse.plugins.plugin_utils.routing.registry import (
    Registry,
    parse_registry,
    registry,
)
from ansible_collections.baremetal.synapse.plugins.plugin_utils.views.fleet import fleet

from tests.unit.fleets import one_host

ROUTE = {
    "path": "/_matrix/client/v3/x/{room_id}",
    "methods": ["GET"],
    "main": ["client"],
    "worker": [],
    "when": None,
    "writes": None,
    "session": False,
    "servlet": "X",
    "since": "1.130.0",
    "until": "1.140.0",
}


def document(**changes: Any) -> str:
    return json.dumps({"schema": 1, "releases": ["1.130.0", "1.140.0", "1.150.3"], "routes": [ROUTE], **changes})


def small() -> Registry:
    return parse_registry(document())


def test_the_newest_release_that_is_deployed_by_default_is_the_newest_one_whose_routes_are_shipped() -> None:
    assert registry().releases[-1] == NEWEST


def test_the_releases_that_were_promised_are_shipped() -> None:
    minors = [(release.major, release.minor) for release in registry().releases]
    assert minors == [(1, minor) for minor in (84, 90, 100, 110, 120, *range(130, NEWEST.minor + 1))]
    assert registry().releases[0] == Release(1, 84, 1)


def test_a_route_is_there_from_the_first_release_to_the_one_before_the_last() -> None:
    assert [route.servlet for route in small().of(Release(1, 130, 0))] == ["X"]
    assert small().of(Release(1, 140, 0)) == ()


@pytest.mark.parametrize(
    ("release", "known", "exact"),
    [
        ("1.130.0", "1.130.0", True),
        ("1.130.5", "1.130.0", True),
        ("1.135.0", "1.130.0", False),
        ("1.150.0", "1.150.3", True),
        ("1.151.0", "1.150.3", False),
        ("2.0.0", "1.150.3", False),
        ("1.100.0", "1.130.0", False),
    ],
)
def test_a_release_that_is_not_known_uses_the_nearest_older_one(release: str, known: str, exact: bool) -> None:
    asked = Release(*map(int, release.split(".")))
    assert str(small().known(asked)) == known
    assert small().is_known(asked) is exact


def test_a_fleet_says_whose_routes_it_uses() -> None:
    beyond = fleet(one_host(synapse_version=f"1.{NEWEST.minor + 1}.0"))["routes"]
    exact = fleet(one_host(synapse_version=str(NEWEST)))["routes"]
    assert (beyond["release"], beyond["known"]) == (str(NEWEST), False)
    assert (exact["release"], exact["known"]) == (str(NEWEST), True)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "it is no JSON"),
        ("[]", "reads schema 1"),
        (document(schema=2), "reads schema 1"),
        (document(schema=None), "reads schema 1"),
        (document(routes=[{"path": "/x"}]), "a part of it is missing or wrong"),
        (document(releases=["one"]), "a part of it is missing or wrong"),
        (json.dumps({"schema": 1}), "a part of it is missing or wrong"),
    ],
)
def test_another_file_is_refused_with_its_place_and_the_mend(text: str, reason: str) -> None:
    with pytest.raises(TopologyError) as caught:
        parse_registry(text, "other.json")
    assert "other.json" in str(caught.value)
    assert reason in str(caught.value)
    assert "make routes RELEASE=" in str(caught.value)
