# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run does, as the fact ``run_context`` says: deploy, check, or render."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Mode = Literal["deploy", "check", "render"]
"""Whether a run deploys, only compares, or writes files on the controller."""

FACT = "run_context"
"""The fact that the role ``run`` sets."""


@dataclass(frozen=True)
class Context:
    """What a run does.

    Attributes:
        mode: ``deploy``, ``check`` or ``render``.
        root: the directory on the controller to which a run renders.
    """

    mode: str = "deploy"
    root: str = ""

    @classmethod
    def of(cls, variables: Mapping[str, Any]) -> Context:
        """Returns the context of a task; without the fact, a task deploys.

        Args:
            variables: the variables of the task.
        """
        fact = variables.get(FACT) or {}
        return cls(mode=str(fact.get("mode", "deploy")), root=str(fact.get("root", "")))

    @property
    def renders(self) -> bool:
        """Returns whether files are written below ``root`` instead of to hosts."""
        return self.mode == "render"

    def wanted(self, entries: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Returns the entries that this run writes: those without a mode, or with the mode of this run."""
        return [entry for entry in entries if entry["only"] in (None, self.mode)]


__all__ = ("FACT", "Context", "Mode")
