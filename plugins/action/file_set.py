# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller's half of file_set: render the templates, then send everything in one call.

With the variable `render_directory`, which playbooks/render.yml sets, everything is written below that directory
instead, and the host is not contacted.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible import constants as C  # noqa: N812  # its name everywhere in Ansible
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.template import trust_as_template
from ansible_collections.baremetal.synapse.plugins.module_utils._file_set import (
    ARGUMENT_SPEC,
    FileSetError,
    encode,
    report,
)
from ansible_collections.baremetal.synapse.plugins.plugin_utils._rendered import Rendered, Wanted


class ActionModule(ActionBase):
    """Documented in the module of the same name."""

    TRANSFERS_FILES = False
    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Render, then run the module."""
        task_vars = task_vars or {}
        result: dict[str, Any] = super().run(tmp, task_vars)
        check_modes(self._task.args)
        _validation, args = self.validate_argument_spec(argument_spec=ARGUMENT_SPEC)
        files = [
            {
                "path": path,
                "content": file["content"] if file["template"] is None else self._render(file, variables, task_vars),
                **{key: file[key] for key in ("mode", "owner", "group", "sensitive")},
            }
            for file in args["files"]
            for path, variables in expand(file)
        ]
        directories = [
            {"path": path, **{key: directory[key] for key in ("mode", "owner", "group")}}
            for directory in args["directories"]
            for path, _variables in expand(directory)
        ]
        if directory := task_vars.get("render_directory"):
            wanted = [
                *(Wanted(path=entry["path"], mode=entry["mode"]) for entry in directories),
                *(wanted_file(entry) for entry in files),
                *(Wanted(path=entry["path"], target=entry["target"]) for entry in args["links"]),
            ]
            result.update(write_tree(directory, wanted, check_mode=self._task.check_mode, diff=self._task.diff))
            return result
        files = [{**file, "content": encode(file["content"])} for file in files]
        module_args = {"directories": directories, "files": files, "links": args["links"], "purge": args["purge"]}
        result.update(self._execute_module("baremetal.synapse.file_set", module_args=module_args, task_vars=task_vars))
        return result

    def _render(self, file: dict[str, Any], variables: dict[str, Any], task_vars: dict[str, Any]) -> str:
        try:
            source = self._find_needle("templates", file["template"])
        except AnsibleError as exc:
            raise AnsibleActionFail(f"{file['path']}: there is no template {file['template']!r}") from exc
        template = trust_as_template(self._loader.get_text_file_contents(source))
        searchpath = [
            os.path.dirname(source),
            *(os.path.join(p, "templates") for p in task_vars.get("ansible_search_path", [])),
        ]
        templar = self._templar.copy_with_new_env(
            searchpath=searchpath, available_variables={"ansible_managed": "Ansible managed", **task_vars, **variables}
        )
        text = templar.template(
            template, escape_backslashes=False, overrides={"trim_blocks": True, "lstrip_blocks": True}
        )
        if not isinstance(text, str):
            raise AnsibleActionFail(
                f"{file['path']}: template {file['template']!r} gives no text but a {type(text).__name__}"
            )
        return text


def wanted_file(entry: dict[str, Any]) -> Wanted:
    """A file of the module's arguments as a part of a tree."""
    return Wanted(
        path=entry["path"], content=entry["content"].encode(), mode=entry["mode"], sensitive=entry["sensitive"]
    )


def write_tree(directory: str, wanted: list[Wanted], *, check_mode: bool, diff: bool) -> dict[str, Any]:
    """Write what a host would get below `directory`; the result is that of the module."""
    tree = Rendered(Path(directory), Path(C.DEFAULT_LOCAL_TMP))
    try:
        changes = tree.plan(wanted)
        if not check_mode:
            tree.apply(changes)
    except FileSetError as exc:
        raise AnsibleActionFail(str(exc)) from exc
    result: dict[str, Any] = {"changed": bool(changes), **report(changes), "rendered_to": directory}
    if diff:
        result["diff"] = [change.diff for change in changes]
    return result


def check_modes(args: dict[str, Any]) -> None:
    """Refuse a mode without quotes: YAML reads it as a number, and the number's digits are other permissions."""
    for key in ("directories", "files"):
        entries = args.get(key) or []
        for entry in entries if isinstance(entries, list) else []:
            if isinstance(entry, dict) and isinstance(entry.get("mode"), int):
                raise AnsibleActionFail(
                    f'{entry.get("path")}: mode {entry["mode"]} is a number: write it in quotes, such as "0644"'
                )


def expand(entry: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Path and variables of each thing that an entry of `directories` or `files` stands for."""
    variables = entry.get("vars") or {}
    if entry["for_each"] is None:
        yield entry["path"], variables
        return
    for item in entry["for_each"]:
        try:
            path = entry["path"].format(**item)
        except (KeyError, IndexError, ValueError) as exc:
            raise AnsibleActionFail(
                f"path {entry['path']!r} does not fit the for_each entry {dict(item)!r}: {exc}"
            ) from exc
        yield path, {**variables, "item": item}
