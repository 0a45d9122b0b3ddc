# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``diagram``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: diagram
short_description: A picture of the fleet
version_added: 0.1.0
author: The baremetal.synapse developers (@baremetal-synapse)
description:
  - A Mermaid flowchart of hosts, pools, PostgreSQL and Redis, which forges and editors draw.
options:
  _input:
    description: The fact C(topology_json), which the role P(baremetal.synapse.topology#role) sets.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show it
  ansible.builtin.debug:
    msg: "{{ topology_json | baremetal.synapse.diagram }}"
"""

RETURN = r"""
_value:
  description: Mermaid text.
  type: str
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils._adapter import read_topology, with_clear_errors
from ansible_collections.baremetal.synapse.plugins.plugin_utils._diagram import diagram


def _diagram(topology_json: str) -> Any:
    return diagram(read_topology(topology_json))


class FilterModule:
    """The filter diagram."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"diagram": with_clear_errors(_diagram)}
