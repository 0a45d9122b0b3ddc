#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Carry out the steps of a plan on the units of a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: unit_steps
short_description: Drain, stop, restart and start units, as a plan says
version_added: 0.1.0
description:
  - Carries out what a plan has for a host at one time, with a handful of C(systemctl) calls for any number of units.
  - First the requests of those that nginx leaves out are waited for, then what must stop stops, then services restart,
    then the rest starts together. It ends when all of them say that they are ready, and the processes of Synapse listen
    to the replication.
options:
  steps:
    description: The steps, see P(baremetal.synapse.plan#filter).
    type: list
    elements: dict
    default: []
    suboptions:
      action:
        description: What to do. V(retire) is to stop it for good, V(drain) only to wait for its requests.
        type: str
        choices: [drain, retire, stop, reload, enable, restart, start]
        required: true
      name:
        description: The instance.
        type: str
        required: true
      unit:
        description: Its unit.
        type: str
        required: true
      reason:
        description: Why, for the diff.
        type: str
        default: ""
      stage:
        description: Steps of a later stage come when those before are done, their processes up.
        type: int
        default: 0
      service:
        description:
          - Whether it is a service below Synapse, such as PostgreSQL. Its own role says whether it starts at boot. The
            processes of the same stage start when it is up.
        type: bool
        default: false
      drain:
        description: Whether nginx sends it nothing any more, so that its requests are waited for.
        type: bool
        default: false
  listeners:
    description:
      - For each instance where it takes requests (C(health) with C(socket), or C(address) and C(port)) and where its
        metrics are (C(metrics) with C(address) and C(port)), as P(baremetal.synapse.worker_units#filter) returns it.
    type: dict
    default: {}
  replication:
    description: Whether the processes have a replication to listen to, which those that start are waited for.
    type: bool
    default: true
  drain_timeout:
    description: Seconds to wait for requests in flight.
    type: int
    default: 35
  ready_timeout:
    description: Seconds to wait until a started process listens to the replication.
    type: int
    default: 60
  target:
    description: A target to enable and to reach, without starting the units that it wants.
    type: str
attributes:
  diff_mode:
    details: One line for each step, with its reason.
extends_documentation_fragment:
  - baremetal.synapse.attributes
"""

EXAMPLES = r"""
- name: Rollout | Restart a worker
  baremetal.synapse.unit_steps:
    steps:
      - action: restart
        name: synapse1-sync-1
        unit: matrix-synapse-worker@synapse1-sync-1.service
        reason: its own settings change
        drain: true
    listeners:
      synapse1-sync-1:
        health: {socket: /run/matrix-synapse/http/synapse1-sync-1.sock}
        metrics: {address: 127.0.0.1, port: 24920}
"""

RETURN = r"""
undrained:
  description: Instances that still had requests when the time was over.
  returned: success
  type: list
  elements: str
"""

import os
import time
from typing import Any, Callable, Iterable

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.baremetal.synapse.plugins.module_utils._listeners import is_subscribed, open_connections
from ansible_collections.baremetal.synapse.plugins.module_utils._systemd import Systemd

_PAUSE = 0.1
MAIN_UNIT = "matrix-synapse.service"


def wait_until_none(names: Iterable[str], still: Callable[[str], bool], timeout: float) -> list[str]:
    """Wait until ``still`` is false for every name; return those for which it is true at the end."""
    left = list(names)
    deadline = time.monotonic() + timeout
    while True:
        left = [name for name in left if still(name)]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(_PAUSE)


def batches(units: list[str], size: int) -> list[list[str]]:
    """Split units into groups of at most that size; main, which others wait for, is a group of its own, the first."""
    main = [unit for unit in units if unit == MAIN_UNIT]
    others = [unit for unit in units if unit != MAIN_UNIT]
    return [part for part in (main, *(others[start : start + size] for start in range(0, len(others), size))) if part]


def carry_out(systemd: Systemd, steps: list[dict[str, Any]], target: str | None) -> None:
    """Stop what must stop, then start the rest together."""

    def units(*actions: str) -> list[str]:
        return [step["unit"] for step in steps if step["action"] in actions and not step["service"]]

    down, up = units("stop", "retire"), units("start", "restart")
    if units("retire"):
        systemd.do("disable", "--quiet", *units("retire"))
    if down:
        systemd.do("stop", *down)
        systemd.do("reset-failed", *down, check=False)
    services = [step for step in steps if step["service"]]
    if target or up or services or units("enable", "reload"):
        # Unit files may have changed since systemd read them, in this run or in one that was cut off.
        systemd.do("daemon-reload")
    for step in services:
        systemd.do(step["action"], step["unit"])
    enabled = [*([target] if target else []), *units("enable", "start", "restart")]
    if enabled:
        systemd.do("enable", "--quiet", *enabled)
    if target:
        systemd.do("start", "--job-mode=ignore-dependencies", target)
    if up:
        # Lifts the limit on starts that a crash loop has run into
        systemd.do("reset-failed", *up, check=False)
        # A start takes a second of a processor: as many at once as there are, so that none waits while it is down.
        for batch in batches(up, os.cpu_count() or 1):
            # Processes that start together may conflict in the database: one of them ends, and is started again.
            if not any(systemd.do(verb, *batch, check=False) for verb in ("restart", "start")):
                systemd.do("start", *batch)
    if units("reload"):
        systemd.do("reload", *units("reload"))


def carry_out_stage(module: AnsibleModule, steps: list[dict[str, Any]], target: str | None) -> list[str]:
    """Drain, stop and start what belongs together; return the instances that still had requests."""
    params = module.params
    listeners = params["listeners"]
    undrained = wait_until_none(
        [step["name"] for step in steps if step["drain"] and step["name"] in listeners],
        lambda name: open_connections(listeners[name]["health"]) > 0,
        params["drain_timeout"],
    )
    carry_out(Systemd(module), steps, target)
    if params["replication"]:
        started = [step["name"] for step in steps if step["action"] in ("start", "restart") and not step["service"]]
        deaf = wait_until_none(
            [name for name in started if name in listeners],
            lambda name: not is_subscribed(listeners[name]["metrics"]["address"], listeners[name]["metrics"]["port"]),
            params["ready_timeout"],
        )
        if deaf:
            module.fail_json(
                msg=f"{', '.join(deaf)} started, but did not listen to the replication within"
                f" {params['ready_timeout']} seconds: look at its journal, and check that Redis answers."
            )
    return undrained


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "steps": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "action": {
                        "type": "str",
                        "required": True,
                        "choices": ["drain", "retire", "stop", "reload", "enable", "restart", "start"],
                    },
                    "name": {"type": "str", "required": True},
                    "unit": {"type": "str", "required": True},
                    "reason": {"type": "str", "default": ""},
                    "service": {"type": "bool", "default": False},
                    "stage": {"type": "int", "default": 0},
                    "drain": {"type": "bool", "default": False},
                },
            },
            "listeners": {"type": "dict", "default": {}},
            "replication": {"type": "bool", "default": True},
            "drain_timeout": {"type": "int", "default": 35},
            "ready_timeout": {"type": "int", "default": 60},
            "target": {"type": "str"},
        },
        supports_check_mode=True,
    )
    params = module.params
    steps = params["steps"]
    undrained: list[str] = []
    if not module.check_mode:
        stages = sorted({step["stage"] for step in steps}) or [0]
        for number, stage in enumerate(stages):
            of_stage = [step for step in steps if step["stage"] == stage]
            undrained += carry_out_stage(module, of_stage, None if number else params["target"])
    result: dict[str, Any] = {"changed": bool(steps or params["target"]), "undrained": undrained}
    if module._diff and steps:
        lines = "".join(f"{step['action']} {step['unit']}: {step['reason']}\n" for step in steps)
        result["diff"] = [{"prepared": lines}]
    module.exit_json(**result)


if __name__ == "__main__":
    main()
