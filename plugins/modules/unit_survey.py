#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Return the Synapse processes of a host, and which of their inputs have changed since their start."""

from __future__ import annotations

DOCUMENTATION = r"""
module: unit_survey
short_description: Return the processes of a host and their changed inputs
version_added: 0.1.0
description:
  - Looks at all Synapse units of a host with a handful of C(systemctl) calls, and changes nothing.
  - At each start a unit notes the hashes of the inputs of its process. Inputs that differ now have changed since,
    whoever changed it and whenever. So a run that was cut off anywhere is finished by the next one.
options:
  units:
    description: The units that the topology wants here. Keys are full names of units, values names of instances.
    type: dict
    default: {}
  patterns:
    description: Shell patterns of unit names. Units that match and are not in O(units) are returned as well.
    type: list
    elements: str
    default: []
  inputs:
    description: What each instance depends on, see P(baremetal.synapse.fingerprint_inputs#filter).
    type: dict
    required: true
  pending:
    description:
      - Files that a run would write, were it not in check mode; for each path the hashes of its content, see
        RV(baremetal.synapse.file_set#module:ansible_facts).
    type: dict
    default: {}
  target:
    description: The target that is to be enabled and reached.
    type: str
  record:
    description: A file in JSON whose content is returned as RV(record).
    type: path
  secrets:
    description:
      - What files with secrets are to hold, by their paths, as hashes of the contents without white space around them.
      - They are compared with what is there. In check mode, the processes that read a file that differs have a changed
        input.
    type: dict
    default: {}
    version_added: 0.2.0
  signing_key:
    description: The path of the signing key, whose public part is returned if O(secrets) has another key.
    type: path
    version_added: 0.2.0
  wait:
    description:
      - Wait until the starts that are under way are through, well or not. They may have begun with older files.
        Nothing is waited for in check mode.
    type: bool
    default: true
extends_documentation_fragment:
  - baremetal.synapse.attributes.read_only
"""

EXAMPLES = r"""
- name: Survey | Look at what runs
  baremetal.synapse.unit_survey:
    units: {matrix-synapse-worker@synapse1-sync-1.service: synapse1-sync-1}
    patterns: ["matrix-synapse-worker@*.service"]
    inputs: "{{ topology_json | baremetal.synapse.fingerprint_inputs(inventory_hostname) }}"
  register: survey
"""

RETURN = r"""
processes:
  description: The processes that are wanted here, or are here.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The instance.
      type: str
    unit:
      description: Its unit.
      type: str
    active:
      description: systemd's C(ActiveState).
      type: str
    enabled:
      description: Whether it starts at boot.
      type: bool
    unread:
      description: Whether systemd has an older unit file than the one on disk.
      type: bool
    known:
      description: Whether its start state is known.
      type: bool
    duties:
      description: The duties that it was started with.
      type: list
      elements: str
    changed:
      description: The inputs that have changed since.
      type: list
      elements: str
    reloadable:
      description: Those of them that it reloads on SIGHUP.
      type: list
      elements: str
    links:
      description: The links that it was started with, each with its target.
      type: dict
target_reached:
  description: Whether the target is enabled and active.
  returned: success
  type: bool
other_secrets:
  description: The paths of those files of O(secrets) that are there and hold something else.
  returned: success
  type: list
  elements: str
public_key:
  description: The C(id) and the public C(key) of the signing key that another one is to replace, null if none is.
  returned: success
  type: dict
record:
  description: The content of O(record), null if it is not there.
  returned: success
  type: dict
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.baremetal.synapse.plugins.module_utils._fingerprint import Instance, read_note
from ansible_collections.baremetal.synapse.plugins.module_utils._regular_files import read_regular
from ansible_collections.baremetal.synapse.plugins.module_utils._signing_key import public_part
from ansible_collections.baremetal.synapse.plugins.module_utils._systemd import Systemd, UnitState

UNDER_WAY = ("activating", "deactivating", "reloading")


def instance_of(unit: str) -> str:
    """The instance of a unit that the topology does not name: the part after the @, or main."""
    name = unit[: -len(".service")] if unit.endswith(".service") else unit
    return name.partition("@")[2] or "main"


def describe(
    unit: str, name: str, state: UnitState, directory: Path, wanted: Instance | None, pending: dict[str, Any]
) -> dict[str, Any]:
    """Return the entry of one process."""
    note = read_note(directory, name, read_regular) if state.active in ("active", "reloading") else None
    changed = [] if note is None or wanted is None else wanted.changed_since(note["inputs"], pending)
    return {
        "name": name,
        "unit": unit,
        "active": state.active,
        "enabled": state.enabled,
        "unread": state.unread,
        "known": note is not None,
        "duties": note["duties"] if note is not None else [],
        "changed": changed,
        "reloadable": [entry for entry in changed if wanted is not None and entry in wanted.reloaded],
        # All other inputs are hashes.
        "links": {key: value for key, value in (note or {"inputs": {}})["inputs"].items() if value.startswith("/")},
    }


def other_secrets(hashes: dict[str, str]) -> dict[str, str]:
    """Return the contents of the files that hold another secret than they are to, by their paths."""
    found: dict[str, str] = {}
    for path, wanted in hashes.items():
        try:
            content = read_regular(Path(path)).strip()
        except OSError:
            continue
        if hashlib.sha256(content).hexdigest() != wanted:
            found[path] = content.decode("ascii", "replace")
    return found


def public_key(text: str | None) -> dict[str, str] | None:
    """Return what other servers may know of a signing key; nothing of a file that has none."""
    try:
        identifier, key = public_part(text or "")
    except ValueError:
        return None
    return {"id": identifier, "key": key}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "units": {"type": "dict", "default": {}},
            "patterns": {"type": "list", "elements": "str", "default": []},
            "inputs": {"type": "dict", "required": True},
            "pending": {"type": "dict", "default": {}},
            "target": {"type": "str"},
            "record": {"type": "path"},
            "secrets": {"type": "dict", "default": {}, "no_log": True},
            "signing_key": {"type": "path", "no_log": False},
            "wait": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    params = module.params
    systemd = Systemd(module)
    units = {unit: instance_of(unit) for unit in systemd.matching(params["patterns"])}
    units.update(params["units"])
    target = [params["target"]] if params["target"] else []
    states = systemd.states([*units, *target])
    under_way = [unit for unit in units if unit in states and states[unit].active in UNDER_WAY]
    if under_way and params["wait"] and not module.check_mode:
        wanted_now = [unit for unit in under_way if unit in params["units"]]
        systemd.do("daemon-reload")
        if wanted_now:
            # A start that has begun is waited for, never cut off.
            systemd.do("start", *wanted_now, check=False)
        states = systemd.states([*units, *target])
    directory = Path(params["inputs"]["directory"])
    instances = {name: Instance.of(entry) for name, entry in params["inputs"]["instances"].items()}
    others = other_secrets(params["secrets"])
    pending = dict(params["pending"])
    if module.check_mode:
        pending.update({path: {"*": params["secrets"][path]} for path in others})
    processes = [
        describe(unit, name, states.get(unit, UnitState()), directory, instances.get(name), pending)
        for unit, name in units.items()
    ]
    reached = states.get(params["target"] or "", UnitState("active", True))
    record = Path(params["record"]) if params["record"] else None
    module.exit_json(
        changed=False,
        processes=processes,
        target_reached=reached.enabled and reached.active == "active",
        other_secrets=sorted(others),
        public_key=public_key(others.get(params["signing_key"])),
        record=json.loads(record.read_text(encoding="utf-8")) if record is not None and record.exists() else None,
    )


if __name__ == "__main__":
    main()
