# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``service_tags``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: service_tags
short_description: The tags that select services
version_added: 0.2.0
author: The baremetal.synapse developers (@baremetal-synapse)
description:
  - Returns the tags of the table of services, with which C(site.yml) deploys a part of a fleet.
options:
  _input:
    description: Further tags.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Show the tags
  ansible.builtin.debug:
    msg: "{{ [] | baremetal.synapse.service_tags }}"
"""

RETURN = r"""
_value:
  description: The tags, sorted.
  type: list
  elements: str
"""

from collections.abc import Callable, Sequence
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.services import SERVICES


def _service_tags(more: Sequence[str]) -> list[str]:
    return sorted({tag for service in SERVICES for tag in service.tags} | {str(tag) for tag in more})


class FilterModule:
    """The filter service_tags."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"service_tags": _service_tags}
