# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller's half of secret_files: in a rendered tree, placeholders stand for the secrets."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.baremetal.synapse.plugins.action.file_set import write_tree
from ansible_collections.baremetal.synapse.plugins.module_utils._secret_files import ARGUMENT_SPEC, placeholder
from ansible_collections.baremetal.synapse.plugins.plugin_utils._rendered import Wanted


class ActionModule(ActionBase):
    """Documented in the module of the same name."""

    TRANSFERS_FILES = False
    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module, or write placeholders."""
        task_vars = task_vars or {}
        result: dict[str, Any] = super().run(tmp, task_vars)
        directory = task_vars.get("render_directory")
        if not directory:
            result.update(self._execute_module("baremetal.synapse.secret_files", task_vars=task_vars))
            return result
        _validation, args = self.validate_argument_spec(argument_spec=ARGUMENT_SPEC)
        wanted = [
            Wanted(path=file["path"], content=placeholder(file["kind"]).encode(), sensitive=True)
            for file in args["files"]
        ]
        result.update(write_tree(directory, wanted, check_mode=self._task.check_mode, diff=self._task.diff))
        return result
