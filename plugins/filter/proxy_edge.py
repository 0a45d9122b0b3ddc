# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``proxy_edge``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: proxy_edge
short_description: What nginx of one host serves, and what it leaves to other sites
version_added: 0.2.0
description:
  - The names and listeners of nginx's server blocks on a host, and which of its settings other files have already.
options:
  variables:
    description:
      - Variables of the role P(baremetal.synapse.nginx#role), by name. Those that are not set have their defaults.
    type: dict
    required: true
extends_documentation_fragment:
  - baremetal.synapse.of_topology
  - baremetal.synapse.of_topology.host
  - baremetal.synapse.of_topology.found
"""

EXAMPLES = r"""
- name: Show the names that nginx serves
  ansible.builtin.debug:
    msg: "{{ (topology_json | baremetal.synapse.proxy_edge(inventory_hostname, topology_host, {})).names }}"
"""

RETURN = r"""
_value:
  description:
    - C(names); what C(listen) gets, as C(plain), C(tls) and C(catch_all).
    - C(settings) of the blocks C(main) and C(http); C(alone) says whether there are no other sites.
    - C(disabled) has the sites that are disabled, C(include_missing) whether a website of the base domain lacks
      the line C(include).
  type: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.adapter import (
    read_topology,
    typed_variables,
    with_clear_errors,
)
from ansible_collections.baremetal.synapse.plugins.plugin_utils.servers.nginx_edge import proxy_edge


def _proxy_edge(topology_json: str, host: str, found: Mapping[str, Any], variables: Mapping[str, Any]) -> Any:
    return proxy_edge(read_topology(topology_json), str(host), found, typed_variables(variables))


class FilterModule:
    """The filter proxy_edge."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"proxy_edge": with_clear_errors(_proxy_edge)}
