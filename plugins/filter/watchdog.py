# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``watchdog``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: watchdog
short_description: What the watchdog of a host has to know
version_added: 0.1.0
description:
  - The channel on which the processes of the server listen, how Redis is reached, and unit, metrics and TCP ports of
    each process of one host.
  - Empty where the host has no process. Without Redis, as in a monolith, C(redis) is null.
extends_documentation_fragment:
  - baremetal.synapse.of_topology
  - baremetal.synapse.of_topology.host
"""

EXAMPLES = r"""
- name: Show it
  ansible.builtin.debug:
    msg: "{{ topology_json | baremetal.synapse.watchdog(inventory_hostname) }}"
"""

RETURN = r"""
_value:
  description: One watchdog, or none. Its keys are C(host), C(channel), C(redis) and C(processes).
  type: list
  elements: dict
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.adapter import read_topology, with_clear_errors
from ansible_collections.baremetal.synapse.plugins.plugin_utils.views.watchdog import watchdog


def _watchdog(topology_json: str, host: str) -> list[dict[str, Any]]:
    seen = watchdog(read_topology(topology_json), str(host))
    return [seen] if seen["processes"] else []


class FilterModule:
    """The filter watchdog."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"watchdog": with_clear_errors(_watchdog)}
