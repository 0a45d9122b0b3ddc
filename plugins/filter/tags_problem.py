# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``tags_problem``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: tags_problem
short_description: Why a run with these tags would deploy nothing
version_added: 0.2.0
author: The baremetal.synapse developers (@baremetal-synapse)
description:
  - Compares the tags of a run with those of the table of services. Tags of an operator's own playbook select its tasks
    and no service, so the run would do nothing, and look fine.
options:
  _input:
    description: The tags that the run is limited to, Ansible's C(ansible_run_tags).
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Show it
  ansible.builtin.debug:
    msg: "{{ ansible_run_tags | baremetal.synapse.tags_problem }}"
"""

RETURN = r"""
_value:
  description: The problem, or an empty string.
  type: str
"""

from collections.abc import Callable, Sequence
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.services import tags_problem


def _tags_problem(run_tags: Sequence[str]) -> str:
    return tags_problem([str(tag) for tag in run_tags])


class FilterModule:
    """The filter tags_problem."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"tags_problem": _tags_problem}
