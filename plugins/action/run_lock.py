# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller's half of run_lock: says which run this is."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.baremetal.synapse.plugins.plugin_utils.controller.this_run import runs_alive, this_run


class ActionModule(ActionBase):
    """Documented in the module of the same name."""

    TRANSFERS_FILES = False
    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module with what is known of this run."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        args = {**self._task.args, "run": asdict(this_run()), "alive": runs_alive()}
        result.update(
            self._execute_module(module_name="baremetal.synapse.run_lock", module_args=args, task_vars=task_vars)
        )
        return result
