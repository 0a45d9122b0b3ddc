# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``stream_writers``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: stream_writers
short_description: Synapse's stream_writers
version_added: 0.1.0
description:
  - The writers of each stream that is not left to the main process, sorted the same way everywhere.
extends_documentation_fragment:
  - baremetal.synapse.of_topology
"""

EXAMPLES = r"""
- name: Show it
  ansible.builtin.debug:
    msg: "{{ topology_json | baremetal.synapse.stream_writers }}"
"""

RETURN = r"""
_value:
  description: Lists of worker names by stream.
  type: dict
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.adapter import read_topology, with_clear_errors
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.config import stream_writers


def _stream_writers(topology_json: str) -> Any:
    return stream_writers(read_topology(topology_json))


class FilterModule:
    """The filter stream_writers."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"stream_writers": with_clear_errors(_stream_writers)}
