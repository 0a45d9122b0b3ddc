#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring systemd units to where they should be, and restart only the stale ones."""

from __future__ import annotations

DOCUMENTATION = r"""
module: unit_states
short_description: Start what is missing, restart what is stale, stop what is not wanted
version_added: 0.1.0
author: The baremetal.synapse developers (@baremetal-synapse)
description:
  - Brings any number of systemd units to where they should be, with a handful of C(systemctl) calls.
  - A running unit is I(stale) when the fingerprint that it recorded at its start differs from the one of what is on
    disk now, or when systemd has not read its unit file since that was changed. Restarts come from this, not from
    handlers. So a run that was cut off anywhere is finished by the next one.
  - A unit that is up and not stale is left alone. A start that is under way is waited for, never cut off.
options:
  units:
    description:
      - The units that are to be enabled, up, and not stale. They are started together.
      - Keys are full names of units, values the names by which the fingerprint script knows them.
    type: dict
    default: {}
  dependents:
    description:
      - Units that must not run with old settings beside a unit of O(units) with new ones.
        Those of them that are stale are stopped before any of O(units) is started or restarted.
      - They are not started again here.
    type: dict
    default: {}
  retire:
    description: Units to stop and disable.
    type: dict
    suboptions:
      patterns:
        description: Shell patterns of unit names.
        type: list
        elements: str
        required: true
      keep:
        description: Names that match and stay.
        type: list
        elements: str
        default: []
  target:
    description: A target to enable and to reach, without starting the units that it wants.
    type: str
  fingerprint_command:
    description:
      - Script that prints what each of the instances given to it would start with now, as lines C(hash  path) under a
        line C([instance]), and with C(--inputs) the same for all that it would look at, with C(-) for the hash.
      - Without it, or while it is not there, no unit is stale.
    type: path
  fingerprint_dir:
    description: Directory with one file for each instance, with the lines that held when it started.
    type: path
  pending_paths:
    description:
      - Paths that earlier tasks of the run have changed. It is only read in check mode, where they are not changed yet,
        to tell which units would be stale.
    type: list
    elements: path
    default: []
attributes:
  check_mode:
    description: Changes nothing and tells what would be stopped, restarted and started.
    support: full
  diff_mode:
    description: One line for each step, with its reason.
    support: full
  platform:
    description: The platforms that it is made for.
    support: full
    platforms: debian
"""

EXAMPLES = r"""
- name: Run | Start the workers
  baremetal.synapse.unit_states:
    units:
      matrix-synapse-worker@synapse1-sync-1.service: synapse1-sync-1
      matrix-synapse-worker@synapse1-sync-2.service: synapse1-sync-2
    fingerprint_command: /usr/local/lib/matrix-synapse/fingerprint
    fingerprint_dir: /run/matrix-synapse/fingerprint

- name: Retire | Stop the workers that the topology no longer has
  baremetal.synapse.unit_states:
    retire:
      patterns: ["matrix-synapse-worker@*.service"]
      keep: [matrix-synapse-worker@synapse1-sync-1.service]
"""

RETURN = r"""
steps:
  description: What was done, or would be, in order.
  returned: success
  type: list
  elements: dict
  contains:
    action:
      description: One of V(disable), V(stop), V(enable), V(start target), V(start), V(restart).
      type: str
    unit:
      description: Name of the unit.
      type: str
    reason:
      description: Why.
      type: str
  sample:
    - action: restart
      unit: matrix-synapse.service
      reason: "changed since its start: /etc/matrix-synapse/homeserver.yaml"
"""

import fnmatch
from pathlib import Path
from typing import Any, Sequence

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.baremetal.synapse.plugins.module_utils._unit_states import (
    Step,
    UnitState,
    Wanted,
    affected,
    decide,
    parse_fingerprint,
    parse_fingerprints,
    parse_show,
    staleness,
    unread,
)

UNIT_DIR = Path("/etc/systemd/system")
# What a failed start shows of the journal: enough for the cause, of so many units that it can be read.
JOURNAL_LINES = 15
JOURNAL_UNITS = 3


