# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``proxy_locations``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: proxy_locations
short_description: nginx locations of the fleet
version_added: 0.1.0
description:
  - Locations in order, each proxied, open only to admins, or refused.
extends_documentation_fragment:
  - baremetal.synapse.of_topology
"""

EXAMPLES = r"""
- name: Show it
  ansible.builtin.debug:
    msg: "{{ topology_json | baremetal.synapse.proxy_locations }}"
"""

RETURN = r"""
_value:
  description: The keys C(match), C(kind) and C(upstream) of each location.
  type: list
  elements: dict
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.adapter import read_topology, with_clear_errors
from ansible_collections.baremetal.synapse.plugins.plugin_utils.routing.proxy import proxy_locations


def _proxy_locations(topology_json: str) -> Any:
    return proxy_locations(read_topology(topology_json))


class FilterModule:
    """The filter proxy_locations."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"proxy_locations": with_clear_errors(_proxy_locations)}
