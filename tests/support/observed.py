# SPDX-License-Identifier: GPL-3.0-or-later
"""What a survey sees of a fleet that runs as it is wanted."""

from __future__ import annotations

from ansible_collections.baremetal.synapse.plugins.plugin_utils.lifecycle.observed import Observed
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.topology import Topology
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.units import unit_of


def running(topology: Topology) -> list[Observed]:
    """Returns all processes of a fleet, each active and with the start state that is wanted."""
    return [
        Observed(
            name=process.name,
            host=process.host,
            unit=unit_of(process),
            active="active",
            enabled=True,
            known=True,
            duties=process.duties,
            release=topology.release,
        )
        for process in topology.processes
    ]
