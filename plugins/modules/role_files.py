#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Write the files of several roles in one call; the work is done by the action plugin."""

from __future__ import annotations

DOCUMENTATION = r"""
module: role_files
short_description: Write the files of several roles in one call
version_added: 0.2.0
description:
  - Each role of a service says in its variable C(__ROLE_file_set) which files it has, as arguments of the module
    M(baremetal.synapse.file_set). This action evaluates that variable and the templates of each role as a task of
    the role would, with the role's defaults and variables, and sends all files to the host in one call.
  - If C(when) in the variable is false, the role has no files on this host.
  - In a run of C(playbooks/render.yml), no host is contacted; see M(baremetal.synapse.file_set).
options:
  roles:
    description: The names of the roles.
    type: list
    elements: str
    required: true
  first:
    description:
      - The task is the first of a run that writes files. In check mode, it forgets the pending files of earlier runs,
        which a cache of facts may have kept.
    type: bool
    default: false
attributes:
  diff_mode:
    details: One diff for each file. Contents of sensitive files and of removed files are never shown.
extends_documentation_fragment:
  - baremetal.synapse.attributes
"""

EXAMPLES = r"""
- name: Write the files of nginx and the firewall
  baremetal.synapse.role_files:
    roles: [firewall, nginx]
"""

RETURN = r"""
ansible_facts:
  description:
    - C(run_files) has for each role C(changed), whether anything of it changed, and C(paths), the files whose content
      is new.
    - In check mode, C(run_pending) as well; see M(baremetal.synapse.file_set).
  returned: success, except in a run that renders
  type: dict
"""
