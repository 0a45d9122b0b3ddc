# SPDX-License-Identifier: GPL-3.0-or-later
"""When the units of a host last changed: after systemd has read them, each one has to be asked for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.baremetal.synapse.plugins.module_utils._systemd import newest_change

LONG_AGO, NOW = 1_000_000.0, 2_000_000.0


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """Returns a directory with a unit, a drop-in and what a target wants, all of them old."""
    for name in ("a.service", "a.service.d/one.conf", "all.target.wants/a.service"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "gone.service").symlink_to(tmp_path / "nowhere")
    paths = [*tmp_path.rglob("*"), tmp_path]
    for path in paths:
        os.utime(path, (LONG_AGO, LONG_AGO), follow_symlinks=False)
    return tmp_path


def changed(path: Path) -> None:
    os.utime(path, (NOW, NOW))


def test_what_is_old_is_old(units: Path) -> None:
    assert newest_change([units, units / "does-not-exist"]) == LONG_AGO


@pytest.mark.parametrize("name", ["a.service", "a.service.d/one.conf", "a.service.d", "."])
def test_a_unit_or_a_drop_in_that_changed_came_or_went_is_seen(units: Path, name: str) -> None:
    changed(units / name)
    assert newest_change([units]) == NOW


def test_what_a_target_wants_is_no_part_of_a_unit(units: Path) -> None:
    changed(units / "all.target.wants")
    assert newest_change([units]) == LONG_AGO
