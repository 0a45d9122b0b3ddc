# SPDX-License-Identifier: GPL-3.0-or-later
"""A unit runs with the file that is there now, whichever run has written it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.baremetal.synapse.plugins.modules import unit_current

from tests.unit.fake_systemd import FakeSystemd, install, run_module

UNIT = "synapse-watchdog.service"


@pytest.fixture
def systemd(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeSystemd:
    return install(monkeypatch, tmp_path)


def write(systemd: FakeSystemd, path: str, ago: float) -> None:
    """Writes a file of units some time ago."""
    file = systemd.directory / path
    file.parent.mkdir(exist_ok=True)
    file.write_text("")
    os.utime(file, (time.time() - ago,) * 2)
    os.utime(file.parent, (time.time() - ago,) * 2)


Runner = Callable[..., str]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Runner:
    """Runs the module, and returns the action."""

    def act(*, check: bool = False, pending: bool = False) -> str:
        result = run_module(unit_current.main, capsys, {"unit": UNIT, "pending": pending}, check=check)
        assert result["changed"] == (result["action"] != "none")
        return str(result["action"])

    return act


def test_a_unit_that_runs_with_its_file_is_left_alone(systemd: FakeSystemd, run: Runner) -> None:
    systemd.add(UNIT, "active", enabled=True, age=10)
    write(systemd, UNIT, ago=20)
    assert run() == "none"
    assert systemd.calls == []


@pytest.mark.parametrize("path", [UNIT, f"{UNIT}.d/operator.conf"])
def test_a_unit_older_than_its_file_is_restarted(systemd: FakeSystemd, run: Runner, path: str) -> None:
    """An earlier run may have written it, and been cut off."""
    systemd.add(UNIT, "active", enabled=True, age=20)
    write(systemd, UNIT, ago=30)
    write(systemd, path, ago=10)
    assert run() == "restart"
    assert [call[0] for call in systemd.calls] == ["daemon-reload", "enable", "restart"]


def test_a_unit_that_does_not_run_is_started(systemd: FakeSystemd, run: Runner) -> None:
    systemd.add(UNIT)
    write(systemd, UNIT, ago=10)
    assert run() == "start"
    assert systemd.states() == {UNIT: "active"}
    assert systemd.is_enabled(UNIT)


def test_a_unit_that_runs_only_until_the_next_boot_is_enabled(systemd: FakeSystemd, run: Runner) -> None:
    systemd.add(UNIT, "active", age=10)
    write(systemd, UNIT, ago=20)
    assert run() == "enable"
    assert systemd.is_enabled(UNIT)
    assert systemd.units[UNIT].starts == 0


def test_a_check_changes_nothing_and_knows_what_the_run_would_write(systemd: FakeSystemd, run: Runner) -> None:
    systemd.add(UNIT, "active", enabled=True, age=10)
    write(systemd, UNIT, ago=20)
    assert run(check=True) == "none"
    assert run(check=True, pending=True) == "restart"
    assert systemd.calls == []


def test_a_check_of_a_bare_host_works(systemd: FakeSystemd, run: Runner) -> None:
    assert run(check=True, pending=True) == "start"
    assert systemd.calls == []
