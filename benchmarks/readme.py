# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts the tables of the benchmarks into README.md, between their markers."""

from __future__ import annotations

import re

from tools.runs import ROOT


def write_table(marked: re.Pattern[str], table: str) -> None:
    """Replaces what stands between the markers of a benchmark.

    Args:
        marked: what matches the whole block; its two groups are the markers.
        table: what belongs between them.

    Raises:
        SystemExit: the markers are not there, or several times.
    """
    readme = ROOT / "README.md"
    text, count = marked.subn(lambda match: f"{match[1]}{table}\n{match[2]}", readme.read_text())
    if count != 1:
        raise SystemExit("README.md has lost the markers of the benchmark")
    readme.write_text(text)
