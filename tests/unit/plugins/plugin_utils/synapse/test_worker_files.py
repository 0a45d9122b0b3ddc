# SPDX-License-Identifier: GPL-3.0-or-later
"""What the files of workers hold."""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.topology import Topology
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.config import worker_config
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.drop_in import drop_in
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.units import worker_units
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.worker_files import worker_files

from tests.unit.fleets import every_fleet

FLEETS = every_fleet()


@pytest.mark.parametrize("topology", FLEETS.values(), ids=FLEETS)
def test_every_worker_has_its_own_options_and_its_own_drop_in(topology: Topology) -> None:
    store = topology.options["synapse_media_store_path"]
    found = {}
    for host in topology.addresses:
        for group in ("generic_workers", "media_workers", "background_workers"):
            units = {unit["name"]: unit for unit in worker_units(topology, host, group)}
            for files in worker_files(topology, host, group):
                assert files["drop_in"] == drop_in(units[files["name"]], store)
                assert files["unit"] == units[files["name"]]["unit"]
                found[files["name"]] = yaml.safe_load(files["config"])
    assert found == {worker.name: worker_config(topology, worker) for worker in topology.workers}
