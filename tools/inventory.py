# SPDX-License-Identifier: GPL-3.0-or-later
"""Loads an inventory as Ansible does, for tools and tests that need its topology without a run."""

from __future__ import annotations

import json
from pathlib import Path

from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.vars.manager import VariableManager
from ansible_collections.baremetal.synapse.plugins.plugin_utils._inventory import gather
from ansible_collections.baremetal.synapse.plugins.plugin_utils._topology import Topology, parse_topology


def load_topology_json(*sources: Path) -> str:
    """Returns the fact ``topology_json`` of an inventory; later sources win, as with several ``-i``."""
    loader = DataLoader()
    inventory = InventoryManager(loader=loader, sources=[str(source) for source in sources])
    variables = VariableManager(loader=loader, inventory=inventory)
    hostvars = {host.name: variables.get_vars(host=host) for host in inventory.get_hosts()}
    return json.dumps(gather(inventory.get_groups_dict(), hostvars), sort_keys=True)


def load_topology(*sources: Path) -> Topology:
    """Returns the checked topology of an inventory."""
    return parse_topology(load_topology_json(*sources))
