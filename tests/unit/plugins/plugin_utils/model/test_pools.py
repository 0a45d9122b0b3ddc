# SPDX-License-Identifier: GPL-3.0-or-later
"""Every setting of a pool reaches the file, unit or view that it is for."""

from __future__ import annotations

from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.topology import Topology
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.config import (
    main_config,
    shared_config,
    worker_config,
)
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.units import main_unit, worker_units
from ansible_collections.baremetal.synapse.plugins.plugin_utils.views.connections import connection_budget

from tests.unit.fleets import names, one_host, only, pool

SETTINGS = {
    "memory_max": "2G",
    "cpu_quota": "150%",
    "cp_max": 9,
    "cache_factor": 2.5,
    "env": {"PYTHONMALLOC": "malloc", "NOTE": 'with "quotes" and 100%'},
    "extra_config": {"event_cache_size": "20K"},
}


def file_of(topology: Topology, name: str) -> dict[str, object]:
    return worker_config(topology, topology.worker(name))


def test_a_pool_named_after_a_duty_has_that_duty_and_one_worker() -> None:
    worker = only(pool("sync").workers)
    assert worker.duties == ("sync",)
    assert worker.name == "synapse1-sync-1"


def test_limits_and_environment_reach_the_units_of_every_worker_of_the_pool_and_of_no_other() -> None:
    topology = one_host(generic_workers={"sync": {"count": 2, **SETTINGS}, "login": {}})
    units = {unit["name"]: unit for unit in worker_units(topology, "synapse1")}
    for index in (1, 2):
        unit = units[f"synapse1-sync-{index}"]
        assert unit["service"] == {"MemoryMax": "2G", "CPUQuota": "150%"}
        assert unit["environment"] == SETTINGS["env"]
    assert units["synapse1-login-1"]["service"] == {}
    assert units["synapse1-login-1"]["environment"] == {}
    assert main_unit(topology)["service"] == {}


def test_options_reach_the_files_of_the_pool_and_neither_the_shared_one_nor_another() -> None:
    topology = one_host(generic_workers={"sync": {**SETTINGS}, "login": {}})
    own = file_of(topology, "synapse1-sync-1")
    assert own["event_cache_size"] == "20K"
    assert own["caches"] == {"global_factor": 2.5}
    assert own["database"] == {
        "name": "psycopg2",
        "args": {**shared_config(topology)["database"]["args"], "cp_max": 9},
    }
    for other in (file_of(topology, "synapse1-login-1"), main_config(topology), shared_config(topology)):
        assert "event_cache_size" not in other
        assert "caches" not in other
    assert shared_config(topology)["database"]["args"]["cp_max"] == 5


def test_connections_of_a_pool_count_in_the_budget() -> None:
    budget = connection_budget(one_host(generic_workers={"sync": {"cp_max": 9}, "login": {}}))
    assert {entry["name"]: entry["connections"] for entry in budget["parts"]} == {
        "main": 6,
        "synapse1-login-1": 6,
        "synapse1-sync-1": 10,
    }


def test_the_main_process_takes_the_same_settings() -> None:
    topology = one_host(synapse_main_settings=SETTINGS, generic_workers={"sync": {}})
    own = main_config(topology)
    assert own["event_cache_size"] == "20K"
    assert own["caches"] == {"global_factor": 2.5}
    assert own["database"]["args"]["cp_max"] == 9
    assert main_unit(topology)["service"] == {"MemoryMax": "2G", "CPUQuota": "150%"}
    assert main_unit(topology)["environment"] == SETTINGS["env"]
    assert "event_cache_size" not in file_of(topology, "synapse1-sync-1")


def test_settings_change_neither_names_nor_the_shared_file() -> None:
    bare, full = pool("sync", count=2), pool("sync", count=2, **SETTINGS)
    assert names(bare.workers) == names(full.workers)
    assert shared_config(bare) == shared_config(full)


def test_a_port_slot_moves_all_ports_of_the_pool() -> None:
    usual, moved = only(pool("sync").workers), only(pool("sync", port_slot=179).workers)
    assert (moved.http_port, moved.replication_port, moved.metrics_port) == (17160, 24360, 31560)
    assert usual.http_port != moved.http_port
    assert usual.name == moved.name
