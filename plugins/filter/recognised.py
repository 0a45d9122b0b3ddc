# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``recognised``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: recognised
short_description: The topology with what an existing fleet keeps
version_added: "0.2.0"
description:
  - Fleets of earlier releases of this collection use the server that Debian's package for Redis starts, and keep it.
    Their C(homeserver.yaml) names its socket.
  - Returns the fact C(topology_json) with C(redis_instance) set to V(default) if the host has such a fleet and the
    inventory does not set the variable; else unchanged.
extends_documentation_fragment:
  - baremetal.synapse.of_topology
  - baremetal.synapse.of_topology.host
  - baremetal.synapse.of_topology.found
"""

EXAMPLES = r"""
- name: Keep what the fleet has
  ansible.builtin.set_fact:
    topology_json: "{{ topology_json | baremetal.synapse.recognised(inventory_hostname, topology_host) }}"
"""

RETURN = r"""
_value:
  description: The topology, as P(baremetal.synapse.topology#filter) returns it.
  type: str
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.adapter import read_topology, with_clear_errors
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.values import plain
from ansible_collections.baremetal.synapse.plugins.plugin_utils.servers.recognised import recognised_inputs


def _recognised(topology_json: str, host: str, found: Mapping[str, Any]) -> str:
    inputs = json.loads(topology_json)
    known = recognised_inputs(inputs, read_topology(topology_json), str(host), plain(found))
    return topology_json if known is inputs else json.dumps(known, sort_keys=True)


class FilterModule:
    """The filter recognised."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"recognised": with_clear_errors(_recognised)}
