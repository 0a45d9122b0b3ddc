# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation that the filters of the topology share."""

from __future__ import annotations


class ModuleDocFragment:
    """What is the same for all filters that read the topology."""

    DOCUMENTATION = r"""
author: The baremetal.synapse developers (@baremetal-synapse)
options:
  _input:
    description: The fact C(topology_json), which the role P(baremetal.synapse.topology#role) sets.
    type: str
    required: true
"""

    HOST = r"""
options:
  host:
    description: The inventory name of the host.
    type: str
    required: true
"""

    FOUND = r"""
options:
  found:
    description: What M(baremetal.synapse.host_survey) returned for the host.
    type: dict
    required: true
"""
