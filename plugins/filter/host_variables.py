# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``host_variables``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: host_variables
short_description: The names of the variables that matter on a host
version_added: 0.2.0
description:
  - Returns the names of the variables of all roles that deploy to a host, whether they are set or not.
extends_documentation_fragment:
  - baremetal.synapse.of_topology
  - baremetal.synapse.of_topology.host
"""

EXAMPLES = r"""
- name: Show it
  ansible.builtin.debug:
    msg: "{{ topology_json | baremetal.synapse.host_variables(inventory_hostname) }}"
"""

RETURN = r"""
_value:
  description: The names, sorted.
  type: list
  elements: str
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.adapter import read_topology, with_clear_errors
from ansible_collections.baremetal.synapse.plugins.plugin_utils.lifecycle.host_checks import host_inputs


def _host_variables(topology_json: str, host: str) -> list[str]:
    return sorted(host_inputs(read_topology(topology_json), str(host)))


class FilterModule:
    """The filter host_variables."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"host_variables": with_clear_errors(_host_variables)}
