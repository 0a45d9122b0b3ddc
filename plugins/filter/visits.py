# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``visits``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: visits
short_description: The roles that a verb visits on a host
version_added: 0.2.0
description:
  - Reads the table of services. A playbook asks the roles that this filter returns for the task file of the verb.
options:
  verb:
    description:
      - What the roles are to do. V(remove) visits the services that the host does not run, every other verb those that
        it runs.
    type: str
    choices: [secrets, install, gather, files, activate, verify, remove]
    required: true
  stage:
    description: Only services of this stage. All if it is empty.
    type: str
    choices: ["", network, servers, watch]
    default: ""
  run_tags:
    description: The tags that the run is limited to, Ansible's C(ansible_run_tags). All services if it is not given.
    type: list
    elements: str
  skip_tags:
    description: The tags that the run leaves out, Ansible's C(ansible_skip_tags).
    type: list
    elements: str
extends_documentation_fragment:
  - baremetal.synapse.of_topology
  - baremetal.synapse.of_topology.host
"""

EXAMPLES = r"""
- name: Show the roles that write files on this host
  ansible.builtin.debug:
    msg: "{{ topology_json | baremetal.synapse.visits(inventory_hostname, 'files') }}"
"""

RETURN = r"""
_value:
  description: The names of the roles, in their order.
  type: list
  elements: str
"""

from collections.abc import Callable, Sequence
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.adapter import read_topology, with_clear_errors
from ansible_collections.baremetal.synapse.plugins.plugin_utils.views.visits import visits


def _visits(
    topology_json: str,
    host: str,
    verb: Any,
    stage: Any = "",
    run_tags: Sequence[str] | None = None,
    skip_tags: Sequence[str] | None = None,
) -> list[str]:
    return visits(
        read_topology(topology_json),
        str(host),
        verb,
        stage=stage or None,
        run_tags=("all",) if run_tags is None else run_tags,
        skip_tags=skip_tags or (),
    )


class FilterModule:
    """The filter visits."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"visits": with_clear_errors(_visits)}
