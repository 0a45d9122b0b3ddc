# SPDX-License-Identifier: GPL-3.0-or-later
"""The ten rules that Synapse's workers impose, each with what this collection does about it.

Every fleet that can be had easily is tried: all example inventories, all presets with both transports, several hosts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from ansible_collections.baremetal.synapse.plugins.plugin_utils.lifecycle.plan import make_plan
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.checks import COMPUTED_OPTIONS
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.errors import TopologyError
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.services import visited
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.topology import Topology
from ansible_collections.baremetal.synapse.plugins.plugin_utils.routing.proxy import proxy_upstreams
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.config import (
    health,
    instance_map,
    main_config,
    shared_config,
    stream_writers,
    worker_config,
)
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.units import main_unit, worker_units

from tests.unit.fleets import ROOT, every_fleet, names, one_host, pool, several_hosts
from tests.unit.nginx_maps import Proxy

FLEETS = every_fleet()
SHARD_LISTS = ("federation_sender_instances", "pusher_instances")
ONE_NAME_OPTIONS = (
    "run_background_tasks_on",
    "update_user_directory_from_worker",
    "notify_appservices_from_worker",
    "media_instance_running_background_jobs",
)
# What answers 500 on every process but the writer.
WRITES = {
    "typing": [("PUT", "/_matrix/client/v3/rooms/!r:example.org/typing/@u:example.org")],
    "to_device": [("PUT", "/_matrix/client/v3/sendToDevice/m.room.encrypted/1")],
    "receipts": [
        ("POST", "/_matrix/client/v3/rooms/!r:example.org/receipt/m.read/$e"),
        ("POST", "/_matrix/client/v3/rooms/!r:example.org/read_markers"),
    ],
    "push_rules": [
        ("PUT", "/_matrix/client/v3/pushrules/global/content/word"),
        ("PUT", "/_matrix/client/v3/pushrules/global/content/word/enabled"),
        ("DELETE", "/_matrix/client/v3/pushrules/global/content/word"),
    ],
    "thread_subscriptions": [
        ("PUT", "/_matrix/client/unstable/io.element.msc4306/rooms/!r:example.org/thread/$e/subscription"),
        ("DELETE", "/_matrix/client/unstable/io.element.msc4306/rooms/!r:example.org/thread/$e/subscription"),
    ],
    "quarantined_media_changes": [
        ("POST", "/_synapse/admin/v1/media/quarantine/example.org/abc"),
        ("POST", "/_synapse/admin/v1/media/unquarantine/example.org/abc"),
        ("POST", "/_synapse/admin/v1/room/!r:example.org/media/quarantine"),
        ("POST", "/_synapse/admin/v1/user/@u:example.org/media/quarantine"),
        ("POST", "/_synapse/admin/v1/quarantine_media/!r:example.org"),
    ],
}


def every(test: Any) -> Any:
    """Runs a test with every fleet."""
    return pytest.mark.parametrize("topology", FLEETS.values(), ids=FLEETS)(test)


def files(topology: Topology) -> dict[str, dict[str, Any]]:
    """Returns every configuration file of a fleet."""
    own = {worker.name: worker_config(topology, worker) for worker in topology.workers}
    return {"shared": shared_config(topology), "main": main_config(topology), **own}


def values(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Returns every value in nested data, with its path."""
    yield path, tree
    children = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in children:
        yield from values(value, f"{path}.{key}")


# 1. On a process that does not write the stream, main included, writes answer 500: they must never fall over.


@every
def test_rule_1_writes_reach_the_writers_of_their_stream_and_nobody_else(topology: Topology) -> None:
    proxy = Proxy(topology)
    for duty, requests in WRITES.items():
        writers = set(names(topology.with_duty(duty))) or {"main"}
        for method, path in requests:
            assert proxy.serve(method, path).processes == writers, (method, path)


