# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``plan``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: plan
short_description: What a run does to processes and services, in which order, and why
version_added: 0.1.0
description:
  - Compares what the topology wants with what runs. Which processes a change concerns, and in which order they restart,
    follows from what Synapse itself allows.
options:
  surveys:
    description: For each host the result of M(baremetal.synapse.unit_survey); other hosts get no steps.
    type: dict
    required: true
  proxies:
    description:
      - For each host the result of C(nginx-config plan), whose C(stdout_lines) list the changes of nginx. Without
        any, the plan does not include nginx.
    type: dict
  needs:
    description:
      - What the services below Synapse need, one step each, as P(baremetal.synapse.service_needs#filter) returns it. A
        need has C(service) (its name), C(title) (its name in texts), C(host), C(unit), C(action) (V(restart) unless it
        says otherwise), C(reason), C(effect), which is what users notice, and C(moves), which is not empty if
        its clients can no longer reach it where they did.
    type: list
    elements: dict
extends_documentation_fragment:
  - baremetal.synapse.of_topology
"""

EXAMPLES = r"""
- name: Show it
  ansible.builtin.debug:
    msg: "{{ (topology_json | baremetal.synapse.plan({inventory_hostname: survey})).lines }}"
"""

RETURN = r"""
_value:
  description:
    - C(waves) for the role that carries it out, C(lines) for the operator, C(effects) for what users notice, and
      C(why) for the reasons of the order, a line each.
  type: dict
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.adapter import read_topology, with_clear_errors
from ansible_collections.baremetal.synapse.plugins.plugin_utils.lifecycle.plan import make_plan
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.values import plain
from ansible_collections.baremetal.synapse.plugins.plugin_utils.views.plan import (
    plan_view,
    read_needs,
    read_surveys,
)


def _plan(
    topology_json: str,
    surveys: Mapping[str, Any],
    proxies: Mapping[str, Any] | None = None,
    needs: Iterable[Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    topology = read_topology(topology_json)
    asked = {str(host): survey["processes"] for host, survey in surveys.items() if "processes" in survey}
    lines = [proxy["stdout_lines"] for proxy in (proxies or {}).values() if "stdout_lines" in proxy]
    differ = any(lines) if lines else None
    found = make_plan(topology, read_surveys(plain(asked)), asked, differ, read_needs(plain(needs or [])))
    return plan_view(topology, found)


class FilterModule:
    """The filter plan."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"plan": with_clear_errors(_plan)}
