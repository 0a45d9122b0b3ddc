# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``proxy_upstreams``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: proxy_upstreams
short_description: nginx upstreams of the fleet
version_added: 0.1.0
description:
  - The main process, and one upstream for each duty that workers serve.
extends_documentation_fragment:
  - baremetal.synapse.of_topology
"""

EXAMPLES = r"""
- name: Show it
  ansible.builtin.debug:
    msg: "{{ topology_json | baremetal.synapse.proxy_upstreams }}"
"""

RETURN = r"""
_value:
  description: The keys C(name), C(comment), C(balance), C(keepalive) and C(servers) of each upstream.
  type: list
  elements: dict
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.adapter import read_topology, with_clear_errors
from ansible_collections.baremetal.synapse.plugins.plugin_utils.routing.proxy import proxy_upstreams


def _proxy_upstreams(topology_json: str) -> Any:
    return proxy_upstreams(read_topology(topology_json))


class FilterModule:
    """The filter proxy_upstreams."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"proxy_upstreams": with_clear_errors(_proxy_upstreams)}