@pytest.mark.parametrize("duty", [duty for duty in WRITES if duty != "quarantined_media_changes"])
def test_rule_1_writes_stay_on_main_while_main_is_the_writer_though_others_read_for_it(duty: str) -> None:
    readers = ["client_reader", "room", "sync", "login", "federation_reader"]
    proxy = Proxy(one_host(generic_workers={"readers": {"count": 3, "duties": readers}}))
    for method, path in WRITES[duty]:
        assert proxy.serve(method, path).processes == {"main"}


# 2. main is "main" in instance_map and "master" elsewhere.


@every
def test_rule_2_main_has_its_name_in_instance_map_and_is_named_nowhere_else(topology: Topology) -> None:
    shared = shared_config(topology)
    assert "main" in shared.get("instance_map", {"main": None})
    assert "master" not in shared.get("instance_map", {})
    elsewhere = {name: value for name, value in shared.items() if name != "instance_map"}
    named = {value for _, value in values(elsewhere) if isinstance(value, str)}
    # What stays on main is left out, so neither name is needed.
    assert named.isdisjoint({"main", "master"})
    assert {shared[name] for name in ONE_NAME_OPTIONS if name in shared} <= set(names(topology.workers))


@pytest.mark.parametrize("name", ["main", "master"])
@pytest.mark.parametrize("group", ["generic_workers", "media_workers", "background_workers"])
def test_rule_2_no_worker_is_named_like_the_main_process(group: str, name: str) -> None:
    with pytest.raises(TopologyError, match="no worker may be named so"):
        pool(name, group, duties=["pusher"])


def test_rule_2_a_host_of_that_name_makes_no_such_worker() -> None:
    assert names(one_host("main", generic_workers={"sync": {}}).workers) == ["main-sync-1"]


# 3. An empty list means nobody, null is an error.


@every
def test_rule_3_nothing_that_is_written_is_empty_or_null(topology: Topology) -> None:
    for name, file in files(topology).items():
        for path, value in values(file):
            if path != ".trusted_key_servers":
                assert value not in ([], {}, None, ""), f"{name}{path}"


@pytest.mark.parametrize("option", SHARD_LISTS)
def test_rule_3_a_pool_of_none_leaves_the_option_out(option: str) -> None:
    duty = option.removesuffix("_instances")
    assert option in shared_config(pool(duty, "background_workers"))
    assert option not in shared_config(pool(duty, "background_workers", count=0))
    assert "stream_writers" not in shared_config(pool("typing", count=0))


# 4. A single name in the place of a list is matched by substring.


@every
def test_rule_4_lists_are_lists_of_whole_names_even_of_one(topology: Topology) -> None:
    shared = shared_config(topology)
    lists = [shared[name] for name in SHARD_LISTS if name in shared] + list(stream_writers(topology).values())
    for entry in lists:
        assert type(entry) is list
        assert set(entry) <= set(names(topology.workers))
        assert len(set(entry)) == len(entry)


@pytest.mark.parametrize("duty", ["pusher", "federation_sender"])
def test_rule_4_one_member_is_a_list_of_one(duty: str) -> None:
    assert shared_config(pool(duty))[f"{duty}_instances"] == [f"synapse1-{duty}-1"]


# 5. The order of a list is part of the sharding: the same everywhere, and stable.


@every
def test_rule_5_lists_are_in_the_order_of_the_topology(topology: Topology) -> None:
    order = names(topology.workers)
    shared = shared_config(topology)
    for entry in [shared[name] for name in SHARD_LISTS if name in shared] + list(stream_writers(topology).values()):
        assert entry == sorted(entry, key=order.index)


def test_rule_5_a_new_member_comes_last_also_after_nine() -> None:
    for count in range(1, 15):
        before = stream_writers(pool("events", count=count))["events"]
        after = stream_writers(pool("events", count=count + 1))["events"]
        assert after[:-1] == before


