# SPDX-License-Identifier: GPL-3.0-or-later
"""Prometheus finds every process, where it really listens."""

from __future__ import annotations

import pytest
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.topology import Topology
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.config import main_config, worker_config
from ansible_collections.baremetal.synapse.plugins.plugin_utils.views.metrics import metrics_targets

from tests.unit.fleets import every_fleet, one_host

FLEETS = every_fleet()


@pytest.mark.parametrize("topology", FLEETS.values(), ids=FLEETS)
def test_every_process_is_scraped_at_its_metrics_listener(topology: Topology) -> None:
    targets = {entry["labels"]["process"]: entry["targets"] for entry in metrics_targets(topology)}
    listeners = {"main": main_config(topology)["listeners"]}
    listeners |= {worker.name: worker_config(topology, worker)["worker_listeners"] for worker in topology.workers}
    expected = {
        name: [f"{entry['bind_addresses'][0]}:{entry['port']}" for entry in own if entry["type"] == "metrics"]
        for name, own in listeners.items()
    }
    assert targets == expected


def test_labels_follow_the_dashboard_of_synapse() -> None:
    main, first, second = metrics_targets(one_host(generic_workers={"sync": {"count": 2}}))
    assert main["labels"] == {
        "job": "synapse",
        "index": "1",
        "instance": "example.org",
        "host": "synapse1",
        "process": "main",
    }
    assert (first["labels"]["job"], first["labels"]["index"]) == ("sync", "1")
    assert (second["labels"]["job"], second["labels"]["index"]) == ("sync", "2")


def test_an_ipv6_address_is_in_brackets() -> None:
    (main,) = metrics_targets(one_host(synapse_transport="tcp", synapse_address="fd00::1"))
    assert main["targets"] == ["[fd00::1]:24400"]
