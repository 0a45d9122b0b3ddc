#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run a unit with the files that are there now."""

from __future__ import annotations

DOCUMENTATION = r"""
module: unit_current
short_description: Run a unit with the unit file that is there now
version_added: 0.2.0
description:
  - Enables and starts a unit, and restarts it if it was started before its unit file or one of its drop-ins last
    changed. Whether this run or an earlier one has written the file does not matter, so a run that was cut off before
    the restart is finished by the next one.
options:
  unit:
    description: The full name of the unit. Its file is in C(/etc/systemd/system).
    type: str
    required: true
  pending:
    description: In check mode, whether the run would write the unit file.
    type: bool
    default: false
attributes:
  diff_mode:
    support: none
    description: There is no difference to show.
extends_documentation_fragment:
  - baremetal.synapse.attributes
"""

EXAMPLES = r"""
- name: Run the watchdog
  baremetal.synapse.unit_current:
    unit: synapse-watchdog.service
"""

RETURN = r"""
action:
  description: What was done, or would be; V(none) if the unit runs, is enabled and current.
  returned: success
  type: str
  sample: restart
"""

import math

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.baremetal.synapse.plugins.module_utils._systemd import (
    RUNNING,
    Systemd,
    UnitState,
    unit_change,
)


def wanted_action(state: UnitState, started: float, changed: float) -> str:
    """Return what has to be done with a unit.

    Args:
        state: what systemd knows of it.
        started: when it was started, in seconds since the epoch.
        changed: when its unit file last changed.
    """
    if state.active not in RUNNING:
        return "start"
    if started < changed:
        return "restart"
    return "none" if state.enabled else "enable"


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "unit": {"type": "str", "required": True},
            "pending": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    unit, systemd = module.params["unit"], Systemd(module)
    state = systemd.states([unit]).get(unit, UnitState())
    pending = module.check_mode and module.params["pending"]
    action = wanted_action(state, systemd.started(unit), math.inf if pending else unit_change(unit))
    if action != "none" and not module.check_mode:
        # Also after a run that was cut off before it did this.
        systemd.do("daemon-reload")
        systemd.do("enable", "--quiet", unit)
        if action != "enable":
            systemd.do("restart", unit)
    module.exit_json(changed=action != "none", action=action)


if __name__ == "__main__":
    main()
