# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``worker_files``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: worker_files
short_description: What the files of workers hold
version_added: 0.1.0
description:
  - For each worker of a host and group, the options that it reads after homeserver.yaml, and the drop-in of its unit.
options:
  kind:
    description: One of V(generic_workers), V(media_workers), V(background_workers).
    type: str
    required: true
extends_documentation_fragment:
  - baremetal.synapse.of_topology
  - baremetal.synapse.of_topology.host
"""

EXAMPLES = r"""
- name: Show it
  ansible.builtin.debug:
    msg: "{{ topology_json | baremetal.synapse.worker_files(inventory_hostname, kind='generic_workers') }}"
"""

RETURN = r"""
_value:
  description:
    - One entry for each worker, sorted by name. C(name) and C(unit) are its names, C(about) names its pool and duties,
      C(config) is a YAML document with options of Synapse, and C(drop_in) what systemd reads.
  type: list
  elements: dict
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.adapter import read_topology, with_clear_errors
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.worker_files import worker_files


def _worker_files(topology_json: str, host: str, kind: str) -> list[dict[str, str]]:
    return worker_files(read_topology(topology_json), str(host), str(kind))


class FilterModule:
    """The filter worker_files."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"worker_files": with_clear_errors(_worker_files)}
