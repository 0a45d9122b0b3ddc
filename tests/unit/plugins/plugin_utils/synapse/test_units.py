# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd has to know of each process."""

from __future__ import annotations

import pytest
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.topology import Topology
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.config import worker_config
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.units import (
    main_unit,
    process_files,
    worker_units,
)

from tests.unit.fleets import every_fleet, names, one_host, several_hosts

FLEETS = every_fleet()


@pytest.mark.parametrize("topology", FLEETS.values(), ids=FLEETS)
def test_every_worker_is_a_unit_of_its_own_host_and_group(topology: Topology) -> None:
    found = []
    for host in topology.addresses:
        units = worker_units(topology, host)
        groups = ("background_workers", "generic_workers", "media_workers")
        by_group = [unit for group in groups for unit in worker_units(topology, host, group)]
        assert sorted(by_group, key=lambda unit: unit["name"]) == sorted(units, key=lambda unit: unit["name"])
        assert all(topology.worker(unit["name"]).host == host for unit in units)
        found += [unit["name"] for unit in units]
    assert sorted(found) == sorted(names(topology.workers))


def kept(topology: Topology, host: str, pattern: str) -> list[str]:
    """Returns the files of this pattern that stay on a host."""
    (entry,) = [entry for entry in process_files(topology, host)["purge"] if entry["pattern"] == pattern]
    return list(entry["keep"])


@pytest.mark.parametrize("topology", FLEETS.values(), ids=FLEETS)
def test_the_files_of_each_process_stay_on_its_own_host_alone(topology: Topology) -> None:
    configs = {name: host for host in topology.addresses for name in kept(topology, host, "*.yaml")}
    assert configs == {f"{worker.name}.yaml": worker.host for worker in topology.workers}
    for pattern in ("main.yaml", "matrix-synapse.service"):
        assert [host for host in topology.addresses if kept(topology, host, pattern)] == [topology.main.host]
    drop_ins = "matrix-synapse-worker@*.service.d/pool.conf"
    assert sum(len(kept(topology, host, drop_ins)) for host in topology.addresses) == len(topology.processes)
    assert "matrix-synapse.service.d/pool.conf" in kept(topology, topology.main.host, drop_ins)


def test_only_hosts_of_processes_that_serve_media_have_the_store() -> None:
    fleet = several_hosts(media_workers={"media": {}})
    stores = {host: process_files(fleet, host)["directories"] for host in fleet.addresses}
    assert [host for host, directories in stores.items() if directories] == ["media1"]
    (store,) = process_files(one_host(), "synapse1")["directories"]
    assert (store["path"], store["mode"]) == ("/var/lib/matrix-synapse/media", "0750")


def test_the_unit_is_an_instance_named_after_the_worker() -> None:
    (unit,) = worker_units(one_host(generic_workers={"sync": {"memory_max": "1G"}}), "synapse1")
    assert unit == {
        "name": "synapse1-sync-1",
        "unit": "matrix-synapse-worker@synapse1-sync-1.service",
        "kind": "generic_workers",
        "pool": "sync",
        "duties": ["sync"],
        "health": {"socket": "/run/matrix-synapse/http/synapse1-sync-1.sock"},
        "metrics": {"address": "127.0.0.1", "port": 24960},
        "needs_media_store": False,
        "hidden": [
            "/etc/matrix-synapse/secrets/form_secret",
            "/etc/matrix-synapse/secrets/registration_shared_secret",
            "/etc/matrix-synapse/secrets/redis_password",
            "/etc/matrix-synapse/secrets/pgpass",
            "/etc/matrix-synapse/main.yaml",
        ],
        "service": {"MemoryMax": "1G"},
        "environment": {},
    }


def test_a_host_without_workers_has_no_units() -> None:
    assert worker_units(several_hosts(), "db1") == []


def test_the_main_process_needs_the_media_store_until_media_workers_have_it() -> None:
    assert main_unit(one_host(generic_workers={"sync": {}}))["needs_media_store"] is True
    assert main_unit(one_host(media_workers={"media": {}}))["needs_media_store"] is False


@pytest.mark.parametrize("topology", FLEETS.values(), ids=FLEETS)
def test_every_worker_that_handles_media_may_write_the_media_store(topology: Topology) -> None:
    for host in topology.addresses:
        for unit in worker_units(topology, host):
            config = worker_config(topology, topology.worker(unit["name"]))
            assert unit["needs_media_store"] == config.get("enable_media_repo", False)
