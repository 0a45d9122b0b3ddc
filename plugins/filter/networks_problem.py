# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``networks_problem``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: networks_problem
short_description: What is wrong with a list of networks
version_added: 0.1.0
author: The baremetal.synapse developers (@baremetal-synapse)
description:
  - Checks a variable that holds networks, wherever its value comes from. Networks of the inventory are checked by
    P(baremetal.synapse.topology_problem#filter), which does not see variables of plays and roles.
  - Empty if all is well; else it tells the variable, its value, the reason and the fix.
options:
  _input:
    description: The value of the variable, which has to be a list of networks.
    type: raw
    required: true
  variable:
    description: The name of the variable.
    type: str
    required: true
extends_documentation_fragment:
  - baremetal.synapse.of_topology.host
"""

EXAMPLES = r"""
- name: Show it
  ansible.builtin.debug:
    msg: "{{ nginx_admin_allowed | baremetal.synapse.networks_problem('nginx_admin_allowed', inventory_hostname) }}"
"""

RETURN = r"""
_value:
  description: The problem, or an empty string.
  type: str
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.adapter import with_clear_errors
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.errors import TopologyError
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.inventory import check_networks


def _networks_problem(networks: object, variable: str, host: str) -> str:
    try:
        check_networks(str(variable), networks, str(host))
    except TopologyError as error:
        return str(error)
    return ""


class FilterModule:
    """The filter networks_problem."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"networks_problem": with_clear_errors(_networks_problem)}
