# SPDX-License-Identifier: GPL-3.0-or-later
"""One disposable host for all killed runs."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.support.choice import Choice
from tools.layers import ensure
from tools.runs import Fleet, disposable_fleet

from .points import NAME, RUNS

_CHOICE = Choice.of(NAME, RUNS)


def pytest_report_header() -> str:
    """Returns what repeats these tests."""
    return f"killed runs: {_CHOICE}"


@pytest.fixture(scope="session")
def choice() -> Choice:
    """Where runs are killed."""
    return _CHOICE


@pytest.fixture(scope="session")
def fleet() -> Iterator[Fleet]:
    """inventories/single_host, started from its layer; tests/runs kills first deployments."""
    suite = os.environ.get("MOLECULE_SUITE", "trixie")
    address = f"{os.environ.get('MOLECULE_NETWORK', '10.88.125')}.10"
    with disposable_fleet(
        "single_host",
        machine=f"killed-{suite}",
        address=address,
        suite=suite,
        layers=ensure("single_host", suite),
    ) as made:
        yield made
