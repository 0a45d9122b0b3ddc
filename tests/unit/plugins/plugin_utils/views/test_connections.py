# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL admits all that the fleet may open, and some more."""

from __future__ import annotations

import pytest
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.topology import Topology
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.config import (
    main_config,
    shared_config,
    worker_config,
)
from ansible_collections.baremetal.synapse.plugins.plugin_utils.views.connections import connection_budget

from tests.unit.fleets import every_fleet, one_host

FLEETS = every_fleet()


def test_a_monolith_needs_its_own_pool_and_the_reserve() -> None:
    assert connection_budget(one_host()) == {
        "parts": [{"name": "main", "connections": 6}],
        "sum": 6,
        "reserved": 15,
        "max_connections": 200,
    }


@pytest.mark.parametrize("topology", FLEETS.values(), ids=FLEETS)
def test_the_budget_is_what_the_files_let_every_process_open_and_one_more_at_start(topology: Topology) -> None:
    default = shared_config(topology)["database"]["args"]["cp_max"]
    files = {"main": main_config(topology)}
    files |= {worker.name: worker_config(topology, worker) for worker in topology.workers}
    expected = {
        name: file["database"]["args"]["cp_max"] + 1 if "database" in file else default + 1
        for name, file in files.items()
    }
    budget = connection_budget(topology)
    assert {entry["name"]: entry["connections"] for entry in budget["parts"]} == expected
    assert budget["sum"] == sum(expected.values())
    needed = budget["sum"] + budget["reserved"]
    assert budget["max_connections"] in (200, 400, 800)
    assert needed <= budget["max_connections"] <= max(200, 2 * needed)


def test_a_few_more_workers_need_no_restart_of_postgresql() -> None:
    few, more = (one_host(generic_workers={"sync": {"count": count}}) for count in (2, 12))
    assert connection_budget(few)["max_connections"] == connection_budget(more)["max_connections"]


def test_the_common_size_of_pools_counts_for_all_that_have_none_of_their_own() -> None:
    topology = one_host(synapse_cp_max=3, synapse_main_settings={"cp_max": 10}, generic_workers={"sync": {"count": 2}})
    assert connection_budget(topology)["sum"] == 11 + 2 * 4
