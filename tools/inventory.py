# SPDX-License-Identifier: GPL-3.0-or-later
"""Loads an inventory as Ansible does, for tools and tests that need its topology without a run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible.vars.manager import VariableManager
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.inputs import INPUTS
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.inventory import gather
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.topology import Topology, parse_topology


def load_variables(*sources: Path) -> tuple[dict[str, list[str]], dict[str, dict[str, Any]]]:
    """Returns the groups of an inventory and the variables of its hosts; later sources win, as with several ``-i``.

    The inputs of the collection are templated, as ``hostvars`` does it in a run.
    """
    loader = DataLoader()
    inventory = InventoryManager(loader=loader, sources=[str(source) for source in sources])
    variables = VariableManager(loader=loader, inventory=inventory)
    hostvars = {host.name: variables.get_vars(host=host) for host in inventory.get_hosts()}
    return inventory.get_groups_dict(), {host: _templated(loader, own) for host, own in hostvars.items()}


def _templated(loader: DataLoader, variables: Mapping[str, Any]) -> dict[str, Any]:
    templar = Templar(loader=loader, variables=variables)
    return {name: templar.template(value) if name in INPUTS else value for name, value in variables.items()}


def load_inputs(*sources: Path) -> dict[str, Any]:
    """Returns what the topology reads from an inventory."""
    return gather(*load_variables(*sources))


def load_topology_json(*sources: Path) -> str:
    """Returns the fact ``topology_json`` of an inventory."""
    return json.dumps(load_inputs(*sources), sort_keys=True)


def load_topology(*sources: Path) -> Topology:
    """Returns the checked topology of an inventory."""
    return parse_topology(load_topology_json(*sources))
