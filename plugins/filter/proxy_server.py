# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``proxy_server``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: proxy_server
short_description: What nginx's server blocks need
version_added: 0.1.0
description:
  - Names, the size of uploads, the two answers below /.well-known/matrix/, and the errors that nginx makes itself.
extends_documentation_fragment:
  - baremetal.synapse.of_topology
"""

EXAMPLES = r"""
- name: Show it
  ansible.builtin.debug:
    msg: "{{ topology_json | baremetal.synapse.proxy_server }}"
"""

RETURN = r"""
_value:
  description:
    - C(server_name), C(public_name), C(server_names), C(max_body).
    - C(well_known), the answers C(server), C(client) and C(support), each null if nginx does not give it, and
      C(well_known_upstream), which answers clients if nginx does not.
    - C(errors) with C(status) and C(body), C(misdirected), and C(cors_headers) with C(name) and C(value).
  type: dict
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.adapter import read_topology, with_clear_errors
from ansible_collections.baremetal.synapse.plugins.plugin_utils.routing.proxy import proxy_server


def _proxy_server(topology_json: str) -> Any:
    return proxy_server(read_topology(topology_json))


class FilterModule:
    """The filter proxy_server."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"proxy_server": with_clear_errors(_proxy_server)}
