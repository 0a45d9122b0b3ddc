# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet on one host and a fleet on two, deployed, before their walks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.choice import Choice
from tools.layers import ensure
from tools.runs import Fleet, disposable_fleet

from .walk import NAME, SECONDS
from .wishes import Wishes, first_wishes

_TWO = Path(__file__).resolve().parent / "inventory"
# A walk of that many seconds begins with this release, on bare hosts, and may upgrade.
_LONG_SECONDS, _OLD_RELEASE = 600, "1.152.1"
# The plan of a run is read from its output.
_ENVIRONMENT = {"ANSIBLE_CALLBACK_RESULT_FORMAT": "json"}
_CHOICE = Choice.of(NAME, SECONDS)


def pytest_report_header() -> str:
    """Returns what repeats these tests."""
    return f"walks: {_CHOICE}"


@pytest.fixture(scope="session")
def choice() -> Choice:
    """The seed and the time."""
    return _CHOICE


@contextmanager
def _deployed(example: str | Path, number: int, choice: Choice) -> Iterator[tuple[Fleet, Wishes]]:
    suite = os.environ.get("MOLECULE_SUITE", "trixie")
    address = f"{os.environ.get('MOLECULE_NETWORK', '10.88.122')}.{number}"
    long = choice.size >= _LONG_SECONDS
    with disposable_fleet(
        example,
        machine=f"scaling-{suite}",
        address=address,
        suite=suite,
        layers=None if long else ensure("single_host", suite),
    ) as made:
        fleet = replace(made, environment=_ENVIRONMENT)
        wishes = first_wishes(fleet.hosts, _OLD_RELEASE if long else None)
        for host in fleet.hosts:
            fleet.set_variables(host=host, **wishes.of_host(host))
        run = fleet.run()
        assert run.code == 0, run.output[-4000:]
        yield fleet, wishes


@pytest.fixture
def one(choice: Choice) -> Iterator[tuple[Fleet, Wishes]]:
    """inventories/single_host, started from its layer."""
    with _deployed("single_host", 10, choice) as made:
        yield made


@pytest.fixture
def two(choice: Choice) -> Iterator[tuple[Fleet, Wishes]]:
    """Two hosts, of which the first one starts from the layer of inventories/single_host."""
    with _deployed(_TWO, 20, choice) as made:
        yield made
