# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleets that things happen to: one on one host, one on three, each under load until its last test."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from benchmarks.chaos import SEVERAL, Chaos, deployed, network
from tools.layers import ensure, with_release

# Checked more often than by default, to save time: deaf after 15 to 20 seconds.
WATCHDOG = {"watchdog_interval": 5, "watchdog_grace": 20}


def _suite() -> str:
    return os.environ.get("MOLECULE_SUITE", "trixie")


@pytest.fixture(scope="module")
def one() -> Iterator[Chaos]:
    """inventories/single_host, started from the layer of the same example."""
    suite = _suite()
    with deployed(
        "single_host",
        f"chaos-{suite}",
        network(10),
        suite=suite,
        variables=WATCHDOG,
        layers=ensure("single_host", suite),
    ) as chaos:
        yield chaos


@pytest.fixture(scope="module")
def several() -> Iterator[Chaos]:
    """Three hosts that are bare apart from the release, two of them edges."""
    suite = _suite()
    with deployed(
        SEVERAL,
        f"chaos-{suite}",
        network(20),
        suite=suite,
        edges=("main1", "edge2"),
        layers=with_release(("main1", "app1"), suite),
    ) as chaos:
        yield chaos
