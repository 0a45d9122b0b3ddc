# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines that are gone for some time, under load."""

from __future__ import annotations

from benchmarks.chaos import Chaos, absences, told


def test_any_host_may_be_gone_for_a_while(several: Chaos) -> None:
    for trial in absences(several):
        several.attempt(trial)


def test_nothing_was_lost(several: Chaos) -> None:
    """The load has to stop for that."""
    several.load.stop()
    figures = several.figures()
    print(told(figures))
    assert several.load.report().moves > 0, "no client has gone to the other edge"
    assert [entry.name for entry in figures if entry.lost] == []
    assert several.unexplained() == []
    assert not several.load.verification.problems, several.load.verification.problems
