# SPDX-License-Identifier: GPL-3.0-or-later
"""Values that an operator writes: copies of plain types, and checks, which return a reason and a fix, or None."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from .errors import did_you_mean

Problem = tuple[str, str]
"""The reason why a value cannot be, and the fix."""

Check = Callable[[Any], Problem | None]


def plain(value: Any) -> Any:
    """Returns a copy made of exact built-in types: Ansible hands filters subclasses and lazy containers."""
    if value is None or isinstance(value, bool):
        return value
    for exact in (str, int, float):
        if isinstance(value, exact):
            return exact(value)
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, Sequence):
        return [plain(entry) for entry in value]
    return str(value)


def is_whole_number(value: Any) -> bool:
    """Returns whether the value is an integer; YAML's true and false are not."""
    return isinstance(value, int) and not isinstance(value, bool)


def boolean(value: Any) -> Problem | None:
    """Checks for true or false."""
    return None if isinstance(value, bool) else ("it is true or false", "Write true or false, without quotes.")


def mapping(value: Any) -> Problem | None:
    """Checks for a mapping."""
    return None if isinstance(value, dict) else ("it is a mapping", "Write name: value lines below it.")


def list_of_entries(value: Any) -> Problem | None:
    """Checks for a list."""
    return None if isinstance(value, list) else ("it is a list", "Write one '- ' line for each entry.")


def matches(pattern: re.Pattern[str], reason: str, fix: str) -> Check:
    """Returns a check that a value is a string of this form."""

    def check(value: Any) -> Problem | None:
        return None if isinstance(value, str) and pattern.fullmatch(value) else (reason, fix)

    return check


def one_of(known: Iterable[str]) -> Check:
    """Returns a check that a value is one of these."""
    words = list(known)

    def check(value: Any) -> Problem | None:
        return None if value in words else (f"it is one of {', '.join(words)}", did_you_mean(str(value), words))

    return check


def number(low: int, high: int, unit: str) -> Check:
    """Returns a check that a value is a whole number in a range."""

    def check(value: Any) -> Problem | None:
        if is_whole_number(value) and low <= value <= high:
            return None
        return f"it is a whole number of {unit}", f"Set it to a number from {low} to {high}, without quotes."

    return check
