# SPDX-License-Identifier: GPL-3.0-or-later
"""Every request reaches a process that serves it, decided by the raw path."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.layout import layout
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.topology import Topology
from ansible_collections.baremetal.synapse.plugins.plugin_utils.routing.maps import proxy_maps
from ansible_collections.baremetal.synapse.plugins.plugin_utils.routing.proxy import (
    proxy_locations,
    proxy_server,
    proxy_upstreams,
)
from ansible_collections.baremetal.synapse.plugins.plugin_utils.routing.registry import registry
from ansible_collections.baremetal.synapse.plugins.plugin_utils.routing.rules import duty_of

from tests.unit.fleets import INVENTORIES, every_fleet, example, names, one_host
from tests.unit.nginx_maps import REMOTE, Outcome, Proxy, as_python

FLEETS = every_fleet()
EXAMPLES = {name: example(name) for name in INVENTORIES}
PROXIES = {name: Proxy(topology) for name, topology in EXAMPLES.items()}

V3 = "/_matrix/client/v3"
ROOM = "%21room%3Aexample.org"
USER = "%40user%3Aexample.org"
EVENT = "%24event"
THREAD = f"/_matrix/client/unstable/io.element.msc4306/rooms/{ROOM}/thread/{EVENT}/subscription"
FEDERATION = "/_matrix/federation"
ADMIN = "/_synapse/admin"

# Real requests, and the duty that each is for; "main" where no worker may serve it.
REQUESTS = [
    # Writes of streams
    ("PUT", f"{V3}/rooms/{ROOM}/typing/{USER}", "typing"),
    ("PUT", f"{V3}/sendToDevice/m.room.encrypted/m1", "to_device"),
    ("POST", f"{V3}/rooms/{ROOM}/receipt/m.read/{EVENT}", "receipts"),
    ("POST", f"{V3}/rooms/{ROOM}/read_markers", "receipts"),
    ("PUT", f"{V3}/pushrules/global/override/x", "push_rules"),
    ("DELETE", f"{V3}/pushrules/global/override/x", "push_rules"),
    ("PUT", THREAD, "thread_subscriptions"),
    ("DELETE", THREAD, "thread_subscriptions"),
    ("PUT", f"{V3}/user/{USER}/account_data/m.direct", "account_data"),
    ("GET", f"{V3}/user/{USER}/account_data/m.direct", "account_data"),
    ("PUT", f"{V3}/user/{USER}/rooms/{ROOM}/account_data/m.fully_read", "account_data"),
    ("PUT", f"{V3}/user/{USER}/rooms/{ROOM}/tags/m.favourite", "account_data"),
    ("GET", f"{V3}/user/{USER}/rooms/{ROOM}/tags", "account_data"),
    ("PUT", f"{V3}/presence/{USER}/status", "presence"),
    ("GET", f"{V3}/presence/{USER}/status", "presence"),
    ("POST", f"{V3}/keys/upload", "device_lists"),
    ("POST", f"{V3}/keys/device_signing/upload", "device_lists"),
    ("POST", f"{V3}/keys/signatures/upload", "device_lists"),
    ("GET", f"{V3}/devices", "device_lists"),
    ("PUT", f"{V3}/devices/ABC", "device_lists"),
    ("DELETE", f"{V3}/devices/ABC", "device_lists"),
    ("POST", f"{V3}/delete_devices", "device_lists"),
    # Reads of the same names
    ("GET", f"{V3}/pushrules/", "client_reader"),
    ("GET", f"{V3}/pushrules/global/override/x", "client_reader"),
    ("GET", THREAD, "client_reader"),
    # Synchronisation
    ("GET", f"{V3}/sync?since=s1_2", "sync"),
    ("GET", f"{V3}/sync?timeout=30000&since=s1_2", "sync"),
    ("HEAD", f"{V3}/sync?since=s1_2", "sync"),
    ("OPTIONS", f"{V3}/sync?since=s1_2", "sync"),
    ("GET", "/_matrix/client/r0/sync?since=s1_2", "sync"),
    ("GET", f"{V3}/sync", "initial_sync"),
    ("GET", f"{V3}/sync?timeout=0&since=", "initial_sync"),
    ("GET", f"{V3}/events", "sync"),
    ("GET", f"{V3}/initialSync", "initial_sync"),
    ("GET", f"{V3}/rooms/{ROOM}/initialSync", "initial_sync"),
    ("POST", "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync", "sliding_sync"),
    # Rooms
    ("GET", f"{V3}/rooms/{ROOM}/messages?dir=b", "room"),
    ("GET", f"{V3}/rooms/!room:example.org/messages", "room"),
    ("GET", f"{V3}/rooms/!v12roomWithoutServer/messages", "room"),
    ("GET", f"{V3}/rooms/%21a%2Fb%3Aexample.org/messages", "room"),
    ("GET", f"{V3}/rooms/{ROOM}/members", "room"),
    ("GET", f"{V3}/rooms/{ROOM}/joined_members", "room"),
    ("GET", f"{V3}/rooms/{ROOM}/state", "room"),
    ("GET", f"{V3}/rooms/{ROOM}/state/m.room.name", "room"),
    ("PUT", f"{V3}/rooms/{ROOM}/state/m.room.name/", "room"),
    ("GET", f"{V3}/rooms/{ROOM}/event/{EVENT}", "room"),
    ("GET", f"{V3}/rooms/{ROOM}/context/%24a%2Fb", "room"),
    ("GET", f"/_matrix/client/v1/rooms/{ROOM}/relations/{EVENT}/m.thread", "room"),
    ("GET", f"/_matrix/client/v1/rooms/{ROOM}/hierarchy", "room"),
    ("GET", f"/_matrix/client/v1/rooms/{ROOM}/threads", "room"),
    ("PUT", f"{V3}/rooms/{ROOM}/send/m.room.message/txn1", "room"),
    ("PUT", f"{V3}/rooms/{ROOM}/redact/{EVENT}/txn1", "room"),
    ("POST", f"{V3}/rooms/{ROOM}/join", "room"),
    ("POST", f"{V3}/rooms/{ROOM}/invite", "room"),
    ("POST", f"{V3}/rooms/{ROOM}/leave", "room"),
    ("POST", f"{V3}/join/%23alias%3Aexample.org", "room"),
    ("POST", f"{V3}/knock/%23alias%3Aexample.org", "room"),
    # Clients
    ("GET", "/_matrix/client/versions", "client_reader"),
    ("GET", f"{V3}/account/whoami", "client_reader"),
    ("GET", f"{V3}/capabilities", "client_reader"),
    ("GET", f"{V3}/profile/{USER}", "client_reader"),
    ("PUT", f"{V3}/profile/{USER}/displayname", "client_reader"),
    ("GET", f"{V3}/profile/%40user%2Fname%3Aexample.org/displayname", "client_reader"),
    ("POST", f"{V3}/createRoom", "client_reader"),
    ("POST", f"{V3}/keys/query", "client_reader"),
    ("POST", f"{V3}/keys/claim", "client_reader"),
    ("GET", f"{V3}/joined_rooms", "client_reader"),
    ("GET", f"{V3}/voip/turnServer", "client_reader"),
    ("POST", f"{V3}/publicRooms", "client_reader"),
    ("GET", f"{V3}/directory/room/%23alias%3Aexample.org", "client_reader"),
    ("GET", f"{V3}/room_keys/version", "client_reader"),
    ("POST", f"{V3}/user/{USER}/filter", "client_reader"),
    # Login
    ("GET", f"{V3}/login", "login"),
    ("POST", f"{V3}/login", "login"),
    ("POST", f"{V3}/register", "login"),
    ("GET", f"{V3}/register/available?username=x", "login"),
    ("GET", f"{V3}/login/sso/redirect/oidc-x?redirectUrl=https%3A%2F%2Fapp", "sso"),
    ("GET", "/_synapse/client/oidc/callback?code=x", "sso"),
    ("GET", "/_synapse/client/pick_idp", "sso"),
    ("POST", f"{V3}/user_directory/search", "user_directory"),
    # Media
    ("POST", "/_matrix/media/v3/upload", "media"),
    ("PUT", "/_matrix/media/v3/upload/example.org/abc", "media"),
    ("GET", "/_matrix/media/v3/download/example.org/abc/name%2Fwith%2Fslashes.png", "media"),
    ("GET", "/_matrix/client/v1/media/download/example.org/abc", "media"),
    ("GET", "/_matrix/client/v1/media/thumbnail/example.org/abc?width=64&height=64", "media"),
    ("GET", "/_matrix/client/v1/media/config", "media"),
    ("GET", f"{FEDERATION}/v1/media/download/abc", "media"),
    ("GET", f"{FEDERATION}/v1/media/thumbnail/abc?width=64&height=64", "media"),
    ("GET", f"{ADMIN}/v1/media/example.org/abc", "media"),
    ("POST", f"{ADMIN}/v1/purge_media_cache?before_ts=1", "media"),
    ("POST", f"{ADMIN}/v1/media/quarantine/example.org/abc", "quarantined_media_changes"),
    ("POST", f"{ADMIN}/v1/room/{ROOM}/media/quarantine", "quarantined_media_changes"),
    # Federation
    ("PUT", f"{FEDERATION}/v1/send/1700000000000", "federation_inbound"),
    ("GET", f"{FEDERATION}/v1/version", "federation_reader"),
    ("GET", f"{FEDERATION}/v1/event/%24event", "federation_reader"),
    ("GET", f"{FEDERATION}/v1/make_join/{ROOM}/{USER}?ver=11", "federation_reader"),
    ("PUT", f"{FEDERATION}/v2/send_join/{ROOM}/{EVENT}", "federation_reader"),
    ("PUT", f"{FEDERATION}/v2/invite/{ROOM}/{EVENT}", "federation_reader"),
    ("POST", f"{FEDERATION}/v1/user/keys/query", "federation_reader"),
    ("GET", "/_matrix/key/v2/server", "federation_reader"),
    # What only main serves
    ("POST", f"{V3}/logout", "main"),
    ("POST", f"{V3}/account/password", "main"),
    ("DELETE", f"{V3}/sync", "main"),
    ("GET", f"{ADMIN}/v1/server_version", "main"),
    ("GET", f"{ADMIN}/v2/users", "main"),
    ("GET", "/_matrix/client/v3/syncing", "main"),
    ("GET", "/_matrix/client/v9/sync", "main"),
    ("GET", "/", "main"),
]
_WRITER = "typing to_device account_data presence push_rules receipts device_lists thread_subscriptions".split()
_GENERIC = "client_reader federation_reader federation_inbound room sync initial_sync sliding_sync login".split()
# Which pool of each inventory serves a duty; main where there is none. Written down by hand, not computed.
POOLS: dict[str, dict[str, str]] = {
    "monolith": {},
    "single_host": {
        **dict.fromkeys(["client_reader", "federation_reader", "federation_inbound", "room", "login"], "reader"),
        **dict.fromkeys(["sync", "initial_sync", "sliding_sync"], "sync"),
        **dict.fromkeys(_WRITER, "writer"),
        **dict.fromkeys(["media", "quarantined_media_changes"], "media"),
        "user_directory": "background",
    },
    "six_workers": {
        **dict.fromkeys([*_GENERIC, "account_data", "presence", "device_lists", "user_directory"], "generic"),
        **dict.fromkeys(["receipts", "typing"], "ephemeral"),
    },
    "generic_media_sender": {
        **dict.fromkeys([*_GENERIC, "device_lists", "user_directory"], "generic"),
        **dict.fromkeys(["typing", "to_device", "account_data", "receipts", "presence"], "generic"),
        **dict.fromkeys(["media", "quarantined_media_changes"], "media"),
    },
    "demo": {
        **dict.fromkeys(
            ["client_reader", "federation_reader", "federation_inbound", "room", "login", "sliding_sync"], "reader"
        ),
        **dict.fromkeys(["sync", "initial_sync"], "sync"),
        **dict.fromkeys([duty for duty in _WRITER if duty != "thread_subscriptions"], "writer"),
        **dict.fromkeys(["media", "quarantined_media_changes"], "media"),
        "user_directory": "background",
    },
    "full": {
        **{duty: duty for duty in [*_WRITER, *_GENERIC, "sso", "user_directory", "media"]},
        "quarantined_media_changes": "media",
    },
}
# The same pools, on several hosts.
POOLS["cluster"] = POOLS["single_host"]


def test_the_table_of_pools_has_every_inventory() -> None:
    assert set(POOLS) == set(INVENTORIES)


def test_the_table_of_requests_has_every_duty_that_gets_any() -> None:
    newest = registry().of(registry().releases[-1])
    assert {duty for _, _, duty in REQUESTS} == {duty_of(route) or "main" for route in newest} | {"initial_sync"}


@pytest.mark.parametrize("inventory", INVENTORIES)
@pytest.mark.parametrize(("method", "uri", "duty"), REQUESTS, ids=lambda value: str(value)[-60:])
def test_a_request_reaches_the_pool_that_is_for_it(inventory: str, method: str, uri: str, duty: str) -> None:
    pool = POOLS[inventory].get(duty)
    workers = [worker for worker in EXAMPLES[inventory].workers if worker.pool == pool]
    # One worker of a pool may have a duty that the others have not; in a pool that stands in, nobody has it.
    expected = {worker.name for worker in workers if duty in worker.duties} or {worker.name for worker in workers}
    assert PROXIES[inventory].serve(method, uri).processes == (expected or {"main"})


@pytest.mark.parametrize("inventory", INVENTORIES)
@pytest.mark.parametrize(
    "uri",
    [
        "/_synapse/replication/x",
        "/_synapse/metrics",
        "/_matrix/client/..%2f..%2f_synapse/replication/x",
        "/_matrix/client/..%2F..%2F_synapse/metrics",
        "/_matrix/client/%2e%2e/%2e%2e/_synapse/admin/v1/x",
        "/_matrix/client/x%2F..%2F..%2F_synapse/admin/v1/x",
        "/_matrix/client/x%2f%2e%2e",
        "/_matrix/client/%2E%2E%2f%2E%2E%2f_synapse/admin/v1/x",
        "/_matrix/client/.%2e/x",
        "/_matrix/client/../../_synapse/admin/v1/users",
        "/_matrix/client/./v3/sync",
        "/_synapse/client/..%2fadmin/v1/users",
        "/_matrix/media/v3/download/..%2f..%2f..%2f..%2f_synapse/admin",
        "/_matrix/client/..",
        "/_matrix/client/..?x=1",
        "/%5fsynapse/admin/v1/users",
        "/_synapse/%61dmin/v1/users",
        "/_matrix%2fclient/v3/sync",
        "//_matrix/client/v3/sync",
        "/health",
        "/.well-known/matrix/support",
        "/_matrix/clientx",
        "/_matrix/",
        "/x",
    ],
)
def test_what_is_not_public_or_walks_out_of_a_public_path_is_refused(inventory: str, uri: str) -> None:
    for method in ("GET", "POST"):
        assert PROXIES[inventory].serve(method, uri) == Outcome(upstream=None)


@pytest.mark.parametrize(
    "uri",
    [
        "/_matrix/client/v3/rooms/%21a%2Fb%3Aexample.org/messages",
        "/_matrix/client/v3/sync?next=/../..%2f",
        "/_matrix/client/v3/profile/%40a..b%3Aexample.org",
        "/_matrix/media/v3/download/example.org/abc/...",
        "/_matrix/media/v3/download/example.org/abc/.hidden",
        "/_matrix/key/v2/server/",
        "/?x",
    ],
)
def test_what_only_looks_like_walking_out_is_served(uri: str) -> None:
    assert PROXIES["full"].serve("GET", uri).upstream is not None


@pytest.mark.parametrize("inventory", INVENTORIES)
def test_the_admin_api_is_for_those_that_are_allowed_even_where_a_worker_serves_it(inventory: str) -> None:
    assert PROXIES[inventory].serve("GET", "/_synapse/mas/query_user").admin
    for path in ("/v1/server_version", "/v1/media/example.org/abc", f"/v1/rooms/{ROOM}", f"/v2/users/{USER}"):
        assert PROXIES[inventory].serve("GET", ADMIN + path).admin
    assert not PROXIES[inventory].serve("GET", f"{V3}/sync").admin


@pytest.mark.parametrize("topology", FLEETS.values(), ids=FLEETS)
def test_every_upstream_that_is_named_exists_and_has_a_server(topology: Topology) -> None:
    upstreams = {upstream["name"]: upstream for upstream in proxy_upstreams(topology)}
    assert len(upstreams) == len(proxy_upstreams(topology))
    assert all(upstream["servers"] for upstream in upstreams.values())
    assert all(upstream["keepalive"] > 0 for upstream in upstreams.values())
    named = {
        value
        for table in proxy_maps(topology)
        for value in (table["default"], *(entry["value"] for entry in table["entries"]))
        if value.startswith("synapse_")
    }
    named |= {entry["upstream"] for entry in proxy_locations(topology) if not entry["upstream"].startswith("$")} - {""}
    assert named <= set(upstreams)
    assert set(upstreams) <= named | {"synapse_main"}


@pytest.mark.parametrize("topology", FLEETS.values(), ids=FLEETS)
def test_neither_replication_nor_metrics_is_named_to_nginx(topology: Topology) -> None:
    views = json.dumps([proxy_maps(topology), proxy_upstreams(topology), proxy_locations(topology)])
    addresses = {server["address"] for upstream in proxy_upstreams(topology) for server in upstream["servers"]}
    assert layout()["replication_socket_dir"] not in views
    ports = {address.rsplit(":", 1)[1] for address in addresses if not address.startswith("unix:")}
    for process in topology.processes:
        assert {str(process.replication_port), str(process.metrics_port)}.isdisjoint(ports)
    if topology.unix:
        assert all(address.startswith(f"unix:{layout()['http_socket_dir']}/") for address in addresses)


@pytest.mark.parametrize("topology", FLEETS.values(), ids=FLEETS)
def test_every_server_has_the_resources_for_what_it_is_sent(topology: Topology) -> None:
    resource_of = {"/_matrix/client": "client", "/_matrix/federation": "federation", "/_matrix/media": "media"}
    proxy = Proxy(topology)
    for method, uri, _ in REQUESTS:
        needed = next((name for prefix, name in resource_of.items() if uri.startswith(prefix)), None)
        for process in proxy.serve(method, uri).processes - {"main"}:
            assert needed is None or needed in topology.worker(process).resources, (method, uri)


@pytest.mark.parametrize("topology", FLEETS.values(), ids=FLEETS)
def test_every_key_of_a_map_is_a_regular_expression_bound_at_its_begin(topology: Topology) -> None:
    for table in proxy_maps(topology):
        for entry in table["entries"]:
            if not entry["key"].startswith("~"):
                assert table["source"] in ("$synapse_family", "$synapse_upstream", "$arg_since")
                continue
            pattern = as_python(entry["key"])
            assert pattern.pattern.startswith("^") or table["variable"] in ("$synapse_user", "$synapse_sent")
            assert '"' not in entry["key"] + entry["value"]
            # Between quotes nginx reads these itself, before the regular expression is compiled.
            assert not re.search(r"\\[trn\\'\"]", entry["key"])
        assert isinstance(table["default"], str)


@pytest.mark.parametrize("topology", FLEETS.values(), ids=FLEETS)
def test_balance_is_given_only_where_there_is_a_choice(topology: Topology) -> None:
    for upstream in proxy_upstreams(topology):
        assert len(upstream["servers"]) > 1 or upstream["balance"] is None
        variables = set(re.findall(r"\$\w+", upstream["balance"] or ""))
        assert variables <= {"$synapse_user", "$synapse_room", "$remote_addr"}


@pytest.mark.parametrize(
    ("room", "key"),
    [
        ("!abc:example.org", "abc"),
        ("%21abc%3Aexample.org", "abc"),
        ("%21abc:example.org", "abc"),
        ("!abc%3aexample.org", "abc"),
        ("!v12room", "v12room"),
        ("%21v12room", "v12room"),
        ("%23alias%3Aexample.org", REMOTE),
    ],
)
def test_a_room_has_the_same_key_in_every_encoding(room: str, key: str) -> None:
    assert PROXIES["full"].serve("GET", f"{V3}/rooms/{room}/messages?from=%21other").room == key


@pytest.mark.parametrize(
    ("authorization", "argument", "key"),
    [
        ("Bearer syt_YWxpY2U_abcdefghijklmnopqrst_1a2b3c", "", "YWxpY2U"),
        ("", "syt_YWxpY2U_zyxwvutsrqponmlkjihg_0z9y8x", "YWxpY2U"),
        ("Bearer mat_opaque", "", "mat_opaque"),
        ("", "mat_opaque", "mat_opaque"),
        ("", "", REMOTE),
    ],
)
def test_a_user_has_the_same_key_with_every_token(authorization: str, argument: str, key: str) -> None:
    path = f"{V3}/sync?since=s1" + (f"&access_token={argument}" if argument else "")
    assert PROXIES["full"].serve("GET", path, authorization).user == key


@pytest.mark.parametrize(
    ("release", "method", "path"),
    [
        ("1.135.0", "DELETE", f"{V3}/devices/ABC"),
        ("1.153.0", "GET", f"/_matrix/client/v1/room_summary/{ROOM}"),
        ("1.145.0", "GET", f"{ADMIN}/v2/users/{USER}"),
    ],
)
def test_a_route_moves_to_workers_with_the_release_that_lets_it(release: str, method: str, path: str) -> None:
    major, minor, _ = release.split(".")
    pools: dict[str, Any] = {"generic_workers": {"reader": {"duties": ["client_reader", "room"]}}}
    old = Proxy(one_host(synapse_version=f"{major}.{int(minor) - 1}.0", **pools))
    new = Proxy(one_host(synapse_version=release, **pools))
    assert old.serve(method, path).processes == {"main"}
    assert new.serve(method, path).processes == {"synapse1-reader-1"}


def test_a_duty_without_a_pool_is_served_by_its_fallback_and_then_by_main() -> None:
    path = f"{V3}/initialSync"
    readers = one_host(generic_workers={"client_reader": {}})
    both = one_host(generic_workers={"client_reader": {}, "sync": {}})
    assert Proxy(one_host()).serve("GET", path).processes == {"main"}
    assert Proxy(readers).serve("GET", path).processes == {"synapse1-client_reader-1"}
    assert Proxy(both).serve("GET", path).processes == {"synapse1-sync-1"}


def test_the_two_halves_of_federation_are_fallbacks_of_each_other() -> None:
    for duty in ("federation_reader", "federation_inbound"):
        topology = one_host(generic_workers={duty: {}})
        proxy = Proxy(topology)
        assert proxy.serve("PUT", f"{FEDERATION}/v1/send/1").processes == set(names(topology.workers))
        assert proxy.serve("GET", f"{FEDERATION}/v1/version").processes == set(names(topology.workers))


def test_the_server_block_knows_its_names_and_limits() -> None:
    view = proxy_server(one_host(synapse_public_baseurl="https://matrix.example.org/", synapse_max_upload_size="100M"))
    assert view["server_names"] == ["example.org", "matrix.example.org"]
    assert view["max_body"] == "100m"
    assert json.loads(view["well_known"]["server"]) == {"m.server": "matrix.example.org:443"}
    assert json.loads(view["well_known"]["client"]) == {"m.homeserver": {"base_url": "https://matrix.example.org/"}}


def test_a_server_whose_name_is_its_address_has_one_name() -> None:
    view = proxy_server(one_host())
    assert view["server_names"] == ["example.org"]
    assert json.loads(view["well_known"]["server"]) == {"m.server": "example.org:443"}


def test_an_ipv6_address_as_the_name_keeps_its_brackets() -> None:
    view = proxy_server(one_host(synapse_server_name="[2001:db8::1]"))
    assert view["server_names"] == ["[2001:db8::1]"]
    assert json.loads(view["well_known"]["server"]) == {"m.server": "[2001:db8::1]:443"}


def test_servers_on_ipv6_have_brackets_around_the_address() -> None:
    topology = one_host(synapse_transport="tcp", synapse_address="fd00::1")
    assert [server["address"] for server in proxy_upstreams(topology)[0]["servers"]] == ["[fd00::1]:10000"]


def test_clients_are_told_what_the_operator_adds_to_the_well_known_file() -> None:
    more = {"org.matrix.msc4143.rtc_foci": [{"type": "livekit"}], "m.homeserver": {"base_url": "https://other/"}}
    view = proxy_server(one_host(synapse_extra_config={"extra_well_known_client_content": more}))
    told = json.loads(view["well_known"]["client"])
    assert told["org.matrix.msc4143.rtc_foci"] == [{"type": "livekit"}]
    assert told["m.homeserver"] == {"base_url": "https://example.org/"}
