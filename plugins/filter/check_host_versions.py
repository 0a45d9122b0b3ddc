# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``check_host_versions``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: check_host_versions
short_description: Refuse a host that is too old for the release
version_added: 0.1.0
author: The baremetal.synapse developers (@baremetal-synapse)
description:
  - Compares the host's Python and PostgreSQL with what the fleet's Synapse release needs.
options:
  _input:
    description: The fact C(topology_json), which the role P(baremetal.synapse.topology#role) sets.
    type: str
    required: true
  host:
    description: The inventory name of the host.
    type: str
    required: true
  python:
    description: The version of the host's Python.
    type: str
    required: true
  postgres:
    description: The major version of the host's PostgreSQL; empty where it has none.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Show it
  ansible.builtin.debug:
    msg: "{{ topology_json | baremetal.synapse.check_host_versions(host='synapse1', python='3.11.2') }}"
"""

RETURN = r"""
_value:
  description: True; a host that is too old is an error.
  type: bool
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils._adapter import read_topology, with_clear_errors
from ansible_collections.baremetal.synapse.plugins.plugin_utils._releases import check_host_versions


def _check_host_versions(topology_json: str, host: str, python: str, postgres: str = "") -> bool:
    check_host_versions(read_topology(topology_json).release, str(host), str(python), str(postgres) or None)
    return True


class FilterModule:
    """The filter check_host_versions."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"check_host_versions": with_clear_errors(_check_host_versions)}