def test_rule_5_the_order_is_that_of_names_whatever_the_order_in_the_inventory() -> None:
    pools = {name: {"count": 2, "duties": ["events"]} for name in ("b", "a", "c")}
    expected = [f"synapse1-{name}-{index}" for name in "abc" for index in (1, 2)]
    for order in (pools, dict(reversed(pools.items()))):
        assert stream_writers(one_host(generic_workers=order))["events"] == expected


# 6. Nobody else checks that a named worker exists, listens for replication, and where.


@every
def test_rule_6_every_name_is_a_worker_and_every_address_its_replication_listener(topology: Topology) -> None:
    shared = shared_config(topology)
    writers = {name for entry in stream_writers(topology).values() for name in entry}
    assert writers <= set(instance_map(topology)) - {"main"}
    mentioned = {name for option in SHARD_LISTS for name in shared.get(option, [])}
    mentioned |= {shared[option] for option in ONE_NAME_OPTIONS if option in shared}
    assert mentioned | writers <= set(names(topology.workers))
    for name, address in shared.get("instance_map", {}).items():
        file = main_config(topology) if name == "main" else worker_config(topology, topology.worker(name))
        (listener,) = (
            entry
            for entry in file["listeners" if name == "main" else "worker_listeners"]
            if entry.get("resources") == [{"names": ["replication"]}]
        )
        if "path" in address:
            assert listener["path"] == address["path"]
        else:
            assert (listener["bind_addresses"], listener["port"]) == ([address["host"]], address["port"])


@every
def test_rule_6_every_worker_that_is_named_is_a_unit_on_its_host(topology: Topology) -> None:
    units = {unit["name"] for host in topology.addresses for unit in worker_units(topology, host)}
    assert set(instance_map(topology)) - {"main"} <= units


# 7. The schema first: main is ready before a worker starts. The model has no part in it; playbook and units have.


def test_rule_7_processes_start_after_all_that_they_need_and_main_before_workers() -> None:
    plays = yaml.safe_load((ROOT / "playbooks" / "site.yml").read_text())
    imported = [
        (task["ansible.builtin.import_role"], task.get("vars", {}))
        for play in plays
        for task in play["tasks"]
        if "ansible.builtin.import_role" in task
    ]
    order = [
        (role.get("tasks_from") or more.get("run_verb") or role["name"].rsplit(".", 1)[1]) for role, more in imported
    ]
    for need in ("topology", "secrets", "install", "files", "activate"):
        assert order.index(need) < order.index("plan") < order.index("rollout")
    assert [service.name for service in visited("activate", stage="network")] == ["firewall"]
    stages = [more["run_stage"] for _role, more in imported if more.get("run_verb") == "activate"]
    assert stages == ["network", "servers", "watch"]
    topology = one_host(synapse_preset="small")
    first = make_plan(topology, [], topology.addresses, True).waves[0]
    assert [step.name for step in first.steps] == ["main"]


def test_rule_7_systemd_starts_workers_after_main_has_said_that_it_is_ready() -> None:
    templates = ROOT / "roles" / "synapse" / "templates"
    worker = (templates / "matrix-synapse-worker@.service.j2").read_text()
    (after,) = (line for line in worker.splitlines() if line.startswith("After="))
    assert after.split()[-2:] == ["topology_layout.main_unit", "}}"]
    # Only with this does After= wait for more than the fork; and main may take its time with the schema.
    assert "Type=notify" in (templates / "unit.j2").read_text().splitlines()
    assert "TimeoutStartSec=infinity" in (templates / "matrix-synapse.service.j2").read_text().splitlines()


# 8. Synapse does not drain, nginx must: the model gives it a server of its own for each process, so that one can be
#    taken out. Draining itself is done on real hosts.


