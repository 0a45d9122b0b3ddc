# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``memory_budget``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: memory_budget
short_description: How much memory of a host is assigned
version_added: 0.1.0
description:
  - What all that runs on a host may take of its memory, as far as it has a limit, against the host's memory. The
    processes have their C(memory_max), PostgreSQL has its C(shared_buffers), Redis its C(maxmemory).
options:
  memory_mib:
    description: The memory of the host in MiB.
    type: int
    required: true
  variables:
    description:
      - The variables of the host. C(postgres_memory_mib), C(postgres_settings) and C(redis_maxmemory_mib) count, as far
        as they are set.
    type: dict
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

from ansible_collections.baremetal.synapse.plugins.plugin_utils.adapter import (
    read_topology,
    typed_variables,
    with_clear_errors,
)
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.errors import TopologyError
from ansible_collections.baremetal.synapse.plugins.plugin_utils.views.memory import check_memory, host_memory


def _memory_budget(
    topology_json: str, host: str, memory_mib: int, variables: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    found = host_memory(read_topology(topology_json), str(host), int(memory_mib), typed_variables(variables or {}))
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
