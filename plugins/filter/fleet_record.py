# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``fleet_record``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: fleet_record
short_description: Which host has which processes
version_added: 0.1.0
description:
  - The record of a complete run, kept on the main host. A later run finds in it the hosts that left the inventory.
extends_documentation_fragment:
  - baremetal.synapse.of_topology
"""

EXAMPLES = r"""
- name: Show it
  ansible.builtin.debug:
    msg: "{{ topology_json | baremetal.synapse.fleet_record }}"
"""

RETURN = r"""
_value:
  description: The keys C(server_name) and C(hosts).
  type: dict
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.adapter import read_topology, with_clear_errors
from ansible_collections.baremetal.synapse.plugins.plugin_utils.lifecycle.refusals import fleet_record


def _fleet_record(topology_json: str) -> Any:
    return fleet_record(read_topology(topology_json))


class FilterModule:
    """The filter fleet_record."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"fleet_record": with_clear_errors(_fleet_record)}
