# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``main_unit``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: main_unit
short_description: The main process as a systemd unit
version_added: 0.1.0
description:
  - Unit, limits and environment of the main process.
extends_documentation_fragment:
  - baremetal.synapse.of_topology
"""

EXAMPLES = r"""
- name: Show it
  ansible.builtin.debug:
    msg: "{{ topology_json | baremetal.synapse.main_unit }}"
"""

RETURN = r"""
_value:
  description: The same keys as an entry of P(baremetal.synapse.worker_units#filter).
  type: dict
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.adapter import read_topology, with_clear_errors
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.units import main_unit


def _main_unit(topology_json: str) -> Any:
    return main_unit(read_topology(topology_json))


class FilterModule:
    """The filter main_unit."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"main_unit": with_clear_errors(_main_unit)}
