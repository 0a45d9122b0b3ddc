# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``worker_units``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: worker_units
short_description: The workers of a host as systemd instances
version_added: 0.1.0
description:
  - Name, unit, duties, limits and environment of each worker on one host.
options:
  kind:
    description: One of V(generic_workers), V(media_workers), V(background_workers); all of them if not given.
    type: str
extends_documentation_fragment:
  - baremetal.synapse.of_topology
  - baremetal.synapse.of_topology.host
"""

EXAMPLES = r"""
- name: Show it
  ansible.builtin.debug:
    msg: "{{ topology_json | baremetal.synapse.worker_units(inventory_hostname, kind='generic_workers') }}"
"""

RETURN = r"""
_value:
  description: One entry for each worker, sorted by name.
  type: list
  elements: dict
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.adapter import read_topology, with_clear_errors
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.units import worker_units


def _worker_units(topology_json: str, host: str, kind: str | None = None) -> list[dict[str, Any]]:
    return worker_units(read_topology(topology_json), host, kind)


class FilterModule:
    """The filter worker_units."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"worker_units": with_clear_errors(_worker_units)}
