# SPDX-License-Identifier: GPL-3.0-or-later
"""Every route of every release is in one family of paths, and nginx and the rules read the same table."""

from __future__ import annotations

import pytest
from ansible_collections.baremetal.synapse.plugins.module_utils.routes.families import (
    FAMILIES,
    Access,
    family_of,
    is_internal,
    shape_of,
)
from ansible_collections.baremetal.synapse.plugins.module_utils.routes.path_template import sample
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.duties import DUTIES
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.releases import Release
from ansible_collections.baremetal.synapse.plugins.plugin_utils.routing.registry import Route, registry
from ansible_collections.baremetal.synapse.plugins.plugin_utils.routing.rules import table_name

from tests.unit.fleets import one_host
from tests.unit.nginx_maps import Proxy, Request

RELEASES = registry().releases
PROXY = Proxy(one_host())
TO_SYNAPSE = (Access.PUBLIC, Access.ADMIN)


def family_in_nginx(path: str) -> str:
    """Returns what nginx's map of families gives for a raw path."""
    return Request(PROXY.maps, {"request_uri": path}).value("synapse_family")


@pytest.mark.parametrize("release", RELEASES, ids=str)
def test_every_route_of_a_release_is_in_one_family(release: Release) -> None:
    """A release that brings paths in no family fails here: add the family, then ship its routes."""
    found = {
        route.path: [family.name for family in FAMILIES if family.has(route.path)] for route in registry().of(release)
    }
    assert {path: names for path, names in found.items() if len(names) != 1} == {}


def test_every_family_has_a_route_and_those_with_a_reader_one_for_workers() -> None:
    """A family, or a reader, that no release needs is dead."""
    used = {family_of(route.path) for route in registry().routes}
    served = {family_of(route.path) for route in registry().routes if route.worker}
    assert [family.name for family in FAMILIES if family not in used] == []
    assert [family.name for family in FAMILIES if family.reader is not None and family not in served] == []


@pytest.mark.parametrize("route", registry().routes, ids=lambda route: route.path)
def test_nginx_finds_the_same_table_for_a_path_as_the_rules(route: Route) -> None:
    family = family_of(route.path)
    assert family is not None
    expected = table_name(route.path) if family.reader is not None else "others"
    if family.access is Access.CLOSED:
        expected = "refused"
    assert family_in_nginx(sample(route.path)) == expected


def test_workers_serve_no_public_route_of_a_family_of_main() -> None:
    """Such a route would go to main without a rule: give its family a reader, and say here why if it must be so."""
    routes = [route for route in registry().routes if route.worker]
    families = {family_of(route.path) for route in routes}
    assert [f.name for f in families if f is not None and f.reader is None and f.access in TO_SYNAPSE] == []


def test_workers_serve_all_routes_of_a_family_that_is_theirs() -> None:
    wholesale = [family for family in FAMILIES if family.wholesale]
    assert len(wholesale) > 2
    for family in wholesale:
        theirs = [route for route in registry().routes if family.has(route.path) and not route.lacks]
        assert [route.path for route in theirs if not route.worker] == []


def test_readers_are_duties() -> None:
    assert {family.reader for family in FAMILIES if family.reader is not None} <= set(DUTIES)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/_matrix/client/v3/sync", "client"),
        ("/_matrix/client/", "client"),
        ("/_matrix/clientx/v3/sync", None),
        ("/_matrix/client", None),
        ("/_synapse/client/pick_idp", "synapse"),
        ("/_synapse/jwks", "jwks"),
        ("/_synapse/jwks?x", "jwks"),
        ("/_synapse/jwksx", None),
        ("/.well-known/matrix/client{rest:(?:/.*)?}", "well_known"),
        ("/.well-known{rest:(?:/.*)?}", "well_known"),
        ("/", "root"),
        ("/x", None),
        ("/health", "health"),
        ("/healthy", None),
        ("/_synapse/metrics", None),
        ("x/_matrix/client/v3/sync", None),
    ],
)
def test_the_family_of_a_path(path: str, name: str | None) -> None:
    family = family_of(path)
    assert (None if family is None else family.name) == name


@pytest.mark.parametrize(
    ("path", "internal"),
    [
        ("/_synapse/admin/v1/users", True),
        ("/_synapse/mas/query_user", True),
        ("/_synapse/admin", False),
        ("/_synapse/jwks", False),
        ("/_matrix/client/v3/admin/whois/x", False),
    ],
)
def test_admin_paths_are_internal(path: str, internal: bool) -> None:
    assert is_internal(path) is internal


def test_nginx_lets_only_some_clients_ask_for_admin_paths() -> None:
    for family in FAMILIES:
        if family.access in TO_SYNAPSE:
            assert PROXY.serve("GET", f"{family.path}x" if family.is_folder else family.path).admin is (
                family.access is Access.ADMIN
            )


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("/_matrix/client/*/rooms/*", "client/rooms/*"),
        ("/_matrix/client/api/v1/rooms/*", "client/rooms/*"),
        ("/_matrix/client/versions", "client/versions"),
        ("/_synapse/admin/v2/users/*", "admin/users/*"),
        ("/_synapse/client/v1/x", "synapse/v1/x"),
        ("/_synapse/jwks", "jwks"),
        ("/_matrix/static/x", "/_matrix/static/x"),
        ("/unknown", "/unknown"),
    ],
)
def test_shapes(path: str, shape: str) -> None:
    assert shape_of(path) == shape
