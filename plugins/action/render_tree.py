# SPDX-License-Identifier: GPL-3.0-or-later
"""Begins and ends a run that renders; works only on the controller."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible import constants as C  # noqa: N812  # its name everywhere in Ansible
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.baremetal.synapse.plugins.module_utils._file_set import Change, FileSetError, report
from ansible_collections.baremetal.synapse.plugins.module_utils._secret_files import PLACEHOLDER, placeholder
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.errors import TopologyError
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.topology import Topology, parse_topology
from ansible_collections.baremetal.synapse.plugins.plugin_utils.rendering.assumed_hosts import assumed_host
from ansible_collections.baremetal.synapse.plugins.plugin_utils.rendering.tree import (
    PICTURE,
    README,
    README_TEXT,
    Rendered,
    Wanted,
    came_to,
    check_root,
    close,
    plan_top,
)
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.secrets import secret_files

ARGUMENT_SPEC: dict[str, Any] = {
    "path": {"type": "raw", "required": True},
    "hosts": {"type": "list", "elements": "str", "required": True},
    "step": {"type": "str", "choices": ["open", "close"], "required": True},
    "topology": {"type": "str"},
    "picture": {"type": "str"},
}


class ActionModule(ActionBase):
    """Documented in the module of the same name."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Check the directory, or remove files that are no longer wanted."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validation, args = self.validate_argument_spec(argument_spec=ARGUMENT_SPEC)
        try:
            root = check_root(args["path"], args["hosts"])
            result.update(changed=False, directory=str(root))
            if args["step"] == "open":
                hostvars = (task_vars or {})["hostvars"]
                assumed_hosts = {host: assumed_host(host, hostvars[host]) for host in args["hosts"]}
                result.update(placeholder=PLACEHOLDER, assumed_hosts=assumed_hosts)
            else:
                texts = {README: README_TEXT, **({PICTURE: args["picture"]} if args["picture"] else {})}
                secrets = placeholders(parse_topology(args["topology"])) if args["topology"] else {}
                changes = finish(root, args["hosts"], secrets, texts, check_mode=self._task.check_mode)
                result.update(changed=bool(changes), **report(changes))
                if self._task.diff:
                    result["diff"] = [change.diff for change in changes]
        except (FileSetError, TopologyError) as exc:
            raise AnsibleActionFail(str(exc)) from exc
        return result


def placeholders(topology: Topology) -> dict[str, list[Wanted]]:
    """Returns the placeholders of the secrets, for each host of Synapse."""
    return {
        host: [
            Wanted(path=file["path"], content=placeholder(file["kind"]).encode(), sensitive=True)
            for file in secret_files(topology, host)
        ]
        for host in {process.host for process in topology.processes}
    }


def of_host(host: str, change: Change) -> Change:
    """A change with its host, for a task that does them all."""
    shown = {
        key: f"{host}:{text}" if key in ("prepared", "before_header", "after_header") else text
        for key, text in change.diff.items()
    }
    return replace(change, path=f"{host}:{change.path}", diff=shown)


def finish(
    root: Path,
    hosts: list[str],
    secrets: Mapping[str, Sequence[Wanted]],
    texts: Mapping[str, str],
    *,
    check_mode: bool,
) -> list[Change]:
    """End a run: write the placeholders of secrets and the common files, and remove files that are no longer wanted."""
    scratch = Path(C.DEFAULT_LOCAL_TMP)
    changes = []
    for host in sorted(secrets.keys() & came_to(root, scratch)):
        tree = Rendered(root / host, scratch)
        planned = tree.plan(secrets[host])
        if not check_mode:
            tree.apply(planned)
        changes += [of_host(host, change) for change in planned]
    for tree, removals in close(root, scratch, hosts):
        if not check_mode:
            tree.apply_removals(removals)
        changes += removals
    top = plan_top(root, texts)
    if not check_mode:
        for change in top:
            change.act()
    return changes + top
