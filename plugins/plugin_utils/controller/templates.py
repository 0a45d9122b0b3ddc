# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates and texts of files, printed on the controller."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from uuid import uuid4

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.template import trust_as_template


class Finder(Protocol):
    """What knows where templates and files are: an action plugin, or the scope of a role."""

    _loader: Any
    _templar: Any

    def _find_needle(self, dirname: str, needle: str) -> str: ...


class Templates:
    """The templates of one task, each compiled once: that costs far more than printing it."""

    def __init__(
        self, finder: Finder, task_vars: Mapping[str, Any], items: Sequence[Mapping[str, Any]] | None = None
    ) -> None:
        """Takes what all templates see.

        Args:
            finder: what knows where templates are.
            task_vars: the variables of the task.
            items: those of ``for_each``, None without it.
        """
        self._finder = finder
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
            # A new templar finds and wraps every filter again.
            searchpath = [directory, *self._search_path]
            self._templars[directory] = self._finder._templar.copy_with_new_env(searchpath=searchpath)
        return self._templars[directory], text

    def _read(self, folder: str, name: str, path: str) -> tuple[str, str]:
        """Returns where a file of the role is, and its text."""
        try:
            source = self._finder._find_needle(folder, name)
        except AnsibleError as exc:
            raise AnsibleActionFail(f"{path}: there is no {name!r} in the folder {folder}") from exc
        return source, self._finder._loader.get_text_file_contents(source)


def without_last_newline(text: str) -> str:
    """Returns a template without the newline at its end, as Jinja reads it."""
    return text[:-1] if text.endswith("\n") else text


def with_newlines_of(template: str, rendered: str) -> str:
    """Returns a rendered text with at least as many newlines at its end as its template has, as Ansible does it."""
    missing = trailing_newlines(template) - trailing_newlines(rendered)
    return rendered + "\n" * missing


def trailing_newlines(text: str) -> int:
    """Returns the number of newlines at the end."""
    return len(text) - len(text.rstrip("\n"))


__all__ = ("Finder", "Templates", "trailing_newlines", "with_newlines_of", "without_last_newline")
