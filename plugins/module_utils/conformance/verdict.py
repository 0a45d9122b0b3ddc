# SPDX-License-Identifier: GPL-3.0-or-later
"""What a replay has shown, and its table."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import List, Sequence, Set, Tuple


@dataclass
class Verdict:
    """What a replay has shown.

    Attributes:
        requests: how many were sent.
        misrouted: at a process that does not serve them, although another one does.
        at_non_writers: writes of a stream at a process that answers 500.
        leaks: what reached a process and must not.
        broken_affinities: what belongs to one process and met several.
        offloadable: what main served although a worker of this fleet could: methods and templates of paths.
        kept: the same, but with a reason: templates of paths.
        on_workers: what workers served: methods and templates of paths.
        per_process: how many requests each process got.
        wrong_per_process: how many of them it cannot answer.
    """

    requests: int = 0
    misrouted: List[str] = field(default_factory=list)
    at_non_writers: List[str] = field(default_factory=list)
    leaks: List[str] = field(default_factory=list)
    broken_affinities: List[str] = field(default_factory=list)
    offloadable: Set[str] = field(default_factory=set)
    kept: Set[str] = field(default_factory=set)
    on_workers: Set[str] = field(default_factory=set)
    per_process: Counter[str] = field(default_factory=Counter)
    wrong_per_process: Counter[str] = field(default_factory=Counter)

    def add(self, other: Verdict) -> None:
        """Adds what another replay has shown."""
        self.requests += other.requests
        for name in ("misrouted", "at_non_writers", "leaks", "broken_affinities"):
            getattr(self, name).extend(getattr(other, name))
        self.offloadable |= other.offloadable
        self.kept |= other.kept
        self.on_workers |= other.on_workers
        self.per_process.update(other.per_process)
        self.wrong_per_process.update(other.wrong_per_process)

    @property
    def wrong(self) -> List[str]:
        """Everything that must not be, one line each."""
        return [
            *(f"misrouted: {line}" for line in self.misrouted),
            *(f"write at a non-writer: {line}" for line in self.at_non_writers),
            *(f"leak: {line}" for line in self.leaks),
            *(f"broken affinity: {line}" for line in self.broken_affinities),
        ]


def verdict_table(rows: Sequence[Tuple[str, Verdict]], title: str = "inventory") -> str:
    """Returns the table of several verdicts."""
    header = (title, "requests", "misrouted", "at a non-writer", "leaks", "broken affinities", "left on main", "kept")
    lines = [
        (
            name,
            str(verdict.requests),
            str(len(verdict.misrouted)),
            str(len(verdict.at_non_writers)),
            str(len(verdict.leaks)),
            str(len(verdict.broken_affinities)),
            str(len(verdict.offloadable)),
            str(len(verdict.kept)),
        )
        for name, verdict in rows
    ]
    widths = [max(len(line[column]) for line in (header, *lines)) for column in range(len(header))]
    found = []
    for line in (header, tuple("-" * width for width in widths), *lines):
        first, *others = (cell.rjust(width) for cell, width in zip(line, widths))
        found.append(f"| {' | '.join([first.strip().ljust(widths[0]), *others])} |")
    return "\n".join(found)


__all__ = ("Verdict", "verdict_table")
