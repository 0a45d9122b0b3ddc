# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``fingerprint_inputs``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: fingerprint_inputs
short_description: What each process of a host depends on
version_added: 0.1.0
description:
  - For each process of a host, its files, links and options of the shared configuration, and which of these it reads
    again on SIGHUP. The units note their hashes at each start, so that a change restarts those that it concerns.
extends_documentation_fragment:
  - baremetal.synapse.of_topology
  - baremetal.synapse.of_topology.host
"""

EXAMPLES = r"""
- name: Show it
  ansible.builtin.debug:
    msg: "{{ topology_json | baremetal.synapse.fingerprint_inputs(inventory_hostname) }}"
"""

RETURN = r"""
_value:
  description: The keys C(directory) and C(instances), as a JSON document.
  type: str
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.adapter import read_topology, with_clear_errors
from ansible_collections.baremetal.synapse.plugins.plugin_utils.lifecycle.dependencies import fingerprint_inputs
from ansible_collections.baremetal.synapse.plugins.plugin_utils.views.text import as_json


def _fingerprint_inputs(topology_json: str, host: str) -> str:
    return as_json(fingerprint_inputs(read_topology(topology_json), str(host)))


class FilterModule:
    """The filter fingerprint_inputs."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"fingerprint_inputs": with_clear_errors(_fingerprint_inputs)}
