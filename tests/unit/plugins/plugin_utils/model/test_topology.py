# SPDX-License-Identifier: GPL-3.0-or-later
"""Names, ports, sockets and order, on one host and on several."""

from __future__ import annotations

import itertools
import json
import random
from typing import Any

import pytest
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.inventory import gather
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.presets import PRESETS
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.topology import (
    Topology,
    build_topology,
    natural_key,
    parse_topology,
)
from ansible_collections.baremetal.synapse.plugins.plugin_utils.routing.proxy import proxy_upstreams
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.config import (
    instance_map,
    main_config,
    shared_config,
    worker_config,
)
from ansible_collections.baremetal.synapse.plugins.plugin_utils.views.fleet import fleet

from tests.unit.fleets import (
    ADDRESSES,
    PRESET_NAMES,
    SEVERAL_HOSTS,
    TRANSPORTS,
    every_fleet,
    inventory,
    names,
    one_host,
    one_host_inputs,
    several_hosts,
    several_hosts_inputs,
)

GROUPS_OF_WORKERS = ("generic_workers", "media_workers", "background_workers")


def endpoints(topology: Topology) -> dict[str, tuple[Any, ...]]:
    """Returns all that is particular to each process: its host, its ports, its sockets."""
    return {
        process.name: (
            process.host,
            process.http_port,
            process.replication_port,
            process.metrics_port,
            json.dumps(
                worker_config(topology, process)["worker_listeners"]
                if not process.is_main
                else main_config(topology)["listeners"]
            ),
        )
        for process in topology.processes
    }


def preset_pools(preset: str) -> dict[str, Any]:
    return {group: dict(PRESETS[preset][group]) for group in GROUPS_OF_WORKERS}


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("preset", [name for name in PRESET_NAMES if name != "monolith"])
def test_adding_a_pool_renames_and_renumbers_nothing(preset: str, transport: str) -> None:
    pools = preset_pools(preset)
    before = endpoints(one_host(synapse_transport=transport, **pools))
    pools["generic_workers"] = {"another": {"count": 3, "duties": ["client_reader"]}, **pools["generic_workers"]}
    after = endpoints(one_host(synapse_transport=transport, **pools))
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {f"synapse1-another-{index}" for index in (1, 2, 3)}


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("preset", PRESET_NAMES)
def test_removing_any_pool_renames_and_renumbers_nothing(preset: str, transport: str) -> None:
    full = endpoints(one_host(synapse_transport=transport, **preset_pools(preset)))
    for group in GROUPS_OF_WORKERS:
        for gone in PRESETS[preset][group]:
            pools = preset_pools(preset)
            del pools[group][gone]
            if not any(pools.values()):
                continue
            after = endpoints(one_host(synapse_transport=transport, **pools))
            assert set(full) - set(after) == {name for name in full if name.startswith(f"synapse1-{gone}-")}
            assert {name: full[name] for name in after} == after


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_growing_a_pool_renames_and_renumbers_nothing(transport: str) -> None:
    before: dict[str, Any] = {}
    for count in (1, 2, 9, 10, 11, 40):
        pools = {"sync": {"count": count}, "client_reader": {"count": 2}}
        after = endpoints(one_host(synapse_transport=transport, generic_workers=pools))
        assert {name: after[name] for name in before} == before
        assert len(after) == count + 3
        before = after


def test_adding_a_host_renames_and_renumbers_nothing() -> None:
    pools = {"generic_workers": {"sync": {"count": 2}}}
    without = {**SEVERAL_HOSTS, "generic_workers": ["generic2"]}
    before = endpoints(several_hosts({"generic2": pools}, without))
    after = endpoints(several_hosts({"generic1": pools, "generic2": pools}))
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {"generic1-sync-1", "generic1-sync-2"}


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("preset", PRESET_NAMES)
def test_no_two_processes_of_a_host_share_a_port_or_a_socket(preset: str, transport: str) -> None:
    topology = one_host(synapse_preset=preset, synapse_transport=transport)
    places = []
    for process in topology.processes:
        file = main_config(topology) if process.is_main else worker_config(topology, process)
        for listener in file["listeners" if process.is_main else "worker_listeners"]:
            places.append(listener.get("path") or listener["port"])
    assert len(set(places)) == len(places)
    assert all(isinstance(place, str) or 1024 < place < 32768 for place in places)


def test_names_are_host_pool_index_and_a_label_replaces_the_host() -> None:
    pools = {"sync": {"count": 2}}
    assert names(one_host("hs.example.org", generic_workers=pools).workers) == [
        "hs.example.org-sync-1",
        "hs.example.org-sync-2",
    ]
    short = one_host("hs.example.org", synapse_host_label="hs", generic_workers=pools)
    assert names(short.workers) == ["hs-sync-1", "hs-sync-2"]
    assert {worker.host for worker in short.workers} == {"hs.example.org"}


