#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Begin and end a run that renders the files of hosts; the work is done by the action plugin."""

from __future__ import annotations

DOCUMENTATION = r"""
module: render_tree
short_description: Begin and end a run that renders the files of hosts
version_added: 0.1.0
description:
  - Internal to C(playbooks/render.yml). Works only on the controller, once for all hosts.
  - Between the two steps, the tasks of M(baremetal.synapse.file_set) write below
    C(DIRECTORY/HOST) what they would write on the hosts, if the fact C(run_context) says so.
  - C(DIRECTORY/.rendered) lists what was written. Only what is listed there is ever replaced or removed.
options:
  path:
    description:
      - The directory to render to. It must be empty, or not exist yet, or have been rendered to before.
      - A relative path is relative to the directory in which C(ansible-playbook) was called.
    type: raw
    required: true
  hosts:
    description: All hosts of the fleet, also those that the run does not come to.
    type: list
    elements: str
    required: true
  step:
    description:
      - V(open) checks the directory, returns the facts assumed for the hosts, and changes nothing.
      - V(close) removes files of earlier runs that this run did not render. Hosts that the run
        did not come to (C(--limit)) keep their files; those of hosts that are not in O(hosts) go.
    type: str
    choices: [open, close]
    required: true
  topology:
    description:
      - The fact C(topology_json), which the role P(baremetal.synapse.topology#role) sets. V(close) writes placeholders
        for the secrets of each host to which the run came.
    type: str
  picture:
    description: What C(fleet.svg) in the directory is to hold; V(close) writes it.
    type: str
attributes:
  diff_mode:
    details: Shows the files that are removed.
extends_documentation_fragment:
  - baremetal.synapse.attributes
"""

EXAMPLES = r"""
- name: Open | Check the directory
  baremetal.synapse.render_tree:
    path: rendered
    hosts: [synapse1]
    step: open
  run_once: true
"""

RETURN = r"""
directory:
  description: The directory, as an absolute path.
  returned: success
  type: str
  sample: /home/admin/rendered
placeholder:
  description: The placeholder of a secret.
  returned: if O(step) is V(open)
  type: str
  sample: PLACEHOLDER
assumed_hosts:
  description:
    - For each host the facts that M(baremetal.synapse.host_survey) would return, as far as files depend on them, by the
      variables C(render_*) of the role P(baremetal.synapse.render#role).
  returned: if O(step) is V(open)
  type: dict
  sample: {synapse1: {distribution: Debian, distribution_major_version: "13", memtotal_mb: 8192}}
changed_paths:
  description: Files that were written, or would be. Those of a host as C(HOST:PATH); the others explain the directory.
  returned: if O(step) is V(close)
  type: list
  elements: str
  sample: [README]
rewritten_paths:
  description: The same as RV(changed_paths).
  returned: if O(step) is V(close)
  type: list
  elements: str
  sample: [README]
removed_paths:
  description: What was removed, or would be, as C(HOST:PATH).
  returned: if O(step) is V(close)
  type: list
  elements: str
  sample: ["synapse1:/etc/matrix-synapse/workers/synapse1-sync-3.yaml"]
"""
