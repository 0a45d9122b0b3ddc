# SPDX-License-Identifier: GPL-3.0-or-later
"""What each release needs of a host."""

from __future__ import annotations

import pytest
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.releases import (
    parse_release,
    postgres_minimum,
    python_minimum,
)


@pytest.mark.parametrize(
    ("release", "postgres", "python"),
    [
        ("1.130.0", 13, (3, 9)),
        ("1.141.0", 13, (3, 9)),
        ("1.142.0", 13, (3, 10)),
        ("1.142.1", 13, (3, 10)),
        ("1.143.0", 14, (3, 10)),
        ("1.163.2", 14, (3, 10)),
    ],
)
def test_a_release_tells_what_it_needs(release: str, postgres: int, python: tuple[int, int]) -> None:
    release_read = parse_release(release)
    assert (postgres_minimum(release_read), python_minimum(release_read)) == (postgres, python)
