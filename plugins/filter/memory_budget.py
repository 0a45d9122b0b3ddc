# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``memory_budget``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: memory_budget
short_description: How much memory of a host is promised away
version_added: 0.1.0
description:
  - What the processes of a host may take by their C(memory_max), what PostgreSQL has as C(shared_buffers), and what
    Redis may take, against the host's memory. Parts without a limit are left out.
options:
  memory_mib:
    description: The memory of the host in MiB.
    type: int
    required: true
  postgres_memory_mib:
    description: The memory that PostgreSQL plans with, if it is not all of the host's; the variable of that name.
    type: int
  postgres_settings:
    description: The variable of that name, of which C(shared_buffers) counts.
    type: dict
  redis_maxmemory_mib:
    description: The variable of that name.
    type: int
    default: 0
extends_documentation_fragment:
  - baremetal.synapse.of_topology
  - baremetal.synapse.of_topology.host
"""

EXAMPLES = r"""
- name: Show it
  ansible.builtin.debug:
    msg: "{{ topology_json | baremetal.synapse.memory_budget(inventory_hostname, topology_host.memtotal_mb) }}"
"""

RETURN = r"""
_value:
  description:
    - C(parts), each with C(name) and C(mib), their C(sum), the host's C(memory_mib), and C(problem), which says why it
      does not fit and is empty if it does.
  type: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.adapter import read_topology, with_clear_errors
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.errors import TopologyError
from ansible_collections.baremetal.synapse.plugins.plugin_utils.views.memory import check_memory, host_memory


def _memory_budget(
    topology_json: str,
    host: str,
    memory_mib: int,
    postgres_memory_mib: int | None = None,
    postgres_settings: Mapping[str, Any] | None = None,
    redis_maxmemory_mib: int = 0,
) -> dict[str, Any]:
    variables = {
        "postgres_memory_mib": postgres_memory_mib,
        "postgres_settings": postgres_settings,
        "redis_maxmemory_mib": redis_maxmemory_mib,
    }
    found = host_memory(read_topology(topology_json), str(host), int(memory_mib), variables)
    try:
        check_memory(str(host), found)
    except TopologyError as error:
        return {**found, "problem": str(error)}
    return {**found, "problem": ""}


class FilterModule:
    """The filter memory_budget."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"memory_budget": with_clear_errors(_memory_budget)}