@every
def test_rule_8_every_member_of_a_pool_is_a_server_of_its_own_that_nginx_can_take_out(topology: Topology) -> None:
    addresses: dict[str, str] = {}
    for upstream in proxy_upstreams(topology):
        assert len({server["address"] for server in upstream["servers"]}) == len(upstream["servers"])
        for server in upstream["servers"]:
            assert addresses.setdefault(server["process"], server["address"]) == server["address"]
    assert len(set(addresses.values())) == len(addresses)


# 9. /health only says that the listeners are up: the model tells where each process answers it. What more a process
#    must show before the next one is touched is checked on real hosts.


@every
def test_rule_9_every_process_answers_health_where_nobody_else_does(topology: Topology) -> None:
    units = [main_unit(topology)]
    units += [unit for host in topology.addresses for unit in worker_units(topology, host)]
    places = [tuple(unit["health"].values()) for unit in units]
    assert len(set(places)) == len(places) == len(topology.processes)
    for process in topology.processes:
        file = main_config(topology) if process.is_main else worker_config(topology, process)
        http = file["listeners" if process.is_main else "worker_listeners"][0]
        assert http.get("resources") != [{"names": ["replication"]}]
        where = health(topology, process)
        if topology.unix:
            assert where == {"socket": http["path"]}
        else:
            assert where == {"address": http["bind_addresses"][0], "port": http["port"]}


# 10. Files merge shallowly: a file that has an option must have the whole of it.


@every
def test_rule_10_only_whole_options_are_repeated(topology: Topology) -> None:
    shared = shared_config(topology)
    for name, file in files(topology).items():
        if name != "shared":
            assert set(file) & set(shared) <= {"enable_media_repo", "database", "caches"}


def test_rule_10_an_option_of_one_process_keeps_what_the_shared_file_says_of_it() -> None:
    topology = one_host(
        synapse_extra_config={"caches": {"global_factor": 1.0, "per_cache_factors": {"get_users_in_room": 5.0}}},
        synapse_main_settings={"cp_max": 11, "cache_factor": 3.0},
        generic_workers={"sync": {"cp_max": 9, "cache_factor": 2.0}, "login": {}},
    )
    shared = shared_config(topology)
    for own, connections, factor in (
        (main_config(topology), 11, 3.0),
        (worker_config(topology, topology.worker("synapse1-sync-1")), 9, 2.0),
    ):
        merged = {**shared, **own}
        assert merged["database"] == {
            "name": "psycopg2",
            "args": {**shared["database"]["args"], "cp_max": connections},
        }
        assert merged["caches"] == {"global_factor": factor, "per_cache_factors": {"get_users_in_room": 5.0}}
    assert "caches" not in worker_config(topology, topology.worker("synapse1-login-1"))


def test_rule_10_a_shared_option_that_is_null_is_as_good_as_none() -> None:
    topology = one_host(synapse_extra_config={"caches": None}, generic_workers={"sync": {"cache_factor": 2.0}})
    assert worker_config(topology, topology.workers[0])["caches"] == {"global_factor": 2.0}


@pytest.mark.parametrize("option", sorted(COMPUTED_OPTIONS | {"worker_replication_secret", "worker_name"}))
def test_rule_10_the_operator_cannot_replace_a_computed_option_by_another_file(option: str) -> None:
    for variables in (
        {"synapse_extra_config": {option: "x"}},
        {"synapse_main_settings": {"extra_config": {option: "x"}}},
        {"generic_workers": {"sync": {"extra_config": {option: "x"}}}},
    ):
        with pytest.raises(
            TopologyError, match=rf"extra_config\.{option} (on host synapse1 )?is .*: it is computed from the topology"
        ):
            one_host(**variables)


def test_rule_10_holds_on_several_hosts_too() -> None:
    topology = several_hosts({"generic1": {"generic_workers": {"sync": {"cp_max": 2}}}})
    own = worker_config(topology, topology.workers[0])
    assert own["database"]["args"]["host"] == shared_config(topology)["database"]["args"]["host"] == "10.0.0.1"
