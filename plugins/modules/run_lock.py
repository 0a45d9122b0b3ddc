#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Take or release the lock of a fleet."""

from __future__ import annotations

DOCUMENTATION = r"""
module: run_lock
short_description: Let only one run at a time change a fleet
version_added: 0.2.0
description:
  - Takes or releases the lock of a fleet, a file on the host of the main process. The file says whose run has it, on
    which machine, with which process, and since when. If another run has it, the module fails and names that run.
  - The lock of a run that is dead is taken over, at once if the dead run was on the same machine as this one, else an
    hour after the lock was taken. Each boot of the host removes the lock.
  - The action plugin finds out which run this is.
options:
  path:
    description: The file.
    type: path
    required: true
  state:
    description: Whether to take or to release it.
    type: str
    choices: [taken, released]
    required: true
  host:
    description: The inventory name of the host, for the message.
    type: str
    required: true
  run:
    description: The run. Set by the action plugin.
    type: dict
  alive:
    description: The processes of Ansible on the machine of this run. Set by the action plugin.
    type: list
    elements: str
attributes:
  check_mode:
    details: It does nothing, because a run in check mode changes nothing.
  diff_mode:
    support: none
    description: There is no difference to show.
extends_documentation_fragment:
  - baremetal.synapse.attributes
"""

EXAMPLES = r"""
- name: Take the lock of the fleet
  baremetal.synapse.run_lock:
    path: /run/matrix-synapse-run.lock
    host: "{{ inventory_hostname }}"
    state: taken
"""

RETURN = r"""# """

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.baremetal.synapse.plugins.module_utils._run_lock import HeldError, Run, release, take


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "state": {"type": "str", "required": True, "choices": ["taken", "released"]},
            "host": {"type": "str", "required": True},
            "run": {"type": "dict"},
            "alive": {"type": "list", "elements": "str"},
        },
        supports_check_mode=True,
    )
    params = module.params
    if not module.check_mode:
        try:
            run = Run.of(params["run"] or {})
            if params["state"] == "taken":
                take(params["path"], run, params["alive"], params["host"])
            else:
                release(params["path"], run)
        except HeldError as error:
            module.fail_json(msg=str(error))
        except (OSError, KeyError, ValueError) as error:
            module.fail_json(msg=f"{params['path']}: the lock of the fleet cannot be used: {error}")
    # It is no change of the fleet.
    module.exit_json(changed=False)


if __name__ == "__main__":
    main()
