# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``plan_problem``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: plan_problem
short_description: Changes of the inventory that need a confirmation
version_added: 0.1.0
description:
  - Reports that a host with a duty that only one process may have has left the inventory, that a running writer would
    get another name, that the main process would move to another host, or that Synapse would get an older release.
  - Empty if all is well; else it names the variable, its value, the reason and the fix.
options:
  surveys:
    description:
      - For each host the result of M(baremetal.synapse.unit_survey). The one of the main host has the record of the
        last complete run.
    type: dict
    required: true
  confirmed:
    description:
      - Names of processes that may be lost or renamed, the release that may be an older one, and names of secrets that
        may be replaced.
    type: list
    elements: str
extends_documentation_fragment:
  - baremetal.synapse.of_topology
"""

EXAMPLES = r"""
- name: Show it
  ansible.builtin.debug:
    msg: "{{ topology_json | baremetal.synapse.plan_problem({inventory_hostname: survey}) }}"
"""

RETURN = r"""
_value:
  description: The problem, or an empty string.
  type: str
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.adapter import read_topology, with_clear_errors
from ansible_collections.baremetal.synapse.plugins.plugin_utils.lifecycle.refusals import check_changes
from ansible_collections.baremetal.synapse.plugins.plugin_utils.lifecycle.rotations import HostSecrets, check_rotations
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.errors import Problems
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.values import plain
from ansible_collections.baremetal.synapse.plugins.plugin_utils.views.plan import read_surveys


def _plan_problem(topology_json: str, surveys: Mapping[str, Any], confirmed: Sequence[str] | None = None) -> str:
    asked = {str(host): found["processes"] for host, found in surveys.items() if "processes" in found}
    record = next((found["record"] for found in surveys.values() if found.get("record")), None)
    topology = read_topology(topology_json)
    names = plain(confirmed or [])
    problems = Problems()
    with problems.caught():
        check_changes(topology, read_surveys(plain(asked)), plain(record), names)
    main = surveys.get(topology.main.host) or {}
    secrets = HostSecrets(
        others=plain(main.get("other_secrets") or []),
        public_key=plain(main.get("public_key")),
        now_ms=int(time.time() * 1000),
    )
    problems.add(check_rotations(topology, secrets, names))
    return "\n".join(str(problem) for problem in problems.found)


class FilterModule:
    """The filter plan_problem."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"plan_problem": with_clear_errors(_plan_problem)}
