# SPDX-License-Identifier: GPL-3.0-or-later
"""Verdicts are counted and added."""

from __future__ import annotations

from collections import Counter

from ansible_collections.baremetal.synapse.plugins.module_utils.conformance.verdict import Verdict, verdict_table


def test_the_table_counts() -> None:
    verdict = Verdict(requests=7, misrouted=["a", "b"], leaks=["c"])
    header, _, line = verdict_table([("full", verdict)]).splitlines()
    assert dict(zip(*([cell.strip() for cell in row.split("|")[1:-1]] for row in (header, line)), strict=True)) == {
        "inventory": "full",
        "requests": "7",
        "misrouted": "2",
        "at a non-writer": "0",
        "leaks": "1",
        "broken affinities": "0",
        "left on main": "0",
        "kept": "0",
    }


def test_verdicts_are_added() -> None:
    verdict = Verdict(requests=1, misrouted=["a"], kept={"k"}, per_process=Counter(main=1))
    more = Verdict(requests=2, at_non_writers=["b"], leaks=["c"], broken_affinities=["d"], per_process=Counter(main=2))
    verdict.add(more)
    assert verdict.wrong == ["misrouted: a", "write at a non-writer: b", "leak: c", "broken affinity: d"]
    assert (verdict.requests, verdict.kept, verdict.per_process) == (3, {"k"}, Counter(main=3))
