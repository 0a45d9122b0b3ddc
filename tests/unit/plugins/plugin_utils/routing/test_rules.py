# SPDX-License-Identifier: GPL-3.0-or-later
"""Our rules cover what must be covered, for every release that is shipped; what they do not name falls to a reader."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.duties import DUTIES
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.releases import NEWEST, Release
from ansible_collections.baremetal.synapse.plugins.plugin_utils.routing.registry import Route, registry
from ansible_collections.baremetal.synapse.plugins.plugin_utils.routing.rules import (
    RULES,
    duty_of,
    kept_on_main,
    rule_of,
    shape,
    table_name,
    uncovered,
)

RELEASES = registry().releases
NEW = Route(
    path="/_matrix/client/{version:v1|unstable}/brand_new/{room_id}",
    methods=("GET",),
    main=("client",),
    worker=("client",),
    when=None,
    writes=None,
    session=False,
    servlet="BrandNewServlet",
    since=Release(1, 999, 0),
    until=None,
)


@pytest.mark.parametrize("release", RELEASES, ids=str)
def test_every_write_of_a_stream_and_every_session_has_a_rule(release: Release) -> None:
    """A release that brings one of them without a rule fails here: write the rule, then ship its routes."""
    found = {f"{route.methods} {route.path}": uncovered(route, release) for route in registry().of(release)}
    assert {place: reason for place, reason in found.items() if reason is not None} == {}


def test_a_new_write_of_a_stream_without_a_rule_is_noticed() -> None:
    typing = replace(NEW, methods=("PUT",), path="/_matrix/client/v3/rooms/{room_id}/typing/{user_id}")
    assert uncovered(replace(NEW, methods=("PUT",), writes="typing"), NEWEST) is not None
    assert uncovered(replace(typing, writes="receipts"), NEWEST) is not None
    assert uncovered(replace(typing, writes="typing"), NEWEST) is None
    assert uncovered(replace(NEW, writes="device_lists"), NEWEST) is not None
    assert uncovered(replace(NEW, writes="device_lists"), Release(1, 134, 0)) is None


def test_a_new_session_in_one_process_without_a_rule_is_noticed() -> None:
    assert uncovered(replace(NEW, session=True), NEWEST) is not None
    assert uncovered(replace(NEW, session=True, worker=()), NEWEST) is None
    assert uncovered(replace(NEW, session=True, path="/_synapse/client/oidc/new"), NEWEST) is None


@pytest.mark.parametrize(
    ("path", "duty"),
    [
        (NEW.path, "client_reader"),
        ("/_synapse/admin/v3/brand_new", "client_reader"),
        ("/_synapse/mas/brand_new", "client_reader"),
        ("/_matrix/federation/v3/brand_new/{event_id}", "federation_reader"),
        ("/_matrix/key/v3/brand_new", "federation_reader"),
        ("/_matrix/client/v1/rooms/{room_id}/brand_new", "room"),
        ("/_matrix/media/v9/brand_new", "media"),
    ],
)
def test_what_no_rule_names_falls_to_the_right_reader(path: str, duty: str) -> None:
    assert duty_of(replace(NEW, path=path)) == duty


def test_what_only_a_process_with_the_media_store_serves_is_for_media() -> None:
    assert duty_of(replace(NEW, path="/_synapse/admin/v1/brand_new", when="enable_media_repo")) == "media"


def test_what_no_worker_serves_is_for_main() -> None:
    assert duty_of(replace(NEW, worker=())) is None


@pytest.mark.parametrize(
    ("path", "kind", "table"),
    [
        (
            "/_matrix/client/{version:api/v1|r0|v3|unstable}/rooms/{room_id}/typing/{user_id}",
            "client/rooms/*/typing/*",
            "client/rooms",
        ),
        ("/_matrix/client/versions", "client/versions", "client/versions"),
        ("/_matrix/client/v1/media/config", "client/media/config", "client/media"),
        (
            "/_matrix/client/unstable/org.matrix.msc4140/delayed_events/{delay_id}",
            "client/org.matrix.msc4140/delayed_events/*",
            "client/org.matrix.msc4140",
        ),
        (
            "/_matrix/federation/{version:v1|v2}/send_join/{room_id}/{event_id}",
            "federation/send_join/*/*",
            "federation",
        ),
        ("/_synapse/admin/v1/rooms/{room_id}", "admin/rooms/*", "admin/rooms"),
        ("/_synapse/client/pick_idp", "synapse/pick_idp", "synapse/pick_idp"),
        ("/_synapse/mas/query_user", "mas/query_user", "mas"),
        ("/_matrix/client/v3/delete_devices{rest:.*}", "client/delete_devices*", "client/delete_devices"),
    ],
)
def test_the_shape_of_a_path_has_no_version_and_no_ids(path: str, kind: str, table: str) -> None:
    assert shape(path) == kind
    assert table_name(path) == table


def test_every_rule_is_of_use() -> None:
    """For some release a route meets it first; a rule that none meets is dead."""
    used = {rule_of(replace(route, methods=(method,))) for route in registry().routes for method in route.methods}
    assert [rule for rule in RULES if rule not in used] == []


def test_the_duties_of_rules_exist_and_those_of_main_have_a_reason() -> None:
    for rule in RULES:
        assert (rule.duty in DUTIES) != (rule.duty is None and rule.reason is not None)
        assert rule.initial is None or rule.initial in DUTIES


def test_what_is_kept_on_main_although_a_worker_could_is_little_and_has_a_reason() -> None:
    assert set(kept_on_main()) == {"/_synapse/client/rendezvous{rest:(?:/.*)?}"}
    assert all(len(reason) > 20 for reason in kept_on_main().values())


@pytest.mark.parametrize("release", RELEASES, ids=str)
def test_the_streams_that_others_cannot_write_are_those_whose_duty_is_exclusive(release: Release) -> None:
    """While their writer is away nginx sends their writes nowhere else; all other writes Synapse forwards itself."""
    for route in registry().of(release):
        if route.writes is not None and route.worker and DUTIES[route.writes].since <= release:
            assert DUTIES[route.writes].exclusive, route.path
