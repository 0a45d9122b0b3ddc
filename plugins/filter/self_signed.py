# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``self_signed``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: self_signed
short_description: The names in the self-signed certificate of a first try
version_added: 0.2.0
description:
  - Returns the names of the server and further ones as a certificate has them, and compares them with those of a
    certificate.
options:
  more_names:
    description: Further names and addresses.
    type: list
    elements: str
  printed:
    description: The lines that C(openssl x509 -ext subjectAltName) prints of a certificate; empty if there is none.
    type: list
    elements: str
extends_documentation_fragment:
  - baremetal.synapse.of_topology
"""

EXAMPLES = r"""
- name: Show the names
  ansible.builtin.debug:
    msg: "{{ (topology_json | baremetal.synapse.self_signed(['192.0.2.1'])).names }}"
"""

RETURN = r"""
_value:
  description: C(names), and C(current), whether the certificate has exactly these names.
  type: dict
"""

from collections.abc import Callable, Sequence
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.adapter import read_topology, with_clear_errors
from ansible_collections.baremetal.synapse.plugins.plugin_utils.routing.proxy import proxy_server
from ansible_collections.baremetal.synapse.plugins.plugin_utils.servers.self_signed import (
    printed_names,
    subject_names,
)


def _self_signed(
    topology_json: str, more_names: Sequence[str] | None = None, printed: Sequence[str] | None = None
) -> dict[str, Any]:
    own = proxy_server(read_topology(topology_json))["server_names"]
    # From the command line, a list is a text with commas.
    more = more_names.split(",") if isinstance(more_names, str) else (more_names or ())
    names = subject_names([*own, *(str(name).strip() for name in more)])
    return {"names": names, "current": set(printed_names(map(str, printed or ()))) == set(names)}


class FilterModule:
    """The filter self_signed."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"self_signed": with_clear_errors(_self_signed)}
