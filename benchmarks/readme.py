# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts the tables of the benchmarks into the documentation, between their markers."""

from __future__ import annotations

import re

from tools.runs import ROOT

PERFORMANCE = "docs/performance.md"


def write_table(marked: re.Pattern[str], table: str, file: str = "README.md") -> None:
    """Replaces what is between the markers of a benchmark.

    Args:
        marked: what matches the whole block; its two groups are the markers.
        table: what belongs between them.
        file: the file, relative to the root of the checkout.

    Raises:
        SystemExit: the markers are not there, or several times.
    """
    path = ROOT / file
    text, count = marked.subn(lambda match: f"{match[1]}{table}\n{match[2]}", path.read_text())
    if count != 1:
        raise SystemExit(f"{file} has lost the markers of the benchmark")
    path.write_text(text)


def write_measured(name: str, table: str) -> None:
    """Replaces the block of that name in docs/performance.md.

    Raises:
        SystemExit: its markers are not there, or several times.
    """
    name = re.escape(name)
    write_table(re.compile(rf"(<!-- {name}: measured -->\n).*?(<!-- end of {name} -->)", re.DOTALL), table, PERFORMANCE)
