# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller's half of role_files: the file sets of several roles, in one call to the host."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.baremetal.synapse.plugins.plugin_utils.controller.file_sets import FileSet, deliver, joined
from ansible_collections.baremetal.synapse.plugins.plugin_utils.controller.role_scope import file_set_of
from ansible_collections.baremetal.synapse.plugins.plugin_utils.rendering.context import Context

FACT = "run_files"
"""The name of the fact with the files that were written for each role."""


class ActionModule(ActionBase):
    """Documented in the module of the same name."""

    TRANSFERS_FILES = False
    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Render the files of all roles, then run the module file_set once."""
        task_vars = task_vars or {}
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validation, args = self.validate_argument_spec(
            argument_spec={
                "roles": {"type": "list", "elements": "str", "required": True},
                "first": {"type": "bool", "default": False},
            }
        )
        context = Context.of(task_vars)
        sets = {role: file_set_of(role, self._loader, self._templar, task_vars, context) for role in args["roles"]}
        if not sets:
            return {**result, "changed": False}
        result.update(deliver(self, task_vars, joined(sets.values()), context, first=args["first"]))
        if not context.renders:
            facts = task_vars.get("ansible_facts", {})
            known = {**facts.get(FACT, {}), **{role: report_of(wanted, result) for role, wanted in sets.items()}}
            result.setdefault("ansible_facts", {})[FACT] = known
        return result


def report_of(wanted: FileSet, result: dict[str, Any]) -> dict[str, Any]:
    """Returns the part of a result that concerns one role: ``changed`` and the ``paths`` whose content is new."""
    own = wanted.paths
    directories = tuple(f"{entry['directory']}/" for entry in wanted.purge)
    removed = [path for path in result.get("removed_paths", ()) if path.startswith(directories)]
    changed = bool(removed) or not own.isdisjoint(result.get("changed_paths", ()))
    return {"changed": changed, "paths": sorted(own.intersection(result.get("rewritten_paths", ())))}
