# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``diagram``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: diagram
short_description: A picture of the fleet
version_added: 0.1.0
description:
  - An SVG of hosts, pools with their duties and streams, where requests go, PostgreSQL and Redis. It needs nothing from
    elsewhere, and follows the light or dark mode of whoever looks at it.
  - Of more than 12 hosts, those that have the same are drawn as one.
extends_documentation_fragment:
  - baremetal.synapse.of_topology
"""

EXAMPLES = r"""
- name: Draw it
  ansible.builtin.copy:
    content: "{{ topology_json | baremetal.synapse.diagram }}"
    dest: fleet.svg
    mode: "0644"
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
_value:
  description: SVG text.
  type: str
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.adapter import read_topology, with_clear_errors
from ansible_collections.baremetal.synapse.plugins.plugin_utils.views.diagram import diagram


def _diagram(topology_json: str) -> Any:
    return diagram(read_topology(topology_json))


class FilterModule:
    """The filter diagram."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"diagram": with_clear_errors(_diagram)}
