# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``instance_map``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: instance_map
short_description: Synapse's instance_map
version_added: 0.1.0
description:
  - C(main) and every worker that writes a stream, with the socket or the address of its replication listener.
extends_documentation_fragment:
  - baremetal.synapse.of_topology
"""

EXAMPLES = r"""
- name: Show it
  ansible.builtin.debug:
    msg: "{{ topology_json | baremetal.synapse.instance_map }}"
"""

RETURN = r"""
_value:
  description: Entries of C(instance_map) by name.
  type: dict
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.adapter import read_topology, with_clear_errors
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.config import instance_map


def _instance_map(topology_json: str) -> Any:
    return instance_map(read_topology(topology_json))


class FilterModule:
    """The filter instance_map."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"instance_map": with_clear_errors(_instance_map)}
