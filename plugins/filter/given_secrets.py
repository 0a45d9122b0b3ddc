# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``given_secrets``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: given_secrets
short_description: The secrets that the inventory brings along, as files
version_added: 0.2.0
description:
  - What the files of the secrets in C(synapse_secrets) hold. Always set C(no_log) on a task that uses it.
options:
  hashed:
    description: Return SHA-256 hashes of the contents, without white space around them.
    type: bool
    default: false
extends_documentation_fragment:
  - baremetal.synapse.of_topology
"""

EXAMPLES = r"""
- name: Write the secrets of the inventory
  baremetal.synapse.secret_files:
    files: "{{ topology_json | baremetal.synapse.secret_files }}"
    given: "{{ topology_json | baremetal.synapse.given_secrets }}"
  no_log: true
"""

RETURN = r"""
_value:
  description: The content of each file, or its hash, by its path.
  type: dict
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.adapter import read_topology, with_clear_errors
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.secrets import given_secrets


def _given_secrets(topology_json: str, hashed: bool = False) -> dict[str, str]:
    return given_secrets(read_topology(topology_json), hashed=bool(hashed))


class FilterModule:
    """The filter given_secrets."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"given_secrets": with_clear_errors(_given_secrets)}
