# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``proxy_maps``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: proxy_maps
short_description: nginx maps that choose an upstream
version_added: 0.1.0
description:
  - Maps from the method and the raw path to an upstream, and the keys by which upstreams balance.
extends_documentation_fragment:
  - baremetal.synapse.of_topology
"""

EXAMPLES = r"""
- name: Show it
  ansible.builtin.debug:
    msg: "{{ topology_json | baremetal.synapse.proxy_maps }}"
"""

RETURN = r"""
_value:
  description: The keys C(source), C(variable), C(default) and C(entries) of each map.
  type: list
  elements: dict
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.adapter import read_topology, with_clear_errors
from ansible_collections.baremetal.synapse.plugins.plugin_utils.routing.maps import proxy_maps


def _proxy_maps(topology_json: str) -> Any:
    return proxy_maps(read_topology(topology_json))


class FilterModule:
    """The filter proxy_maps."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"proxy_maps": with_clear_errors(_proxy_maps)}