def test_workers_are_in_natural_order() -> None:
    topology = one_host(generic_workers={"federation_sender": {"count": 12}})
    expected = [f"synapse1-federation_sender-{index}" for index in range(1, 13)]
    assert names(topology.workers) == expected
    assert shared_config(topology)["federation_sender_instances"] == expected


def test_hosts_are_in_natural_order_too() -> None:
    hosts = [f"w{index}" for index in (10, 2, 1, 11)]
    groups = {**SEVERAL_HOSTS, "generic_workers": hosts}
    own = {host: {"synapse_address": f"10.0.1.{index}"} for index, host in enumerate(hosts, 1)}
    topology = build_topology(several_hosts_inputs(own, groups, generic_workers={"pusher": {}}))
    assert names(topology.workers) == ["w1-pusher-1", "w2-pusher-1", "w10-pusher-1", "w11-pusher-1"]


def test_the_natural_order_is_total() -> None:
    words = ["a-2", "a-10", "a-1", "b-1", "a", "10", "9", "a1b", "a1", "a-1-x"]
    expected = sorted(words, key=natural_key)
    assert expected.index("a-2") < expected.index("a-10")
    assert expected.index("9") < expected.index("10")
    for shuffle in range(20):
        mixed = words[:]
        random.Random(shuffle).shuffle(mixed)  # noqa: S311
        assert sorted(mixed, key=natural_key) == expected


def test_the_order_in_which_the_inventory_lists_things_does_not_matter() -> None:
    pools = {"sync": {"count": 2}, "events": {"count": 3}, "reader": {"duties": ["client_reader", "room"]}}
    expected = shared_config(one_host(generic_workers=pools)), endpoints(one_host(generic_workers=pools))
    for order in itertools.permutations(pools):
        topology = one_host(generic_workers={name: pools[name] for name in order})
        assert (shared_config(topology), endpoints(topology)) == expected
    own: dict[str, dict[str, Any]] = {
        "generic1": {"generic_workers": {"sync": {}}},
        "generic2": {"generic_workers": {"events": {"count": 2}}},
    }
    backwards = {group: list(reversed(hosts)) for group, hosts in reversed(SEVERAL_HOSTS.items())}
    assert shared_config(several_hosts(own)) == shared_config(several_hosts(own, backwards))


def test_one_host_takes_sockets_and_several_take_tcp() -> None:
    assert one_host(generic_workers={"sync": {}}).unix
    assert not one_host(synapse_transport="tcp", generic_workers={"sync": {}}).unix
    assert not several_hosts().unix


def test_with_sockets_nothing_of_synapse_listens_on_tcp_but_metrics_on_loopback() -> None:
    topology = one_host(synapse_preset="full")
    files = [main_config(topology)["listeners"]]
    files += [worker_config(topology, worker)["worker_listeners"] for worker in topology.workers]
    for listener in itertools.chain.from_iterable(files):
        if listener["type"] == "metrics":
            assert listener["bind_addresses"] == ["127.0.0.1"]
        else:
            assert set(listener) <= {"type", "path", "mode", "resources"}
            assert listener["mode"] == 0o660
    shared = shared_config(topology)
    assert shared["redis"] == {"enabled": True, "path": "/run/redis-synapse/redis-server.sock"}
    assert shared["database"]["args"]["host"] == "/run/postgresql"
    assert "passfile" not in shared["database"]["args"]
    assert all(set(address) == {"path"} for address in shared["instance_map"].values())


@pytest.mark.parametrize("listen", ["http", "replication", "metrics"])
def test_with_tcp_every_listener_is_bound_to_the_address_of_its_host_alone(listen: str) -> None:
    topology = several_hosts(
        {"generic1": {"generic_workers": {"events": {}, "typing": {}}}, "generic2": {"generic_workers": {"sync": {}}}},
        media_workers={"media": {}},
        background_workers={"pusher": {}},
    )
    for process in topology.processes:
        file = main_config(topology) if process.is_main else worker_config(topology, process)
        for listener in file["listeners" if process.is_main else "worker_listeners"]:
            resources = [name for entry in listener.get("resources", []) for name in entry["names"]]
            kind = "replication" if resources == ["replication"] else listener["type"]
            if kind == listen:
                assert listener["bind_addresses"] == [ADDRESSES[process.host]]


