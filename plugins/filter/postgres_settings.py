# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``postgres_settings``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: postgres_settings
short_description: Settings of PostgreSQL for this topology on this machine
version_added: 0.1.0
description:
  - Gives the settings that belong into C(postgresql.conf), tuned to the memory and the processors of the database host.
  - C(max_connections) is what the connection budget of the topology comes to.
    See also P(baremetal.synapse.connection_budget#filter).
  - With the transport C(unix), PostgreSQL listens on no address at all.
options:
  memory_mib:
    description: Memory of the database host in MiB.
    type: int
    required: true
  cpus:
    description: Processors of the database host.
    type: int
    required: true
  shared:
    description:
      - Whether Synapse runs on the database host too. PostgreSQL then plans with half of the memory.
      - By default the topology knows it.
    type: bool
  certificate:
    description:
      - Path of the server's certificate, where C(postgres_tls) is set.
      - Debian's own self-signed one if it is left out.
    type: str
  certificate_key:
    description: Path of the certificate's key.
    type: str
extends_documentation_fragment:
  - baremetal.synapse.of_topology
"""

EXAMPLES = r"""
- name: Show what PostgreSQL gets on this host
  ansible.builtin.debug:
    msg: >-
      {{ topology_json | baremetal.synapse.postgres_settings(
           memory_mib=topology_host.memtotal_mb, cpus=topology_host.processor_vcpus) }}
"""

RETURN = r"""
_value:
  description: Names and values of settings, the values with the units that PostgreSQL reads.
  type: dict
  sample:
    max_connections: 120
    shared_buffers: 1024MB
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.adapter import read_topology, with_clear_errors
from ansible_collections.baremetal.synapse.plugins.plugin_utils.servers.postgres_inputs import computed_settings


def _postgres_settings(
    topology_json: str,
    memory_mib: int,
    cpus: int,
    shared: bool | None = None,
    certificate: str | None = None,
    certificate_key: str | None = None,
) -> dict[str, int | str]:
    return computed_settings(
        read_topology(topology_json),
        memory_mib=memory_mib,
        cpus=cpus,
        shared=shared,
        certificate=certificate,
        certificate_key=certificate_key,
    )


class FilterModule:
    """The filter postgres_settings."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"postgres_settings": with_clear_errors(_postgres_settings)}
