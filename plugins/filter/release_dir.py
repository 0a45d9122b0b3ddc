# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``release_dir``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: release_dir
short_description: Where a release of Synapse is installed
version_added: 0.1.0
description:
  - The directory of the fleet's release on a host. Its name has the release, and a hash of the release's lock
    and of the minor version of the host's Python.
options:
  python:
    description: The version of the host's Python.
    type: str
    required: true
extends_documentation_fragment:
  - baremetal.synapse.of_topology
"""

EXAMPLES = r"""
- name: Show it
  ansible.builtin.debug:
    msg: "{{ topology_json | baremetal.synapse.release_dir(topology_host.python_version) }}"
"""

RETURN = r"""
_value:
  description: An absolute path.
  type: str
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.adapter import read_topology, with_clear_errors
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.installation import release_dir


def _release_dir(topology_json: str, python: str) -> str:
    return release_dir(read_topology(topology_json), str(python))


class FilterModule:
    """The filter release_dir."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"release_dir": with_clear_errors(_release_dir)}
