# SPDX-License-Identifier: GPL-3.0-or-later
"""One disposable host for all tests of runs; they build on each other, in the order of the file."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tools.runs import Fleet, disposable_fleet

# In extra_config, so that the search for secrets in output has one of the operator's own to look for.
OPERATORS_SECRET = "turn-secret-of-the-operator"


@pytest.fixture(scope="session")
def fleet() -> Iterator[Fleet]:
    """A bare Debian for inventories/single_host."""
    # Its upgrade is one of the tests.
    variables = {
        "synapse_version": "1.152.1",
        "synapse_extra_config": {"turn_shared_secret": OPERATORS_SECRET},
        "synapse_hide_config": True,
    }
    suite = os.environ.get("MOLECULE_SUITE", "trixie")
    address = f"{os.environ.get('MOLECULE_NETWORK', '10.88.100')}.10"
    with disposable_fleet(
        "single_host", machine=f"runs-{suite}", address=address, suite=suite, variables=variables
    ) as made:
        yield made


@pytest.fixture(scope="session")
def outputs() -> list[str]:
    """Everything that Ansible wrote in these tests."""
    return []
