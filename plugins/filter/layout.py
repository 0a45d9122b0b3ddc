# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``layout``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: layout
short_description: Paths, users and unit names on a Synapse host
version_added: 0.1.0
description:
  - Every path that roles and templates use, so that none of them spells one out.
extends_documentation_fragment:
  - baremetal.synapse.of_topology
"""

EXAMPLES = r"""
- name: Show it
  ansible.builtin.debug:
    msg: "{{ topology_json | baremetal.synapse.layout }}"
"""

RETURN = r"""
_value:
  description:
    - Names and paths by their keys. C(first_directories), C(directories) and C(run_directories) are lists of
      directories as M(baremetal.synapse.file_set) takes them.
  type: dict
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.adapter import read_topology, with_clear_errors
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.layout import layout


def _layout(topology_json: str) -> dict[str, Any]:
    read_topology(topology_json)
    return layout()


class FilterModule:
    """The filter layout."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"layout": with_clear_errors(_layout)}
