# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``secret_files``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: secret_files
short_description: The secrets of a fleet as files
version_added: 0.1.0
description:
  - Which secrets there are, where each file is, how it is made and its mode; never their values.
  - The host of the main process makes all of them. The other hosts of Synapse get copies of those that they need.
options:
  host:
    description: The inventory name of a host, for what it needs; those of the whole fleet if it is left out.
    type: str
extends_documentation_fragment:
  - baremetal.synapse.of_topology
"""

EXAMPLES = r"""
- name: Show it
  ansible.builtin.debug:
    msg: "{{ topology_json | baremetal.synapse.secret_files('app1') }}"
"""

RETURN = r"""
_value:
  description: The keys C(name), C(path), C(kind) and C(mode) of each.
  type: list
  elements: dict
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.adapter import read_topology, with_clear_errors
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.secrets import secret_files


def _secret_files(topology_json: str, host: str | None = None) -> list[dict[str, str]]:
    return secret_files(read_topology(topology_json), None if host is None else str(host))


class FilterModule:
    """The filter secret_files."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"secret_files": with_clear_errors(_secret_files)}
