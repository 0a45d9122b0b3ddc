# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller's half of file_set: render the templates, then send everything in one call.

With the variable `render_root`, which playbooks/render.yml sets, everything is written below that directory instead,
and the host is not contacted.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

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
from ansible_collections.baremetal.synapse.plugins.module_utils._fingerprint import pending_digests
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.values import plain
from ansible_collections.baremetal.synapse.plugins.plugin_utils.rendering.tree import Rendered, Wanted

PENDING = "file_set_pending"
"""The fact of what a run would write, were it not in check mode."""


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
        items = args["for_each"]
        templates = Templates(self, task_vars, items)
        files = [
            {"path": path, "content": content, **{key: file[key] for key in ("mode", "owner", "group", "sensitive")}}
            for file in args["files"]
            for path, content in zip(paths(file, items), templates.contents(file), strict=True)
        ]
        directories = [
            {"path": path, **{key: directory[key] for key in ("mode", "owner", "group")}}
            for directory in args["directories"]
            for path in paths(directory, items)
        ]
        purge = [*args["purge"], *(removals(args) if args["remove_if_none"] and items == [] else [])]
        if root := task_vars.get("render_root"):
            directory = f"{root}/{task_vars['inventory_hostname']}"
            wanted = [
                *(Wanted(path=entry["path"], mode=entry["mode"]) for entry in directories),
                *(wanted_file(entry) for entry in files),
                *(Wanted(path=entry["path"], target=entry["target"]) for entry in args["links"]),
            ]
            result.update(write_tree(directory, wanted, check_mode=self._task.check_mode, diff=self._task.diff))
            return result
        texts = {file["path"]: file["content"] for file in files}
        files = [{**file, "content": encode(file["content"])} for file in files]
        module_args = {"directories": directories, "files": files, "links": args["links"], "purge": purge}
        result.update(self._execute_module("baremetal.synapse.file_set", module_args=module_args, task_vars=task_vars))
        if self._task.check_mode:
            known = task_vars.get("ansible_facts", {}).get(PENDING, {})
            result["ansible_facts"] = {PENDING: {**known, **pending(texts, args["links"], result)}}
        return result


class Templates:
    """The templates of one task, each compiled once: that costs far more than printing it."""

    def __init__(
        self, action: ActionBase, task_vars: Mapping[str, Any], items: Sequence[Mapping[str, Any]] | None = None
    ) -> None:
        """Takes what all templates see.

        Args:
            action: the action, which knows where templates are.
            task_vars: the variables of the task.
            items: those of ``for_each``, None without it.
        """
        self._action = action
        self._items = items
        self._variables = {"ansible_managed": "Ansible managed", **task_vars}
        self._search_path = [os.path.join(path, "templates") for path in task_vars.get("ansible_search_path", [])]
        self._templars: dict[str, Any] = {}
        self._printed: dict[str, list[str]] = {}

    def contents(self, file: Mapping[str, Any]) -> list[str]:
        """Returns the text of each file that an entry of ``files`` stands for."""
        items = self._items
        if items is not None and not items:
            return []
        if file["template"] is None:
            text = file["content"] if file["source"] is None else self._read("files", file["source"], file["path"])[1]
            return [text] * (1 if items is None else len(items))
        variables = file["vars"] or {}
        if variables:
            return self._print(file, variables)
        # Several files may be printed from one template.
        if file["template"] not in self._printed:
            self._printed[file["template"]] = self._print(file, variables)
        return self._printed[file["template"]]

    def _print(self, file: Mapping[str, Any], variables: Mapping[str, Any]) -> list[str]:
        templar, text = self._find(file)
        if self._items is None:
            return [self._render(file, templar, text, variables)]
        # One template prints all of the files, with a mark after each.
        mark = f"<{uuid4().hex}>"
        loop = f"{{% for item in __file_set_items +%}}{without_last_newline(text)}{mark}{{% endfor %}}"
        rendered = self._render(file, templar, loop, {**variables, "__file_set_items": self._items})
        return [with_newlines_of(text, one) for one in rendered.split(mark)[:-1]]

    def _render(self, file: Mapping[str, Any], templar: Any, text: str, variables: Mapping[str, Any]) -> str:
        templar.available_variables = {**self._variables, **variables}
        rendered = templar.template(
            trust_as_template(text), escape_backslashes=False, overrides={"trim_blocks": True, "lstrip_blocks": True}
        )
        if not isinstance(rendered, str):
            raise AnsibleActionFail(
                f"{file['path']}: template {file['template']!r} gives no text but a {type(rendered).__name__}"
            )
        return rendered

    def _find(self, file: Mapping[str, Any]) -> tuple[Any, str]:
        """Returns a templar that finds what the template includes, and the template's text."""
        source, text = self._read("templates", file["template"], file["path"])
        directory = os.path.dirname(source)
        if directory not in self._templars:
            # A new templar finds and wraps every filter anew.
            searchpath = [directory, *self._search_path]
            self._templars[directory] = self._action._templar.copy_with_new_env(searchpath=searchpath)
        return self._templars[directory], text

    def _read(self, folder: str, name: str, path: str) -> tuple[str, str]:
        """Returns where a file of the role is, and its text."""
        try:
            source = self._action._find_needle(folder, name)
        except AnsibleError as exc:
            raise AnsibleActionFail(f"{path}: there is no {name!r} in the folder {folder}") from exc
        return source, self._action._loader.get_text_file_contents(source)


def without_last_newline(text: str) -> str:
    """Returns a template as Jinja takes it by itself: without the newline at its end."""
    return text[:-1] if text.endswith("\n") else text


def with_newlines_of(template: str, rendered: str) -> str:
    """Returns a rendered text with at least as many newlines at its end as its template has, as Ansible does it."""
    missing = trailing_newlines(template) - trailing_newlines(rendered)
    return rendered + "\n" * missing


def trailing_newlines(text: str) -> int:
    """Returns the number of newlines at the end."""
    return len(text) - len(text.rstrip("\n"))


def pending(texts: Mapping[str, str], links: list[dict[str, Any]], result: Mapping[str, Any]) -> dict[str, Any]:
    """The hashes of what would be written, by path: whoever tells what a change concerns cannot read it on the host."""
    targets = {link["path"]: {"target": link["target"]} for link in links}
    written = {path: pending_digests(texts[path]) for path in result.get("rewritten_paths", ()) if path in texts}
    led_anew = {path: targets[path] for path in result.get("changed_paths", ()) if path in targets}
    return {**written, **led_anew, **{path: {} for path in result.get("removed_paths", ())}}


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


def paths(entry: Mapping[str, Any], items: Sequence[Mapping[str, Any]] | None) -> list[str]:
    """Returns the path of each thing that an entry of `directories` or `files` stands for."""
    return [entry["path"]] if items is None else [path_of(entry, item) for item in items]


def removals(args: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns entries of `purge` for all files; a directory of the same task goes with its last file."""
    own = {entry["path"] for entry in args["directories"]}
    found = []
    for file in args["files"]:
        parent = os.path.dirname(file["path"])
        base = os.path.dirname(parent) if parent in own else parent
        found.append({"directory": base, "pattern": os.path.relpath(file["path"], base), "keep": []})
    return found


def path_of(entry: Mapping[str, Any], item: Mapping[str, Any]) -> str:
    """Returns the path for one entry of `for_each`."""
    try:
        return str(entry["path"].format(**item))
    except (KeyError, IndexError, ValueError) as exc:
        raise AnsibleActionFail(
            f"path {entry['path']!r} does not fit for_each, whose entries have {', '.join(sorted(item))}: {exc!r}"
        ) from exc
