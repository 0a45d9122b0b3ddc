# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``service_needs``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: service_needs
short_description: What the plan has to do to services beside Synapse's processes
version_added: 0.2.0
description:
  - Collects what the roles of services ask the plan for. A role notes it in the fact C(NAME_step), where C(NAME) is the
    name of the service, such as C(postgres_step).
options:
  hostvars:
    description:
      - The variables of hosts, by inventory name. The fact C(NAME_step) of a host is a dictionary with C(unit),
        C(action) and C(reason), and with C(moves), the settings that say where the service is reached, if they change.
        If it is empty or not set, the service needs nothing there.
    type: dict
    required: true
  hosts:
    description: The inventory names of the hosts of the run. Others are not asked.
    type: list
    elements: str
    required: true
extends_documentation_fragment:
  - baremetal.synapse.of_topology
"""

EXAMPLES = r"""
- name: Show which services the plan restarts
  ansible.builtin.debug:
    msg: "{{ topology_json | baremetal.synapse.service_needs(hostvars, ansible_play_hosts) }}"
"""

RETURN = r"""
_value:
  description:
    - The steps in the order of the table of services, each with C(service), C(title), C(host), C(unit), C(action),
      C(reason), C(effect), which says what users notice, and C(moves).
  type: list
  elements: dict
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.adapter import read_topology, with_clear_errors
from ansible_collections.baremetal.synapse.plugins.plugin_utils.lifecycle.service_needs import service_needs


def _service_needs(
    topology_json: str, hostvars: Mapping[str, Mapping[str, Any]], hosts: Collection[str]
) -> list[dict[str, str]]:
    return service_needs(read_topology(topology_json), hostvars, {str(host) for host in hosts})


class FilterModule:
    """The filter service_needs."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"service_needs": with_clear_errors(_service_needs)}
