# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``release_needs``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: release_needs
short_description: What the release needs of a host
version_added: 0.1.0
author: The baremetal.synapse developers (@baremetal-synapse)
description:
  - The oldest PostgreSQL and Python with which the fleet's Synapse release starts.
options:
  _input:
    description: The fact C(topology_json), which the role P(baremetal.synapse.topology#role) sets.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show it
  ansible.builtin.debug:
    msg: "{{ topology_json | baremetal.synapse.release_needs }}"
"""

RETURN = r"""
_value:
  description: The keys C(postgres) and C(python).
  type: dict
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils._adapter import read_topology, with_clear_errors
from ansible_collections.baremetal.synapse.plugins.plugin_utils._fleet import release_needs


def _release_needs(topology_json: str) -> Any:
    return release_needs(read_topology(topology_json))


class FilterModule:
    """The filter release_needs."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"release_needs": with_clear_errors(_release_needs)}
