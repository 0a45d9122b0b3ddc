# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``postgres_server``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: postgres_server
short_description: The server of PostgreSQL on a host
version_added: "0.2.0"
description:
  - Returns what the role P(baremetal.synapse.postgres#role) deploys, as data.
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
extends_documentation_fragment:
  - baremetal.synapse.of_topology
  - baremetal.synapse.of_topology.host
  - baremetal.synapse.of_topology.found
"""

EXAMPLES = r"""
- name: Show the settings of PostgreSQL
  ansible.builtin.debug:
    msg: "{{ server.settings }}"
  vars:
    server: "{{ topology_json | baremetal.synapse.postgres_server(inventory_hostname, topology_host, {}, 'check') }}"
"""

RETURN = r"""
_value:
  description: Version, packages, unit, paths, settings, lines of C(pg_hba.conf) and queries.
  type: dict
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.adapter import (
    read_topology,
    typed_variables,
    with_clear_errors,
)
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.values import plain
from ansible_collections.baremetal.synapse.plugins.plugin_utils.servers.postgres import Mode, postgres_server


def _postgres_server(
    topology_json: str, host: str, found: Mapping[str, Any], variables: Mapping[str, Any], mode: Mode
) -> dict[str, Any]:
    server = postgres_server(read_topology(topology_json), str(host), plain(found), typed_variables(variables), mode)
    return dict(plain(asdict(server)))


class FilterModule:
    """The filter postgres_server."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"postgres_server": with_clear_errors(_postgres_server)}
