# SPDX-License-Identifier: GPL-3.0-or-later
"""What an admin is told of a change of release."""

from __future__ import annotations

from typing import Any

import pytest

from tools.routes.merge import Identity, Served
from tools.routes.words import difference


def served(path: str = "/x", methods: tuple[str, ...] = ("GET",), **other: Any) -> Served:
    fields: dict[str, Any] = {
        "main": ("client",),
        "worker": ("client",),
        "when": None,
        "writes": None,
        "session": False,
    }
    return Served(Identity(path=path, methods=methods, **fields | other), "Servlet")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ({"worker": ()}, {}, "now served by workers too: GET /x"),
        ({}, {"worker": ()}, "no longer served by workers: GET /x"),
        ({"main": ()}, {}, "now served by main too: GET /x"),
        ({}, {"worker": (), "lacks": "get_x"}, "no longer served by workers: GET /x, they lack get_x"),
        ({}, {"main": ()}, "no longer served by main: GET /x"),
        ({}, {"writes": "typing"}, "now writes stream typing: GET /x, must reach its writer"),
        (
            {"writes": "typing"},
            {},
            "no longer bound to the writer of typing: GET /x, any process that serves it will do",
        ),
        ({}, {"session": True}, "now keeps a session in memory: GET /x, must reach one process"),
        ({}, {"when": "email"}, "now only with setting: GET /x, email"),
        ({"when": "email"}, {}, "no longer needs setting: GET /x, email"),
        ({"when": "a"}, {"when": "b + !c"}, "now only with setting: GET /x, b and c off"),
        ({}, {"worker": ("client", "media")}, "now on listeners with media too: GET /x, on workers"),
        ({"main": ("client", "media")}, {}, "no longer on listeners with media: GET /x, on main"),
    ],
)
def test_a_change_is_told(old: dict[str, Any], new: dict[str, Any], words: str) -> None:
    assert difference([served(**old)], [served(**new)]) == [words]


@pytest.mark.parametrize(
    ("new", "words"),
    [
        ({}, "new: GET /x, by main and workers"),
        ({"worker": ()}, "new: GET /x, by main only"),
        ({"worker": (), "lacks": "get_x"}, "new: GET /x, by main only, workers lack get_x"),
        ({"main": ()}, "new: GET /x, by workers only"),
        ({"when": "email"}, "new: GET /x, by main and workers, only with email"),
        ({"writes": "typing"}, "new: GET /x, by main and workers, writes typing: must reach its writer"),
        ({"session": True}, "new: GET /x, by main and workers, keeps a session in memory: must reach one process"),
    ],
)
def test_a_new_request_is_told_with_all_that_is_to_be_known(new: dict[str, Any], words: str) -> None:
    assert difference([], [served(**new)]) == [words]


def test_a_request_that_is_no_more_is_told() -> None:
    assert difference([served()], []) == ["gone: GET /x"]


def test_nothing_is_told_of_what_stays() -> None:
    assert difference([served()], [served()]) == []


def test_several_methods_and_versions_that_change_alike_are_one_line() -> None:
    path = "/_matrix/client/{version:r0|v3|unstable}/devices"
    assert difference([], [served(path, ("GET", "DELETE", "PUT"))]) == [
        "new: GET PUT DELETE /_matrix/client/{r0|v3|unstable}/devices, by main and workers"
    ]


def test_a_version_more_is_told_alone() -> None:
    old = served("/_matrix/client/{version:r0|v3}/devices")
    new = served("/_matrix/client/{version:r0|v1|v3}/devices")
    assert difference([old], [new]) == ["new: GET /_matrix/client/v1/devices, by main and workers"]


def test_a_pattern_that_is_closed_or_opened_is_no_other_request() -> None:
    assert difference([served("/x{rest:.*}")], [served()]) == ["now only as it is: GET /x, nothing may follow it"]
    assert difference([served()], [served("/x{rest:.*}")]) == ["now with anything behind it too: GET /x"]
    assert difference([served("/x{slash:/?}")], [served()]) == []


def test_entries_for_one_request_hold_beside_each_other() -> None:
    old = [served(worker=())]
    new = [served(worker=()), served(main=(), when="matrix_authentication_service")]
    assert difference(old, new) == ["now served by workers too: GET /x"]


def test_settings_of_which_one_is_enough_are_told_so() -> None:
    new = [served(when="oidc_providers"), served(when="cas_config")]
    assert difference([], new) == ["new: GET /x, by main and workers, only with cas_config or oidc_providers"]
