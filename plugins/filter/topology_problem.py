# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``topology_problem``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: topology_problem
short_description: What is wrong with an inventory
version_added: 0.1.0
description:
  - Checks the topology and returns all that is wrong with it, a line each; empty if all is well.
  - A line names the variable, its value, the reason and the fix.
extends_documentation_fragment:
  - baremetal.synapse.of_topology
"""

EXAMPLES = r"""
- name: Show it
  ansible.builtin.debug:
    msg: "{{ topology_json | baremetal.synapse.topology_problem }}"
"""

RETURN = r"""
_value:
  description: The problems, or an empty string.
  type: str
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.adapter import with_clear_errors
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.errors import Problems, joined
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.topology import parse_topology
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.installation import check_lock
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.options import refused_options


def _topology_problem(topology_json: str) -> str:
    problems = Problems()
    with problems.caught():
        topology = parse_topology(str(topology_json))
        problems.add(unknown.error for unknown in refused_options(topology))
        check_lock(topology)
    return "\n".join(str(error) for error in joined(problems.found))


class FilterModule:
    """The filter topology_problem."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"topology_problem": with_clear_errors(_topology_problem)}
