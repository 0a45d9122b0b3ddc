# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's half of file_set: what is to be written, and how it gets to a host or into a rendered tree."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible import constants as C  # noqa: N812  # its name everywhere in Ansible
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.baremetal.synapse.plugins.module_utils._file_set import FileSetError, encode, report
from ansible_collections.baremetal.synapse.plugins.module_utils._fingerprint import pending_digests

from ..rendering.context import Context
from ..rendering.tree import Rendered, Wanted
from .templates import Templates

PENDING = "run_pending"
"""The fact of what a run would write, were it not in check mode."""

Entry = dict[str, Any]


@dataclass(frozen=True)
class FileSet:
    """What a host is to have, as the module takes it.

    Attributes:
        directories: directories to create.
        files: files to write, with their texts as ``content``.
        links: symbolic links to set.
        purge: where files are removed.
    """

    directories: list[Entry] = field(default_factory=list)
    files: list[Entry] = field(default_factory=list)
    links: list[Entry] = field(default_factory=list)
    purge: list[Entry] = field(default_factory=list)

    @property
    def paths(self) -> set[str]:
        """The paths of all directories, files and links."""
        return {entry["path"] for entry in (*self.directories, *self.files, *self.links)}


def joined(sets: Iterable[FileSet]) -> FileSet:
    """Returns one set of all files of several."""
    whole = FileSet()
    for one in sets:
        # Several sets may name one directory; the first says what it is like.
        known = {entry["path"] for entry in whole.directories}
        whole.directories.extend(entry for entry in one.directories if entry["path"] not in known)
        whole.files.extend(one.files)
        whole.links.extend(one.links)
        whole.purge.extend(one.purge)
    return whole


def assemble(args: Mapping[str, Any], templates: Templates, context: Context) -> FileSet:
    """Returns what the arguments of file_set stand for, with every template printed.

    Args:
        args: the arguments, checked and with their defaults.
        templates: the templates, with the variables that they see.
        context: what the run does.
    """
    items = args["for_each"]
    files = [
        {"path": path, "content": content, **{key: file[key] for key in ("mode", "owner", "group", "sensitive")}}
        for file in context.wanted(args["files"])
        for path, content in zip(paths(file, items), templates.contents(file), strict=True)
    ]
    directories = [
        {"path": path, **{key: directory[key] for key in ("mode", "owner", "group")}}
        for directory in args["directories"]
        for path in paths(directory, items)
    ]
    links = [{key: link[key] for key in ("path", "target")} for link in context.wanted(args["links"])]
    purge = [*args["purge"], *(removals(args) if args["remove_if_none"] and items == [] else [])]
    return FileSet(directories=directories, files=files, links=links, purge=purge)


def deliver(
    action: ActionBase, task_vars: dict[str, Any], wanted: FileSet, context: Context, *, first: bool = False
) -> dict[str, Any]:
    """Writes a set to the host of the task, or below the directory of a rendering; returns the result of the task.

    Args:
        action: the action.
        task_vars: the variables of the task.
        wanted: the set.
        context: what the run does.
        first: it is the first set of a run; the pending files of earlier ones are forgotten.
    """
    check_mode, diff = action._task.check_mode, action._task.diff
    if context.renders:
        tree = f"{context.root}/{task_vars['inventory_hostname']}"
        return write_tree(tree, as_tree(wanted), check_mode=check_mode, diff=diff)
    texts = {file["path"]: file["content"] for file in wanted.files}
    module_args = {
        "directories": wanted.directories,
        "files": [{**file, "content": encode(file["content"])} for file in wanted.files],
        "links": wanted.links,
        "purge": wanted.purge,
    }
    result: dict[str, Any] = action._execute_module(
        "baremetal.synapse.file_set", module_args=module_args, task_vars=task_vars
    )
    if check_mode:
        # What an earlier run or playbook would have written does not count.
        known = {} if first else task_vars.get("ansible_facts", {}).get(PENDING, {})
        result["ansible_facts"] = {PENDING: {**known, **pending(texts, wanted.links, result)}}
    return result


def as_tree(wanted: FileSet) -> list[Wanted]:
    """Returns a set as the parts of a rendered tree."""
    return [
        *(Wanted(path=entry["path"], mode=entry["mode"]) for entry in wanted.directories),
        *(
            Wanted(
                path=entry["path"],
                content=entry["content"].encode(),
                mode=entry["mode"],
                sensitive=entry["sensitive"],
            )
            for entry in wanted.files
        ),
        *(Wanted(path=entry["path"], target=entry["target"]) for entry in wanted.links),
    ]


def pending(texts: Mapping[str, str], links: Sequence[Mapping[str, Any]], result: Mapping[str, Any]) -> dict[str, Any]:
    """The hashes of the files that would be written, by path: a survey cannot read them on the host."""
    targets = {link["path"]: {"target": link["target"]} for link in links}
    written = {path: pending_digests(texts[path]) for path in result.get("rewritten_paths", ()) if path in texts}
    led_anew = {path: targets[path] for path in result.get("changed_paths", ()) if path in targets}
    return {**written, **led_anew, **{path: {} for path in result.get("removed_paths", ())}}


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


def check_modes(args: Mapping[str, Any]) -> None:
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


__all__ = ("PENDING", "FileSet", "assemble", "check_modes", "deliver", "joined", "paths", "removals")
