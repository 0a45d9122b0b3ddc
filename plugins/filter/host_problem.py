# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``host_problem``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: host_problem
short_description: Why the release cannot run on a host
version_added: 0.1.0
description:
  - Compares the Python and the PostgreSQL of a host with what the Synapse release of the fleet needs.
  - Empty if they are new enough.
options:
  python:
    description: The version of the host's Python.
    type: str
    required: true
  postgres:
    description: The major version of the host's PostgreSQL; empty where it has none.
    type: str
    default: ""
extends_documentation_fragment:
  - baremetal.synapse.of_topology
  - baremetal.synapse.of_topology.host
"""

EXAMPLES = r"""
- name: Show it
  ansible.builtin.debug:
    msg: "{{ topology_json | baremetal.synapse.host_problem(host='synapse1', python='3.11.2', postgres='15') }}"
"""

RETURN = r"""
_value:
  description: The problem, or an empty string.
  type: str
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.adapter import read_topology, with_clear_errors
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.errors import TopologyError
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.releases import check_host_versions


def _host_problem(topology_json: str, host: str, python: str, postgres: str = "") -> str:
    release = read_topology(topology_json).release
    try:
        check_host_versions(release, str(host), str(python), str(postgres) or None)
    except TopologyError as error:
        return str(error)
    return ""


class FilterModule:
    """The filter host_problem."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"host_problem": with_clear_errors(_host_problem)}
