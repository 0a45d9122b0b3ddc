# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``host_problems``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: host_problems
short_description: Why hosts cannot be deployed to
version_added: 0.1.0
description:
  - Compares the platform and the memory of hosts with what the fleet needs, and does the checks of the services that
    run on each of them.
  - One call can serve all hosts.
options:
  hostvars:
    description:
      - The variables of hosts, by inventory name; Ansible's C(hostvars) will do where they do not refer to other hosts.
      - Each host needs the facts of M(baremetal.synapse.host_survey) as its C(topology_host).
      - Those that P(baremetal.synapse.host_variables#filter) names count, as far as they are set.
    type: dict
    required: true
  hosts:
    description: The inventory names of the hosts to check; those that are not of the fleet are left out.
    type: list
    elements: str
    required: true
  with_memory:
    description: Whether to compare the assigned memory of a host with the memory that it has.
    type: bool
    default: true
extends_documentation_fragment:
  - baremetal.synapse.of_topology
"""

EXAMPLES = r"""
- name: Refuse what the fleet cannot run on
  ansible.builtin.assert:
    that: topology_json | baremetal.synapse.host_problems(hostvars, ansible_play_batch) | length == 0
  run_once: true
"""

RETURN = r"""
_value:
  description: The problems; empty if there is none.
  type: list
  elements: str
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.adapter import (
    ReadableHost,
    read_topology,
    with_clear_errors,
)
from ansible_collections.baremetal.synapse.plugins.plugin_utils.lifecycle.host_checks import host_problems

SURVEYED = "topology_host"


def _host_problems(
    topology_json: str, hostvars: Mapping[str, Mapping[str, Any]], hosts: Collection[str], with_memory: bool = True
) -> list[str]:
    topology = read_topology(topology_json)
    # Each look into hostvars costs.
    variables = {str(host): ReadableHost(hostvars[host]) for host in hosts if str(host) in topology.addresses}
    return host_problems(topology, variables, surveyed=SURVEYED, with_memory=bool(with_memory))


class FilterModule:
    """The filter host_problems."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"host_problems": with_clear_errors(_host_problems)}
