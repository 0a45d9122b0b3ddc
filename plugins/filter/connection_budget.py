# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``connection_budget``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: connection_budget
short_description: Database connections of the fleet
version_added: 0.1.0
description:
  - How many connections each process may hold, and any other service that asks PostgreSQL, their sum, and the
    C(max_connections) that PostgreSQL needs for it.
extends_documentation_fragment:
  - baremetal.synapse.of_topology
"""

EXAMPLES = r"""
- name: Show it
  ansible.builtin.debug:
    msg: "{{ topology_json | baremetal.synapse.connection_budget }}"
"""

RETURN = r"""
_value:
  description: The keys C(parts), each with C(name) and C(connections), C(sum), C(reserved) and C(max_connections).
  type: dict
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.adapter import read_topology, with_clear_errors
from ansible_collections.baremetal.synapse.plugins.plugin_utils.views.connections import connection_budget


def _connection_budget(topology_json: str) -> Any:
    return connection_budget(read_topology(topology_json))


class FilterModule:
    """The filter connection_budget."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"connection_budget": with_clear_errors(_connection_budget)}
