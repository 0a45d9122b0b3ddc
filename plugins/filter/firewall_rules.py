# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``firewall_rules``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: firewall_rules
short_description: Who may reach the private listeners of a fleet
version_added: 0.1.0
description:
  - The address of a host at which it listens for the fleet, and for each kind of listener the ports and the networks
    that need it. For each kind that trusts every client, also which accounts of the host may reach it on any
    host.
  - Empty where there is nothing to close; with the transport V(unix) that is so.
extends_documentation_fragment:
  - baremetal.synapse.of_topology
  - baremetal.synapse.of_topology.host
"""

EXAMPLES = r"""
- name: Show it
  ansible.builtin.debug:
    msg: "{{ topology_json | baremetal.synapse.firewall_rules(inventory_hostname) }}"
"""

RETURN = r"""
_value:
  description:
    - One ruleset, or none. Its keys are C(family), C(address), C(listeners) and C(users). Each entry of C(listeners)
      has C(name), C(about), C(ports) and C(sources). Each entry of C(users) has C(about), C(family), C(addresses),
      C(ports) and C(users), the accounts as a set of nftables.
  type: list
  elements: dict
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.adapter import read_topology, with_clear_errors
from ansible_collections.baremetal.synapse.plugins.plugin_utils.views.firewall import firewall_rules


def _firewall_rules(topology_json: str, host: str) -> list[dict[str, Any]]:
    rules = firewall_rules(read_topology(topology_json), str(host))
    return [rules] if rules["listeners"] or rules["users"] else []


class FilterModule:
    """The filter firewall_rules."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"firewall_rules": with_clear_errors(_firewall_rules)}
