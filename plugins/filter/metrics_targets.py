# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``metrics_targets``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: metrics_targets
short_description: Prometheus targets of the fleet
version_added: 0.1.0
description:
  - The content of a file for Prometheus' C(file_sd_configs), labelled as Synapse's Grafana dashboard expects.
extends_documentation_fragment:
  - baremetal.synapse.of_topology
"""

EXAMPLES = r"""
- name: Show it
  ansible.builtin.debug:
    msg: "{{ topology_json | baremetal.synapse.metrics_targets }}"
"""

RETURN = r"""
_value:
  description: One entry for each process.
  type: list
  elements: dict
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.adapter import read_topology, with_clear_errors
from ansible_collections.baremetal.synapse.plugins.plugin_utils.views.metrics import metrics_targets


def _metrics_targets(topology_json: str) -> Any:
    return metrics_targets(read_topology(topology_json))


class FilterModule:
    """The filter metrics_targets."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"metrics_targets": with_clear_errors(_metrics_targets)}
