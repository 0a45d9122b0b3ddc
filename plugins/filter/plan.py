# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``plan``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: plan
short_description: What a run does to the processes, in which order, and why
version_added: 0.1.0
description:
  - Compares what the topology wants with what runs. Whom a change concerns, and in which order things must happen,
    follows from what Synapse itself allows.
options:
  surveys:
    description: For each host the result of M(baremetal.synapse.unit_survey); hosts without one are left alone.
    type: dict
    required: true
  proxies:
    description:
      - For each host the result of C(nginx-config plan), whose C(stdout_lines) say what nginx would have to do. Without
        any, nginx is left alone.
    type: dict
  restarts:
    description:
      - The servers below Synapse (C(PostgreSQL), C(Redis)) that their roles restart before, with the reason by host. An
        empty reason is none, and no restart.
    type: dict
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
  description: C(waves) for those who carry it out, C(lines) for those who read it, C(effects) for what users notice.
  type: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.adapter import read_topology, with_clear_errors
from ansible_collections.baremetal.synapse.plugins.plugin_utils.lifecycle.plan import make_plan
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.values import plain
from ansible_collections.baremetal.synapse.plugins.plugin_utils.views.plan import (
    ServerRestart,
    plan_view,
    read_surveys,
)


def _plan(
    topology_json: str,
    surveys: Mapping[str, Any],
    proxies: Mapping[str, Any] | None = None,
    restarts: Mapping[str, Mapping[str, str]] | None = None,
) -> dict[str, Any]:
    topology = read_topology(topology_json)
    asked = {str(host): told["processes"] for host, told in surveys.items() if "processes" in told}
    lines = [told["stdout_lines"] for told in (proxies or {}).values() if "stdout_lines" in told]
    differ = any(lines) if lines else None
    servers = [
        ServerRestart(str(server), str(host), str(reason))
        for server, reasons in (restarts or {}).items()
        for host, reason in reasons.items()
        if reason
    ]
    return plan_view(topology, make_plan(topology, read_surveys(plain(asked)), asked, differ), servers)


class FilterModule:
    """The filter plan."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"plan": with_clear_errors(_plan)}
