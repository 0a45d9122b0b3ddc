# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``platform``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: platform
short_description: What depends on the distribution of a host
version_added: 0.2.0
description:
  - Reads the table of platforms, which has the names of packages, the versions and the paths of each distribution
    that is supported.
extends_documentation_fragment:
  - baremetal.synapse.of_topology
  - baremetal.synapse.of_topology.host
  - baremetal.synapse.of_topology.found
"""

EXAMPLES = r"""
- name: Show the packages of nginx
  ansible.builtin.debug:
    msg: "{{ (topology_json | baremetal.synapse.platform(inventory_hostname, topology_host)).packages.nginx }}"
"""

RETURN = r"""
_value:
  description:
    - C(name) of the platform, C(packages) by the name of the service, and C(self_signed_packages), which make a
      self-signed certificate.
    - C(nginx_http2_directive), whether nginx takes HTTP/2 as a directive of its own, and C(jemalloc_library).
  type: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.adapter import read_topology, with_clear_errors
from ansible_collections.baremetal.synapse.plugins.plugin_utils.views.platform import platform


def _platform(topology_json: str, host: str, found: Mapping[str, Any]) -> dict[str, Any]:
    return platform(read_topology(topology_json), str(host), found)


class FilterModule:
    """The filter platform."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"platform": with_clear_errors(_platform)}
