# SPDX-License-Identifier: GPL-3.0-or-later
"""The one kind of error that the model raises: what is wrong with the inventory, and how to fix it."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class TopologyError(ValueError):
    """A wrong inventory, reported as variable, value, reason and fix.

    Args:
        variable: the variable as the operator writes it, with the path inside it (``generic_workers.sync.count``).
        value: what was found there.
        reason: why it cannot be, without a full stop.
        fix: what to write instead, a whole sentence.
        host: the host whose variable it is, if it is not the same everywhere.
    """

    def __init__(self, variable: str, value: object, reason: str, fix: str, host: str | None = None) -> None:
        self.variable = variable
        self.value = value
        self.reason = reason
        self.fix = fix
        self.host = host
        where = f" on host {host}" if host else ""
        shown = "not set" if value is None else repr(value)
        super().__init__(f"{variable}{where} is {shown}: {reason}. {fix}")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Returns a sentence that names the nearest known word, or all of them if none is near."""
    names = sorted(known)
    if not names:
        return "There is none at all."
    near = get_close_matches(word, names, n=1)
    return f"Did you mean '{near[0]}'?" if near else f"Known are: {', '.join(names)}."
