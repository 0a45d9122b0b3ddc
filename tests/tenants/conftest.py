# SPDX-License-Identifier: GPL-3.0-or-later
"""One disposable host that serves a shop; the tests build on each other, in the order of the file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.runs import Fleet, disposable_fleet

_HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="session")
def fleet() -> Iterator[Fleet]:
    """A host with PostgreSQL, Redis and nginx of a shop."""
    suite = os.environ.get("MOLECULE_SUITE", "trixie")
    address = f"{os.environ.get('MOLECULE_NETWORK', '10.88.110')}.10"
    with disposable_fleet(_HERE / "inventory", machine=f"tenants-{suite}", address=address, suite=suite) as made:
        made.shell((_HERE / "prepare.sh").read_text())
        yield made
