# SPDX-License-Identifier: GPL-3.0-or-later
"""Three disposable hosts, of which the first one is a whole fleet at the beginning and at the end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.load.fleet import LET_IN
from tools.layers import with_release
from tools.runs import Fleet, disposable_fleet

_HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="session")
def three() -> Iterator[Fleet]:
    """The fleet on three hosts, bare apart from the release; nothing is deployed yet."""
    suite = os.environ.get("MOLECULE_SUITE", "trixie")
    address = f"{os.environ.get('MOLECULE_NETWORK', '10.88.124')}.10"
    with disposable_fleet(
        _HERE / "three",
        machine=f"growing-{suite}",
        address=address,
        suite=suite,
        variables={"synapse_extra_config": LET_IN},
        layers=with_release(("matrix1", "app1"), suite),
    ) as made:
        yield made


@pytest.fixture(scope="session")
def one(three: Fleet) -> Fleet:
    """The same first host, alone in its inventory."""
    return replace(three, inventory=_HERE / "one")
