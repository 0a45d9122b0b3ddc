# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``worker_config``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: worker_config
short_description: A worker's own configuration file
version_added: 0.1.0
author: The baremetal.synapse developers (@baremetal-synapse)
description:
  - The whole content of the file of one worker, which it reads after homeserver.yaml.
options:
  _input:
    description: The fact C(topology_json), which the role P(baremetal.synapse.topology#role) sets.
    type: str
    required: true
  name:
    description: The name of the worker.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show it
  ansible.builtin.debug:
    msg: "{{ topology_json | baremetal.synapse.worker_config('synapse1-sync-1') }}"
"""

RETURN = r"""
_value:
  description: Options of Synapse, as a YAML document.
  type: str
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils._adapter import read_topology, with_clear_errors
from ansible_collections.baremetal.synapse.plugins.plugin_utils._synapse_config import worker_config
from ansible_collections.baremetal.synapse.plugins.plugin_utils._text import as_yaml


def _worker_config(topology_json: str, name: str) -> str:
    topology = read_topology(topology_json)
    return as_yaml(worker_config(topology, topology.worker(name)))


class FilterModule:
    """The filter worker_config."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"worker_config": with_clear_errors(_worker_config)}
