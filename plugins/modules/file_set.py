#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ship all files of one concern in one call."""

from __future__ import annotations

DOCUMENTATION = r"""
module: file_set
short_description: Ship all files of one concern in one call
version_added: 0.1.0
description:
  - Creates directories, writes files, sets links and removes files that are no longer wanted, all in one call to the
    host. The cost of a task therefore hardly depends on the number of files.
  - Templates are rendered on the controller, by the action plugin of the same name.
  - Everything is looked at before anything is changed. When something is in the way, the task fails with all that is
    wrong, and the host is as it was.
  - A file is replaced in one step, so that no program reads half a file.
  - In a run of C(playbooks/render.yml), no host is contacted. The same directories, files and links are written below
    C(render_to) on the controller instead, with the same bytes; owner and group are those of whoever renders, sensitive
    files have mode V(0600), and O(purge) has no part in it.
options:
  for_each:
    description:
      - Each entry of O(directories) and O(files) stands for one directory or file of each of these. In its path
        C({key}) is the value of that key, and in its template the variable C(item) is all of it.
      - An empty list makes no directory and no file.
    type: list
    elements: dict
  remove_if_none:
    description:
      - If O(for_each) is an empty list, remove what O(files) names, and those of O(directories) that this leaves empty.
      - The paths must not have C({key}).
    type: bool
    default: false
  directories:
    description:
      - Directories to create. They are there before the files are written.
      - Parents that are missing are created with mode V(0755), and belong to the user that runs the module.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description:
          - Absolute path of the directory.
        type: path
        required: true
      mode:
        description: Permissions, as four or five octal digits in quotes.
        type: str
        default: "0755"
      owner:
        description: Name of the owner.
        type: str
        default: root
      group:
        description: Name of the group that owns it.
        type: str
        default: root
  files:
    description: Files to write. Each has one of O(files[].content), O(files[].source) and O(files[].template).
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description:
          - Absolute path of the file.
        type: path
        required: true
      content:
        description: The text of the file.
        type: str
      source:
        description: Name of a text file of the role (folder C(files)) or its path, to be written as it is.
        type: str
      template:
        description:
          - Name of a Jinja template of the role (folder C(templates)) or its path.
          - The template sees the variables of the task, O(files[].vars), and C(ansible_managed).
        type: str
      vars:
        description: More variables for the template.
        type: dict
      mode:
        description: Permissions, as four or five octal digits in quotes.
        type: str
        default: "0644"
      owner:
        description: Name of the owner.
        type: str
        default: root
      group:
        description: Name of the group that owns it.
        type: str
        default: root
      sensitive:
        description: The content is a secret. The diff then says that it differs, and not how.
        type: bool
        default: false
      only:
        description: The file is written only by C(playbooks/render.yml).
        type: str
        choices: [render]
  links:
    description: Symbolic links to set, after the files. An existing link is changed in one step.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path of the link.
        type: path
        required: true
      target:
        description: What the link holds. It need not exist.
        type: str
        required: true
      only:
        description: The link is set only by C(playbooks/render.yml).
        type: str
        choices: [render]
  purge:
    description:
      - Files to remove, at last. Files of O(files), links of O(links), directories, and names that begin with a dot
        stay.
      - Directories below O(purge[].directory) which become empty go too.
    type: list
    elements: dict
    default: []
    suboptions:
      directory:
        description: Absolute path of the directory to look in. It need not exist.
        type: path
        required: true
      pattern:
        description: Shell pattern of the files, relative to the directory. It may lead into directories.
        type: str
        required: true
      keep:
        description: Files that stay, as paths relative to the directory.
        type: list
        elements: str
        default: []
attributes:
  check_mode:
    details: Owners and groups need not exist yet.
  diff_mode:
    details: One diff for each file. Contents of sensitive files and of removed files are never shown.
extends_documentation_fragment:
  - baremetal.synapse.attributes
"""

EXAMPLES = r"""
- name: Configure | Write the files of the workers
  baremetal.synapse.file_set:
    for_each:
      - name: synapse1-sync-1
      - name: synapse1-sync-2
    directories:
      - path: /etc/systemd/system/matrix-synapse-worker@{name}.service.d
    files:
      - path: /etc/matrix-synapse/workers/{name}.yaml
        template: worker.yaml.j2
        mode: "0640"
        group: matrix-synapse
    purge:
      - directory: /etc/matrix-synapse/workers
        pattern: "*.yaml"
"""

RETURN = r"""
ansible_facts:
  description:
    - In check mode only, as C(run_pending) all that this and earlier tasks would write on the host, by path, with
      the hashes of the content and of its options. M(baremetal.synapse.unit_survey) reads it.
  returned: in check mode
  type: dict
changed_paths:
  description: Directories, files and links that were created or changed, or would be.
  returned: success
  type: list
  elements: str
  sample: [/etc/matrix-synapse/workers/synapse1-sync-1.yaml]
rewritten_paths:
  description: Those of RV(changed_paths) that got more than another owner, group or mode.
  returned: success
  type: list
  elements: str
  sample: [/etc/matrix-synapse/workers/synapse1-sync-1.yaml]
removed_paths:
  description: Files that were removed, or would be.
  returned: success
  type: list
  elements: str
  sample: [/etc/matrix-synapse/workers/synapse1-sync-3.yaml]
rendered_to:
  description: The directory on the controller below which the paths are.
  returned: when rendering
  type: str
  sample: /home/admin/rendered/synapse1
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.baremetal.synapse.plugins.module_utils._file_set import (
    ARGUMENT_SPEC,
    FileSetError,
    apply,
    plan,
    report,
)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    try:
        changes = plan(module.params, module.check_mode)
        if not module.check_mode:
            apply(changes)
    except (FileSetError, ValueError) as exc:
        module.fail_json(msg=str(exc))
    result: dict[str, Any] = {"changed": bool(changes), **report(changes)}
    if module._diff:
        result["diff"] = [change.diff for change in changes]
    module.exit_json(**result)


if __name__ == "__main__":
    main()
