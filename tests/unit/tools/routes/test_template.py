# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe turns Synapse's regular expressions into templates of paths."""

from __future__ import annotations

import re

import pytest

from tests.unit.tools.routes.registry import probe


@pytest.mark.parametrize(
    ("pattern", "template"),
    [
        ("^/_matrix/client/versions$", "/_matrix/client/versions"),
        (
            "^/_matrix/client/(api/v1|r0|v3|unstable)/rooms/(?P<room_id>[^/]*)/members$",
            "/_matrix/client/{version:api/v1|r0|v3|unstable}/rooms/{room_id}/members",
        ),
        (r"^/_matrix/client/unstable/im\.nheko.summary/x$", "/_matrix/client/unstable/im.nheko.summary/x"),
        ("^/_matrix/client/(r0|v3)/(?P<action>join|ban)$", "/_matrix/client/{version:r0|v3}/{action:join|ban}"),
        ("^/_matrix/federation/v1/event/(?P<event_id>[^/]*)/?$", "/_matrix/federation/v1/event/{event_id}{slash:/?}"),
    ],
    ids=["literal", "segment", "escaped", "alternatives", "slash"],
)
def test_a_pattern_becomes_a_template(pattern: str, template: str) -> None:
    assert probe.template(pattern) == template


@pytest.mark.parametrize(
    "pattern", ["/_matrix/client/r0/sync", "^/_matrix/client/r0/sync.*", "^/_matrix/client/r0/sync.*$"]
)
def test_what_is_open_at_its_end_takes_the_rest(pattern: str) -> None:
    assert probe.template(pattern) == "/_matrix/client/r0/sync{rest:.*}"


def test_a_part_of_a_group_that_is_always_the_same_is_a_literal() -> None:
    assert probe.template("^/_matrix/client/r0/(?P<path>pushrules/.*)$") == "/_matrix/client/r0/pushrules/{path:.*}"
    assert probe.template("^/a/(?P<field>displayname)$") == "/a/displayname"


def test_an_optional_group_is_named_after_what_is_in_it_and_captures_nothing() -> None:
    assert (
        probe.template("^/keys(/(?P<room_id>[^/]+)(/(?P<session_id>[^/]+))?)?$")
        == "/keys{room_id:(?:/(?:[^/]+)(?:/(?:[^/]+))?)?}"
    )


def test_no_two_fields_have_the_same_name() -> None:
    assert (
        probe.template("^/_matrix/client/(r0|v3)/room_keys/version/(?P<version>[^/]+)$")
        == "/_matrix/client/{version:r0|v3}/room_keys/version/{version2}"
    )


def test_alternatives_outside_of_a_group_are_refused() -> None:
    with pytest.raises(probe.ProbeError, match=r"'\^/a\|/b' has alternatives outside of a group"):
        probe.template("^/a|/b")


@pytest.mark.parametrize(
    "pattern",
    [
        "^/_matrix/client/(api/v1|r0)/rooms/(?P<room_id>[^/]*)/(?P<action>join|ban)(/(?P<txn>[^/]+))?$",
        r"^/x\.y/(?P<kind>[\w\.]*)/z",
        "^/x/[^/]+/.*$",
    ],
)
def test_a_sample_matches_its_pattern(pattern: str) -> None:
    assert re.match(pattern, probe.sample(pattern))


def test_versions_are_joined_in_one_order() -> None:
    prefix, versions, rest = probe.split_version("/_matrix/client/{version:unstable|v3}/sync")
    assert (prefix, versions, rest) == ("/_matrix/client/", ("unstable", "v3"), "/sync")
    assert probe.join_versions(prefix, ["unstable", "r0", *versions], rest) == (
        "/_matrix/client/{version:r0|v3|unstable}/sync"
    )


def test_one_version_is_a_literal() -> None:
    assert probe.join_versions("/_matrix/client/", ["v3"], "/sync") == "/_matrix/client/v3/sync"
    assert probe.split_version("/_synapse/admin/v2/users") == ("/_synapse/admin/", ("v2",), "/users")


def test_a_path_without_a_version_stays_whole() -> None:
    assert probe.split_version("/.well-known/matrix/client") == ("/.well-known/matrix/client", (), "")


def test_a_condition_of_both_kinds_of_authentication_needs_no_mention_of_it() -> None:
    assert probe._joined({""}, {""}) == {""}
    assert probe._joined({"email"}, set()) == {"email + !matrix_authentication_service"}
    assert probe._joined(set(), {""}) == {"matrix_authentication_service"}


def test_settings_that_exclude_delegation_do_not_mention_it() -> None:
    assert probe._joined({"oidc_providers", "cas_config"}, set()) == {"oidc_providers", "cas_config"}
