# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``service_check``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: service_check
short_description: Why a service cannot be deployed to a host
version_added: "0.2.0"
author: The baremetal.synapse developers (@baremetal-synapse)
description:
  - Checks the variables of a service on a host before anything is changed.
options:
  _input:
    description: The fact C(topology_json), which the role P(baremetal.synapse.topology#role) sets.
    type: str
    required: true
  service:
    description: The name of the service, which is that of its role.
    type: str
    choices: [postgres, redis]
    required: true
  host:
    description: The inventory name of the host.
    type: str
    required: true
  found:
    description: What M(baremetal.synapse.host_survey) returned for the host.
    type: dict
    required: true
  variables:
    description: The variables of the role by their names, with their defaults.
    type: dict
    required: true
  stats:
    description:
      - Results of M(ansible.builtin.stat), one for each of C(files). A file that was not looked for counts as one
        that exists.
    type: list
    elements: dict
"""

EXAMPLES = r"""
- name: Refuse what cannot work
  ansible.builtin.fail:
    msg: "{{ check.problems | join('\n') }}"
  when: check.problems | length > 0
  vars:
    check: "{{ topology_json | baremetal.synapse.service_check('redis', inventory_hostname, topology_host, {}) }}"
"""

RETURN = r"""
_value:
  description: C(files), the paths that must exist on the host, and C(problems), a sentence each.
  type: dict
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.adapter import read_topology, with_clear_errors
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.inventory import plain
from ansible_collections.baremetal.synapse.plugins.plugin_utils.servers.checks import CHECKS
from ansible_collections.baremetal.synapse.plugins.plugin_utils.servers.problems import missing_files


def _service_check(
    topology_json: str,
    service: str,
    host: str,
    found: Mapping[str, Any],
    variables: Mapping[str, Any],
    stats: Sequence[Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    topology = read_topology(topology_json)
    checks = CHECKS[service]
    own = plain(variables)
    needed = checks.files_needed(topology, str(host), own)
    existing = {str(result["item"]) for result in stats or () if result.get("stat", {}).get("exists", True)}
    return {
        "files": list(needed),
        "problems": [
            *([] if stats is None else missing_files(str(host), needed, existing)),
            *checks.problems(topology, str(host), plain(found), own),
        ],
    }


class FilterModule:
    """The filter service_check."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"service_check": with_clear_errors(_service_check)}
