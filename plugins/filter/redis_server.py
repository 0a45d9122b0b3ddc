# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``redis_server``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: redis_server
short_description: The server of Redis on a host
version_added: "0.2.0"
description:
  - Returns what the role P(baremetal.synapse.redis#role) deploys, as data.
options:
  variables:
    description: The variables of the role by their names, with their defaults.
    type: dict
    required: true
  mode:
    description: Whether the run deploys, only looks, or writes files on the controller.
    type: str
    choices: [deploy, check, render]
    required: true
  secret:
    description:
      - The password, as a text or as the result of M(ansible.builtin.slurp). Empty where clients need none.
    type: raw
    default: ""
extends_documentation_fragment:
  - baremetal.synapse.of_topology
  - baremetal.synapse.of_topology.host
  - baremetal.synapse.of_topology.found
"""

EXAMPLES = r"""
- name: Show the unit of Redis
  ansible.builtin.debug:
    msg: "{{ (topology_json | baremetal.synapse.redis_server(inventory_hostname, topology_host, {}, 'check')).unit }}"
"""

RETURN = r"""
_value:
  description: Package, unit, paths, settings (with the password) and the command that asks the server.
  type: dict
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.adapter import (
    decoded,
    read_topology,
    typed_variables,
    with_clear_errors,
)
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.values import plain
from ansible_collections.baremetal.synapse.plugins.plugin_utils.servers.redis import Mode, redis_server


def _redis_server(
    topology_json: str,
    host: str,
    found: Mapping[str, Any],
    variables: Mapping[str, Any],
    mode: Mode,
    secret: str | Mapping[str, Any] = "",
) -> dict[str, Any]:
    password = decoded(secret) if isinstance(secret, Mapping) else str(secret)
    topology = read_topology(topology_json)
    server = redis_server(topology, str(host), plain(found), typed_variables(variables), mode, password.strip())
    return dict(plain(asdict(server)))


class FilterModule:
    """The filter redis_server."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"redis_server": with_clear_errors(_redis_server)}
