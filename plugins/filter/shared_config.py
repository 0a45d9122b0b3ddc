# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``shared_config``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: shared_config
short_description: The shared homeserver.yaml
version_added: 0.1.0
description:
  - The whole content of homeserver.yaml, which every process of the fleet reads first.
extends_documentation_fragment:
  - baremetal.synapse.of_topology
"""

EXAMPLES = r"""
- name: Show it
  ansible.builtin.debug:
    msg: "{{ topology_json | baremetal.synapse.shared_config }}"
"""

RETURN = r"""
_value:
  description: Options of Synapse, as a YAML document.
  type: str
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.adapter import read_topology, with_clear_errors
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.config import shared_config
from ansible_collections.baremetal.synapse.plugins.plugin_utils.views.text import as_yaml


def _shared_config(topology_json: str) -> str:
    return as_yaml(shared_config(read_topology(topology_json)))


class FilterModule:
    """The filter shared_config."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"shared_config": with_clear_errors(_shared_config)}
