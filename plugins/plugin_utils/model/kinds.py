# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of values that inputs take: how a text becomes such a value, and what it must be.

An inventory in YAML has values with types. The command line (``-e name=value``), INI files and the environment have
texts. Both are read here, and nowhere else.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from . import texts, values
from .values import Check, Problem

Convert = Callable[[Any], Any]
"""Returns what a text stands for, and anything that it cannot read as it is: the check refuses that."""

_TRUE = frozenset({"true", "yes", "on", "y", "t", "1"})
_FALSE = frozenset({"false", "no", "off", "n", "f", "0"})
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_DECIMAL = re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?")


def to_boolean(value: Any) -> Any:
    """Reads true and false as Ansible does."""
    word = str(value).strip().lower() if isinstance(value, str | int) else ""
    return True if word in _TRUE else False if word in _FALSE else value


def to_whole_number(value: Any) -> Any:
    """Reads a whole number."""
    return int(value) if isinstance(value, str) and _WHOLE.fullmatch(value.strip()) else value


def to_number(value: Any) -> Any:
    """Reads a number."""
    if isinstance(value, str) and _DECIMAL.fullmatch(value.strip()):
        return float(value) if "." in value else int(value)
    return value


def to_text(value: Any) -> Any:
    """Reads a number as its digits: where a text is wanted, YAML needs no quotes around them."""
    return str(value) if values.is_whole_number(value) else value


def to_mapping(value: Any) -> Any:
    """Reads a mapping that is written as JSON, or as Python writes it."""
    return _structure(value, "{", dict)


def to_list(value: Any) -> Any:
    """Reads a list that is written as JSON, as Python writes it, or with commas."""
    if not isinstance(value, str):
        return value
    if value.strip().startswith("["):
        return _structure(value, "[", list)
    return [part.strip() for part in value.split(",") if part.strip()]


def _structure(value: Any, begin: str, wanted: type) -> Any:
    text = value.strip() if isinstance(value, str) else ""
    if not text.startswith(begin):
        return value
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(found, wanted):
            return values.plain(found)
    return value


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What values an input takes.

    Attributes:
        type: the name of the type in Ansible's argument specs.
        convert: returns what a text stands for.
        check: returns None, or the reason and the fix for a value that cannot be. The reason has no part of the value.
        elements: the type of the elements of a list.
        choices: the words that there are, if they are few.
    """

    type: str
    convert: Convert
    check: Check
    elements: str | None = None
    choices: tuple[str, ...] = ()

    def limited(self, check: Check) -> Kind:
        """Returns the kind with one more check, of values that have the right type."""
        return replace(self, check=all_of(self.check, check))


def all_of(*checks: Check) -> Check:
    """Returns a check that does several, and reports the first problem."""

    def check(value: Any) -> Problem | None:
        return next((problem for one in checks if (problem := one(value)) is not None), None)

    return check


boolean = Kind(type="bool", convert=to_boolean, check=values.boolean)
mapping = Kind(type="dict", convert=to_mapping, check=values.mapping)
entries = Kind(type="list", elements="raw", convert=to_list, check=values.list_of_entries)


def number(low: int, high: int, unit: str) -> Kind:
    """Returns the kind of whole numbers in a range."""
    return Kind(type="int", convert=to_whole_number, check=values.number(low, high, unit))


def one_of(known: Iterable[str]) -> Kind:
    """Returns the kind of a few words."""
    words = tuple(known)
    return Kind(type="str", convert=to_text, check=values.one_of(words), choices=words)


def text(check: Check, *, type: str = "str") -> Kind:  # noqa: A002  # Ansible's word
    """Returns the kind of texts that a check admits."""
    return Kind(type=type, convert=to_text, check=check)


def matching(pattern: str, reason: str, fix: str, *, type: str = "str") -> Kind:  # noqa: A002  # Ansible's word
    """Returns the kind of texts of a form."""
    return text(values.matches(re.compile(pattern, re.ASCII), reason, fix), type=type)


port = number(1, 65535, "a port")
name_in_unit = matching(
    r"[a-z][a-z0-9_]*",
    "it becomes part of the names of files and of a unit",
    "Use lower-case letters, digits and underscores only, or leave it out.",
)


def list_of(check: Check, elements: str = "str") -> Kind:
    """Returns the kind of lists that a check admits."""

    def convert(value: Any) -> Any:
        found = to_list(value)
        return [to_text(entry) for entry in found] if elements == "str" and isinstance(found, list) else found

    return Kind(type="list", elements=elements, convert=convert, check=check)


def list_of_texts(what: str, fix: str, pattern: str = r"[^\x00-\x1f\x7f]+") -> Kind:
    """Returns the kind of lists of texts of one line."""
    form = re.compile(pattern)

    def check(value: Any) -> Problem | None:
        good = isinstance(value, list) and all(isinstance(entry, str) and form.fullmatch(entry) for entry in value)
        return None if good else (f"it is a list of {what}", fix)

    return list_of(check)


def _texts_of_mapping(value: Any) -> Any:
    found = to_mapping(value)
    return {key: to_text(entry) for key, entry in found.items()} if isinstance(found, dict) else found


environment = Kind(type="dict", convert=_texts_of_mapping, check=texts.environment)
texts_by_name = Kind(type="dict", convert=_texts_of_mapping, check=values.mapping)


__all__ = (
    "Kind",
    "all_of",
    "boolean",
    "entries",
    "environment",
    "list_of",
    "list_of_texts",
    "mapping",
    "matching",
    "name_in_unit",
    "number",
    "one_of",
    "port",
    "text",
    "texts_by_name",
)
