# SPDX-License-Identifier: GPL-3.0-or-later
"""One disposable host for all changes; they build on each other, in the order of the file."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from benchmarks.load.fleet import LET_IN
from tools.layers import ensure
from tools.runs import Fleet, disposable_fleet

from .changes import READERS, WORKERS


@pytest.fixture(scope="session")
def fleet() -> Iterator[Fleet]:
    """A deployed fleet on one host with UNIX sockets, started from the layer of inventories/single_host."""
    suite = os.environ.get("MOLECULE_SUITE", "trixie")
    address = f"{os.environ.get('MOLECULE_NETWORK', '10.88.122')}.10"
    variables = {
        **WORKERS,
        "generic_workers": READERS,
        "synapse_extra_config": LET_IN,
    }
    with disposable_fleet(
        "single_host",
        machine=f"scaling-{suite}",
        address=address,
        suite=suite,
        variables=variables,
        layers=ensure("single_host", suite),
    ) as made:
        run = made.run()
        assert run.code == 0, run.output[-4000:]
        yield made
