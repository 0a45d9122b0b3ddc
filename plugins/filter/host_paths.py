# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``host_paths``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: host_paths
short_description: The paths on a host that its checks ask for
version_added: 0.2.0
description:
  - Returns the paths of which the checks of the services of a host want to know whether they exist, such as
    certificates that the inventory names. M(baremetal.synapse.host_survey) looks for them.
options:
  variables:
    description:
      - The variables of the host that P(baremetal.synapse.host_variables#filter) names, as far as they are set.
    type: dict
    required: true
extends_documentation_fragment:
  - baremetal.synapse.of_topology
  - baremetal.synapse.of_topology.host
"""

EXAMPLES = r"""
- name: Show it
  ansible.builtin.debug:
    msg: "{{ topology_json | baremetal.synapse.host_paths(inventory_hostname, {'nginx_tls_self_signed': true}) }}"
"""

RETURN = r"""
_value:
  description: The paths.
  type: list
  elements: path
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.adapter import read_topology, with_clear_errors
from ansible_collections.baremetal.synapse.plugins.plugin_utils.lifecycle.host_checks import host_paths
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.values import plain


def _host_paths(topology_json: str, host: str, variables: Mapping[str, Any]) -> list[str]:
    return host_paths(read_topology(topology_json), str(host), plain(variables))


class FilterModule:
    """The filter host_paths."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"host_paths": with_clear_errors(_host_paths)}
