# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``topology``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: topology
short_description: Read the topology of an inventory
version_added: 0.1.0
author: The baremetal.synapse developers (@baremetal-synapse)
description:
  - Reads from the inventory what the fleet depends on, and returns it as one string for the other filters.
  - P(baremetal.synapse.topology_problem#filter) returns what is wrong with it; every other filter refuses a
    wrong topology.
  - No facts are read, so a run with C(--limit) computes the same topology.
  - The variables, their types and defaults are listed in C(docs/topology.md).
options:
  _input:
    description: Ansible's C(groups).
    type: dict
    required: true
  hostvars:
    description: Ansible's C(hostvars).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Compute the topology once for all hosts
  ansible.builtin.set_fact:
    topology_json: "{{ groups | baremetal.synapse.topology(hostvars) }}"
  run_once: true
"""

RETURN = r"""
_value:
  description: The inputs of the topology as JSON, which every other filter of this collection takes.
  type: str
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.adapter import ReadableHosts, with_clear_errors
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.inventory import gather


def _topology(groups: Mapping[str, Sequence[str]], hostvars: Mapping[str, Mapping[str, Any]]) -> str:
    return json.dumps(gather(groups, ReadableHosts(hostvars)), sort_keys=True)


class FilterModule:
    """The filter topology."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"topology": with_clear_errors(_topology)}
