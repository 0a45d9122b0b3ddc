# SPDX-License-Identifier: GPL-3.0-or-later
"""A registry is asked for the routes of a raw path, and gives requests for each route."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.baremetal.synapse.plugins.module_utils.conformance.registry import Registry, expand


def route(path: str, *methods: str, when: str | None = None) -> dict[str, Any]:
    both: dict[str, Any] = {"main": ["client"], "worker": ["client"], "writes": None, "session": False}
    return {"path": path, "methods": list(methods), "when": when, **both}


def test_alternatives_of_literal_words_are_written_out() -> None:
    assert expand("/a/{version:v1|v2}/{x}/{y:b|c}") == [
        f"/a/{version}/{{x}}/{word}" for version in ("v1", "v2") for word in ("b", "c")
    ]


def test_a_raw_path_meets_each_route_whose_pattern_it_fits() -> None:
    templates = ("/_matrix/client/{version:v1|v3}/a/{x}", "/_matrix/client/v3/a/b", "/_matrix/client/v3/a")
    registry = Registry([route(template, "GET") for template in templates])
    found = [served.path for served in registry.matching("/_matrix/client/v3/a/b", everything_on=False)]
    assert sorted(found) == ["/_matrix/client/v3/a/b", "/_matrix/client/v3/a/{x}"]


@pytest.mark.parametrize(
    ("when", "mas", "there"),
    [
        (None, False, (True, True)),
        ("enable_media_repo", False, (True, True)),
        ("some.option", False, (False, True)),
        ("!some.option", False, (True, False)),
        ("matrix_authentication_service", False, (False, False)),
        ("matrix_authentication_service", True, (True, True)),
        ("!matrix_authentication_service", True, (False, False)),
        ("some.option + !matrix_authentication_service", False, (False, True)),
    ],
)
def test_settings_decide_whether_a_route_is_there(when: str | None, mas: bool, there: tuple[bool, bool]) -> None:
    registry = Registry([route("/_matrix/client/v3/x", "GET", when=when)], mas=mas)
    assert registry.routes[0].there == there
    assert [bool(registry.matching("/_matrix/client/v3/x", everything_on=on)) for on in (False, True)] == list(there)
    assert bool(registry.cases()) is any(there)
    assert bool(registry.samples()) is any(there)


def test_cases_have_each_method_version_and_way_to_write_an_id() -> None:
    cases = Registry([route("/_matrix/client/{version:r0|v3}/rooms/{room_id}/x", "GET")]).cases()
    requests = {(case.request.method, case.request.path) for case in cases}
    rooms = ("!room:example.org", "%21room%3Aexample.org", "%21ro%2Fom%3Aexample.org", "!v12roomWithoutServer")
    for version in ("r0", "v3"):
        for room in rooms:
            for method in ("GET", "HEAD", "OPTIONS"):
                assert (method, f"/_matrix/client/{version}/rooms/{room}/x") in requests
    assert ("GET", "/_matrix/client/v3/rooms/!room:example.org/x/") in requests
    assert len(requests) == len(cases)


def test_what_is_open_to_nobody_has_no_cases() -> None:
    assert Registry([route("/health{rest:(?:/.*)?}", "GET")]).cases() == []
