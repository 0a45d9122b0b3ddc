# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``postgres_trial_problem``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: postgres_trial_problem
short_description: Why PostgreSQL does not take settings
version_added: 0.2.0
author: The baremetal.synapse developers (@baremetal-synapse)
description:
  - Returns the refusal of C(postgres_settings) that PostgreSQL does not take. It names the settings and shows no value.
options:
  _input:
    description: What PostgreSQL has written when it tried the settings.
    type: str
    required: true
  host:
    description: The inventory name of the host.
    type: str
    required: true
  version:
    description: The major version of PostgreSQL.
    type: str
    required: true
  variables:
    description: The variables of the role; C(postgres_settings) counts.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show it
  ansible.builtin.debug:
    msg: "{{ trial.stderr | baremetal.synapse.postgres_trial_problem('db1', '17', variables) }}"
"""

RETURN = r"""
_value:
  description: The problem.
  type: str
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.adapter import typed_variables, with_clear_errors
from ansible_collections.baremetal.synapse.plugins.plugin_utils.servers.postgres_inputs import trial_problem


def _postgres_trial_problem(answer: str, host: str, version: str, variables: Mapping[str, Any]) -> str:
    settings = typed_variables(variables).get("postgres_settings", {})
    return str(trial_problem(str(host), str(version), settings, str(answer)))


class FilterModule:
    """The filter postgres_trial_problem."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"postgres_trial_problem": with_clear_errors(_postgres_trial_problem)}
