# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``process_files``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: process_files
short_description: Which files of processes belong to a host
version_added: 0.1.0
description:
  - What a host has for its processes and nothing else. Files that look like theirs and are not of them are stale.
extends_documentation_fragment:
  - baremetal.synapse.of_topology
  - baremetal.synapse.of_topology.host
"""

EXAMPLES = r"""
- name: Show it
  ansible.builtin.debug:
    msg: "{{ topology_json | baremetal.synapse.process_files(inventory_hostname) }}"
"""

RETURN = r"""
_value:
  description:
    - C(directories), the media store if a process of the host reads or writes it, and C(purge), files of processes that
      are stale, both as M(baremetal.synapse.file_set) takes them.
  type: dict
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.adapter import read_topology, with_clear_errors
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.units import process_files


def _process_files(topology_json: str, host: str) -> dict[str, Any]:
    return process_files(read_topology(topology_json), str(host))


class FilterModule:
    """The filter process_files."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"process_files": with_clear_errors(_process_files)}
