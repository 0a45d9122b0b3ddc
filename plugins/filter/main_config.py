# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``main_config``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: main_config
short_description: The main process' own configuration file
version_added: 0.1.0
description:
  - The whole content of main.yaml, which the main process reads after homeserver.yaml.
extends_documentation_fragment:
  - baremetal.synapse.of_topology
"""

EXAMPLES = r"""
- name: Show it
  ansible.builtin.debug:
    msg: "{{ topology_json | baremetal.synapse.main_config }}"
"""

RETURN = r"""
_value:
  description: Options of Synapse, as a YAML document.
  type: str
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.adapter import read_topology, with_clear_errors
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.config import main_config
from ansible_collections.baremetal.synapse.plugins.plugin_utils.views.text import as_yaml


def _main_config(topology_json: str) -> str:
    return as_yaml(main_config(read_topology(topology_json)))


class FilterModule:
    """The filter main_config."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"main_config": with_clear_errors(_main_config)}
