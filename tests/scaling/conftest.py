# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet on one host or on two, deployed, before its walk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.choice import Choice
from tools.layers import ensure, with_release
from tools.runs import Fleet, disposable_fleet

from .walk import NAME, SECONDS
from .wishes import Wishes, first_wishes

# inventories/single_host, and two hosts: the first one starts from its layer, the second one has the release alone.
_EXAMPLES: dict[str, str | Path] = {"one": "single_host", "two": Path(__file__).resolve().parent / "inventory"}
# Walks of that many seconds are on both fleets, and begin with this release, on bare hosts, and may upgrade.
_LONG_SECONDS, _OLD_RELEASE = 600, "1.152.1"
# The plan of a run is read from its output.
_ENVIRONMENT = {"ANSIBLE_CALLBACK_RESULT_FORMAT": "json"}
_CHOICE = Choice.of(NAME, SECONDS)


def pytest_report_header() -> str:
    """Returns what repeats these tests."""
    return f"walks: {_CHOICE}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Walks on both fleets if there is time, else on the one that the seed chooses."""
    names = list(_EXAMPLES)
    chosen = names if _CHOICE.size >= _LONG_SECONDS else [names[_CHOICE.seed % len(names)]]
    if "fleet" in metafunc.fixturenames:
        metafunc.parametrize("fleet", chosen, indirect=True)


@pytest.fixture(scope="session")
def choice() -> Choice:
    """The seed and the time."""
    return _CHOICE


@pytest.fixture
def fleet(request: pytest.FixtureRequest, choice: Choice) -> Iterator[tuple[Fleet, Wishes]]:
    """A fleet and its inventory."""
    suite = os.environ.get("MOLECULE_SUITE", "trixie")
    address = f"{os.environ.get('MOLECULE_NETWORK', '10.88.122')}.10"
    long = choice.size >= _LONG_SECONDS
    layers = {} if long else {**with_release(["app2"], suite), **ensure("single_host", suite)}
    with disposable_fleet(
        _EXAMPLES[request.param],
        machine=f"scaling-{suite}",
        address=address,
        suite=suite,
        layers=layers,
    ) as made:
        fleet = replace(made, environment=_ENVIRONMENT)
        wishes = first_wishes(fleet.hosts, _OLD_RELEASE if long else None)
        for host in fleet.hosts:
            fleet.set_variables(host=host, **wishes.of_host(host))
        run = fleet.run()
        assert run.code == 0, run.output[-4000:]
        yield fleet, wishes
