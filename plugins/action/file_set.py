# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller's half of file_set: render the templates, then send everything in one call."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.baremetal.synapse.plugins.module_utils._file_set import ARGUMENT_SPEC
from ansible_collections.baremetal.synapse.plugins.plugin_utils.controller.file_sets import (
    assemble,
    check_modes,
    deliver,
)
from ansible_collections.baremetal.synapse.plugins.plugin_utils.controller.templates import Templates
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.values import plain
from ansible_collections.baremetal.synapse.plugins.plugin_utils.rendering.context import Context


class ActionModule(ActionBase):
    """Documented in the module of the same name."""

    TRANSFERS_FILES = False
    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Render, then run the module."""
        task_vars = task_vars or {}
        result: dict[str, Any] = super().run(tmp, task_vars)
        # Checking the arguments copies them, which takes long for Ansible's own kinds of strings and lists.
        self._task.args = plain(self._task.args)
        check_modes(self._task.args)
        _validation, args = self.validate_argument_spec(argument_spec=ARGUMENT_SPEC)
        context = Context.of(task_vars)
        wanted = assemble(args, Templates(self, task_vars, args["for_each"]), context)
        result.update(deliver(self, task_vars, wanted, context))
        return result
