# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``fleet``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: fleet
short_description: What roles need to know of the whole fleet
version_added: 0.1.0
description:
  - Server name, release, transport, and how PostgreSQL and Redis are reached.
extends_documentation_fragment:
  - baremetal.synapse.of_topology
"""

EXAMPLES = r"""
- name: Show it
  ansible.builtin.debug:
    msg: "{{ topology_json | baremetal.synapse.fleet }}"
"""

RETURN = r"""
_value:
  description: A summary of the fleet.
  type: dict
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.adapter import read_topology, with_clear_errors
from ansible_collections.baremetal.synapse.plugins.plugin_utils.views.fleet import fleet


def _fleet(topology_json: str) -> Any:
    return fleet(read_topology(topology_json))


class FilterModule:
    """The filter fleet."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"fleet": with_clear_errors(_fleet)}