class Systemd:
    """The calls to systemctl."""

    def __init__(self, module: AnsibleModule) -> None:
        self._module = module
        self._systemctl = module.get_bin_path("systemctl", required=True)

    def states(self, units: Sequence[str]) -> dict[str, UnitState]:
        """State of each unit, known to systemd or not."""
        if not units:
            return {}
        return parse_show(self._read("show", "--property=Id,ActiveState,UnitFileState,NeedDaemonReload", "--", *units))

    def matching(self, patterns: Sequence[str]) -> list[str]:
        """Units that are loaded or enabled and match."""
        listed = self._read("list-units", "--all", "--plain", "--full", "--no-legend", "--", *patterns).splitlines()
        units = {line.split()[0] for line in listed if line.strip()} | {
            link.name for link in UNIT_DIR.glob("*.wants/*")
        }
        return sorted(unit for unit in units if any(fnmatch.fnmatchcase(unit, pattern) for pattern in patterns))

    def carry_out(self, steps: Sequence[Step]) -> None:
        """Do what was decided."""

        def units(*actions: str) -> list[str]:
            return [step.unit for step in steps if step.action in actions]

        if units("disable"):
            self._do("disable", "--quiet", *units("disable"))
        if units("stop"):
            self._do("stop", *units("stop"))
            self._do("reset-failed", *units("stop"), check=False)
        if units("enable", "start", "restart", "start target"):
            # Unit files may have changed since systemd read them, in this run or in one that was cut off.
            self._do("daemon-reload")
        if units("enable"):
            self._do("enable", "--quiet", *units("enable"))
        if units("start target"):
            self._do("start", "--job-mode=ignore-dependencies", *units("start target"))
        starts = units("start", "restart")
        if starts:
            # Lifts the limit on starts that a crash loop has run into
            self._do("reset-failed", *starts, check=False)
        if units("start"):
            # Not "restart", which would cut off a start that has just begun.
            self._do("start", *units("start"))
        if units("restart"):
            self._do("restart", *units("restart"))

    def wait_for(self, units: Sequence[str]) -> None:
        """Wait until the starts that are under way are through, well or not. What comes after them is up to date."""
        self._do("daemon-reload")
        self._do("start", *units, check=False)

    def _read(self, *args: str) -> str:
        code, out, err = self._module.run_command([self._systemctl, *args], environ_update={"LC_ALL": "C"})
        if code != 0:
            self._module.fail_json(msg=f"systemctl {args[0]} failed: {err.strip()}", rc=code)
        return str(out)

    def _do(self, *args: str, check: bool = True) -> None:
        code, _out, err = self._module.run_command([self._systemctl, *args], environ_update={"LC_ALL": "C"})
        if code != 0 and check:
            units = [arg for arg in args[1:] if not arg.startswith("-")]
            self._module.fail_json(msg=f"systemctl {args[0]} failed.\n{err.strip()}\n{self._journal(units)}", rc=code)

    def _journal(self, units: Sequence[str]) -> str:
        failed = [unit for unit, state in self.states(units).items() if not state.running]
        parts = []
        for unit in failed[:JOURNAL_UNITS]:
            command = ["journalctl", "--no-pager", "--output=cat", f"--lines={JOURNAL_LINES}", f"--unit={unit}"]
            _code, out, _err = self._module.run_command(command)
            parts.append(f"Last lines of {unit}:\n{out.strip()}")
        if len(failed) > JOURNAL_UNITS:
            parts.append(f"Also not up: {', '.join(failed[JOURNAL_UNITS:])}")
        return "\n".join(parts)


def stale_units(module: AnsibleModule, instances: dict[str, str]) -> dict[str, str]:
    """The reason for each of these running units that is stale."""
    params = module.params
    command, directory = params["fingerprint_command"], params["fingerprint_dir"]
    if not instances or not command or not directory or not Path(command).exists():
        return {}
    names = sorted(instances.values())
    current = parse_fingerprints(_fingerprint(module, [command, *names]))
    pending: dict[str, list[str]] = {}
    if module.check_mode and params["pending_paths"]:
        inputs = parse_fingerprints(_fingerprint(module, [command, "--inputs", *names]))
        pending = {name: affected(params["pending_paths"], inputs.get(name, {})) for name in names}
    reasons = {
        unit: staleness(_recorded(Path(directory, name)), current.get(name), pending.get(name, []))
        for unit, name in instances.items()
    }
    return {unit: reason for unit, reason in reasons.items() if reason is not None}


def _fingerprint(module: AnsibleModule, command: Sequence[str]) -> str:
    code, out, err = module.run_command(command)
    if code != 0:
        module.fail_json(msg=f"{command[0]} failed: {err.strip()}", rc=code)
    return str(out)


def _recorded(path: Path) -> dict[str, str] | None:
    try:
        return parse_fingerprint(path.read_text())
    except FileNotFoundError:
        return None


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "units": {"type": "dict", "default": {}},
            "dependents": {"type": "dict", "default": {}},
            "retire": {
                "type": "dict",
                "options": {
                    "patterns": {"type": "list", "elements": "str", "required": True},
                    "keep": {"type": "list", "elements": "str", "default": []},
                },
            },
            "target": {"type": "str"},
            "fingerprint_command": {"type": "path"},
            "fingerprint_dir": {"type": "path"},
            "pending_paths": {"type": "list", "elements": "path", "default": []},
        },
        supports_check_mode=True,
    )
    params = module.params
    systemd = Systemd(module)
    retired: list[str] = []
    if params["retire"]:
        keep = params["retire"]["keep"]
        retired = [unit for unit in systemd.matching(params["retire"]["patterns"]) if unit not in keep]
    instances = {**params["dependents"], **params["units"]}
    names = sorted({*instances, *retired, *([params["target"]] if params["target"] else [])})
    states = systemd.states(names)
    not_read = unread(states)
    starting = [unit for unit in sorted(params["units"]) if unit in states and states[unit].starting]
    if starting and not module.check_mode:
        # They may have begun with older files. Once they are up, it can be told, and they may be restarted.
        systemd.wait_for(starting)
        states = systemd.states(names)
    wanted = Wanted(sorted(params["units"]), sorted(params["dependents"]), retired, params["target"])
    running = {unit: name for unit, name in instances.items() if unit in states and states[unit].running}
    steps = decide(wanted, states, {**not_read, **stale_units(module, running)})
    if not module.check_mode:
        systemd.carry_out(steps)
    result: dict[str, Any] = {
        "changed": bool(steps),
        "steps": [{"action": step.action, "unit": step.unit, "reason": step.reason} for step in steps],
    }
    if module._diff and steps:
        result["diff"] = [{"prepared": "".join(f"{step.action} {step.unit}: {step.reason}\n" for step in steps)}]
    module.exit_json(**result)


if __name__ == "__main__":
    main()