def test_several_hosts_reach_each_other_at_their_addresses() -> None:
    topology = several_hosts(
        {"generic1": {"generic_workers": {"typing": {}}}, "generic2": {"generic_workers": {"sync": {"count": 2}}}},
        media_workers={"media": {}},
        background_workers={"pusher": {}},
    )
    shared = shared_config(topology)
    assert shared["database"]["args"]["host"] == "10.0.0.1"
    assert shared["database"]["args"]["passfile"] == "/etc/matrix-synapse/secrets/pgpass"
    assert shared["redis"]["host"] == "10.0.0.2"
    assert shared["redis"]["password_path"] == "/etc/matrix-synapse/secrets/redis_password"
    assert {name: entry["host"] for name, entry in instance_map(topology).items()} == {
        "main": "10.0.0.3",
        "generic1-typing-1": "10.0.0.4",
        "media1-media-1": "10.0.0.6",
    }
    servers = {entry["name"]: [server["address"] for server in entry["servers"]] for entry in proxy_upstreams(topology)}
    assert servers["synapse_sync"] == ["10.0.0.5:10560", "10.0.0.5:10561"]
    assert servers["synapse_main"] == ["10.0.0.3:10000"]
    assert servers["synapse_typing"] == ["10.0.0.4:10040"]
    view = fleet(topology)
    assert view["synapse_addresses"] == [
        ADDRESSES[host] for host in ("background1", "generic1", "generic2", "main1", "media1")
    ]
    assert view["database"]["address"] == "10.0.0.1"
    assert view["redis"]["address"] == "10.0.0.2"


def test_counts_are_per_host_and_host_vars_override_them() -> None:
    topology = several_hosts(
        {"generic2": {"generic_workers": {"sync": {"count": 3}}}}, generic_workers={"sync": {"count": 1}}
    )
    assert [worker.host for worker in topology.workers] == ["generic1", "generic2", "generic2", "generic2"]


def test_the_topology_does_not_depend_on_which_hosts_a_run_is_limited_to() -> None:
    groups = {group: ["synapse1"] for group in SEVERAL_HOSTS}
    variables = {"synapse_server_name": "example.org", "synapse_preset": "small"}
    bare = gather(groups, {"synapse1": variables})
    with_facts = gather(
        groups, {"synapse1": {**variables, "ansible_facts": {"memtotal_mb": 1}, "ansible_host": "192.0.2.1"}}
    )
    assert bare == with_facts


def test_only_the_groups_and_variables_of_the_collection_are_read() -> None:
    inputs = inventory(
        {**{group: ["a"] for group in SEVERAL_HOSTS}, "others": ["b"]},
        {"synapse_server_name": "example.org", "foreign": "x"},
        {},
    )
    assert inputs["hosts"] == {"a": {"synapse_server_name": "example.org", "synapse_preset": "monolith"}}
    assert inputs["groups"]["others"] == []


@pytest.mark.parametrize("without", [GROUPS_OF_WORKERS, (*GROUPS_OF_WORKERS, "redis")])
def test_no_worker_groups_make_a_monolith(without: tuple[str, ...]) -> None:
    topology = one_host(without=without)
    assert topology.workers == ()
    assert "instance_map" not in shared_config(topology)
    assert [listener["type"] for listener in main_config(topology)["listeners"]] == ["http", "metrics"]
    assert [entry["name"] for entry in proxy_upstreams(topology)] == ["synapse_main"]
    assert (fleet(topology)["redis"] is None) == ("redis" in without)


def test_empty_pools_make_a_monolith_too_with_the_same_data() -> None:
    small = shared_config(one_host(synapse_preset="small"))
    empty = one_host(synapse_preset="small", generic_workers={}, media_workers={}, background_workers={})
    assert empty.workers == ()
    for kept in ("database", "media_store_path", "signing_key_path", "server_name"):
        assert shared_config(empty)[kept] == small[kept]


def test_a_pool_of_none_is_no_worker() -> None:
    assert one_host(generic_workers={"sync": {"count": 0}}).workers == ()


def test_adding_a_plain_reader_changes_no_other_file() -> None:
    for name, topology in every_fleet().items():
        if name == "several-hosts" or not topology.workers:
            continue
        host = topology.main.host
        inputs = one_host_inputs(
            host,
            **{**topology.options, "synapse_transport": "unix" if topology.unix else "tcp"},
            **{group: pools_as_written(topology, group) for group in GROUPS_OF_WORKERS},
        )
        before = build_topology(inputs)
        inputs["hosts"][host]["generic_workers"]["extra_reader"] = {"count": 2, "duties": ["client_reader", "sync"]}
        after = build_topology(inputs)
        assert len(after.workers) == len(before.workers) + 2
        assert shared_config(after) == shared_config(before)
        assert main_config(after) == main_config(before)
        for worker in before.workers:
            assert worker_config(after, after.worker(worker.name)) == worker_config(before, worker)


def pools_as_written(topology: Topology, group: str) -> dict[str, Any]:
    """Returns pools that make the workers of a topology; duties that the model adds are left to it."""
    pools: dict[str, Any] = {}
    for worker in topology.workers:
        if worker.group == group:
            added = {"quarantined_media_changes", "media_background"} if "media" in worker.duties else set()
            duties = [duty for duty in worker.duties if duty not in added]
            pools.setdefault(worker.pool, {"duties": duties, "count": 0})["count"] += 1
    return pools


def test_the_fact_is_parsed_once_for_all_filters() -> None:
    text = json.dumps(one_host_inputs(synapse_preset="small"), sort_keys=True)
    assert parse_topology(text) is parse_topology(text)
