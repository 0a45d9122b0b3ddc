# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``unit_drop_in``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: unit_drop_in
short_description: The systemd drop-in of one Synapse process
version_added: 0.1.0
author: The baremetal.synapse developers (@baremetal-synapse)
description:
  - The text of the drop-in that holds limits, environment and the access to the media store of one process.
  - Values of environment variables may hold quotes, spaces and C(%).
options:
  _input:
    description: An entry of P(baremetal.synapse.worker_units#filter), or P(baremetal.synapse.main_unit#filter).
    type: dict
    required: true
  media_store_path:
    description: Directory of the media store.
    type: path
    required: true
"""

EXAMPLES = r"""
- name: Show the drop-in of the main process
  ansible.builtin.debug:
    msg: "{{ topology_json | baremetal.synapse.main_unit | baremetal.synapse.unit_drop_in('/srv/media') }}"
"""

RETURN = r"""
_value:
  description: The text of the file.
  type: str
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.drop_in import drop_in


def _unit_drop_in(unit: Mapping[str, Any], media_store_path: str) -> str:
    try:
        return drop_in(unit, media_store_path)
    except ValueError as error:
        raise AnsibleFilterError(f"environment of {unit['name']}: {error}") from error


class FilterModule:
    """The filter unit_drop_in."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"unit_drop_in": _unit_drop_in}
