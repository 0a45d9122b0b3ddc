# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines that are gone for some time, under load."""

from __future__ import annotations

from benchmarks.chaos import HEADS, Chaos, cut_off, edge_gone, row
from tools.docs_tables import table


def test_a_host_of_workers_may_be_cut_off_the_network(several: Chaos) -> None:
    several.attempt(cut_off(several, "app1", "a host of workers cut off the network for 20 s", 20))


def test_an_edge_may_be_gone(several: Chaos) -> None:
    several.attempt(edge_gone(several, "edge2", 10))


def test_nothing_was_lost(several: Chaos) -> None:
    """The load has to stop for that."""
    several.load.stop()
    figures = several.figures()
    print(table(HEADS, map(row, figures)))
    assert several.load.report().moves > 0, "no client has gone to the other edge"
    assert [entry.name for entry in figures if entry.lost] == []
    assert [entry.name for entry in figures if entry.late] == []
    assert not several.load.verification.problems, several.load.verification.problems
