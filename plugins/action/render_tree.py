# SPDX-License-Identifier: GPL-3.0-or-later
"""Begins and ends a run that renders; works on the controller alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible import constants as C  # noqa: N812  # its name everywhere in Ansible
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.baremetal.synapse.plugins.module_utils._file_set import FileSetError, report
from ansible_collections.baremetal.synapse.plugins.module_utils._secret_files import PLACEHOLDER
from ansible_collections.baremetal.synapse.plugins.plugin_utils._rendered import (
    PICTURE,
    README,
    README_TEXT,
    check_root,
    close,
    plan_top,
)

ARGUMENT_SPEC: dict[str, Any] = {
    "path": {"type": "raw", "required": True},
    "hosts": {"type": "list", "elements": "str", "required": True},
    "step": {"type": "str", "choices": ["open", "close"], "required": True},
    "picture": {"type": "str"},
}


class ActionModule(ActionBase):
    """Documented in the module of the same name."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Check the directory, or remove what is not wanted any more."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validation, args = self.validate_argument_spec(argument_spec=ARGUMENT_SPEC)
        try:
            root = check_root(args["path"], args["hosts"])
            result.update(changed=False, directory=str(root), placeholder=PLACEHOLDER)
            if args["step"] == "close":
                texts = {README: README_TEXT, **({PICTURE: args["picture"]} if args["picture"] else {})}
                result.update(
                    finish(root, args["hosts"], texts, check_mode=self._task.check_mode, diff=self._task.diff)
                )
        except FileSetError as exc:
            raise AnsibleActionFail(str(exc)) from exc
        return result


def finish(root: Path, hosts: list[str], texts: Mapping[str, str], *, check_mode: bool, diff: bool) -> dict[str, Any]:
    """End a run: remove what it did not want any more, and write what is beside the hosts."""
    trees = close(root, Path(C.DEFAULT_LOCAL_TMP), hosts)
    top = plan_top(root, texts)
    if not check_mode:
        for tree, changes in trees:
            tree.apply_removals(changes)
        for change in top:
            change.act()
    all_changes = [change for _tree, changes in trees for change in changes] + top
    result: dict[str, Any] = {"changed": bool(all_changes), **report(all_changes)}
    if diff:
        result["diff"] = [change.diff for change in all_changes]
    return result
