# SPDX-License-Identifier: GPL-3.0-or-later
"""A systemd for tests of modules, which answers their calls to systemctl, and a way to run a module against it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args
from ansible_collections.baremetal.synapse.plugins.module_utils import _systemd

Answer = tuple[int, str, str]
_READ_AT = 2_000_000
_BEFORE, _AFTER = _READ_AT - 1_000, _READ_AT + 1_000
_WANTS = "multi-user.target.wants"


@dataclass
class Unit:
    """A unit that systemd knows.

    Attributes:
        active: its ActiveState.
        masked: it is linked to /dev/null.
        unread: its file has changed since systemd read it.
        failing: so many of the next starts fail.
        limited: it has failed too often, and starts no more until its failures are forgotten.
        starts: how often it was started.
        reloads: how often it was reloaded.
        age: how many seconds ago its main process was started.
    """

    active: str = "inactive"
    masked: bool = False
    unread: bool = False
    failing: int = 0
    limited: bool = False
    starts: int = 0
    reloads: int = 0
    age: float = 0.0


class FakeSystemd:
    """Units, and what systemctl and journalctl do with them.

    Attributes:
        units: the units by their names.
        calls: the arguments of each call that may change something.
        asked: the units whose properties were asked for, one by one.
        on_change: is called with the verb and the units before a call changes something.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.units: dict[str, Unit] = {}
        self.calls: list[list[str]] = []
        self.asked: list[str] = []
        self.on_change: Callable[[str, Sequence[str]], None] = lambda _verb, _units: None
        self._age()

    def add(self, name: str, active: str = "inactive", *, enabled: bool = False, **state: Any) -> Unit:
        """Adds a unit."""
        unit = self.units[name] = Unit(active, **state)
        (self.directory / name).write_text("")
        if enabled:
            self._enable([name])
        self._age()
        if unit.unread:
            os.utime(self.directory / name, (_AFTER, _AFTER))
        return unit

    def is_enabled(self, name: str) -> bool:
        """Tells whether a unit starts at boot."""
        return (self.directory / _WANTS / name).is_symlink()

    def states(self) -> dict[str, str]:
        """Returns the ActiveState of each unit."""
        return {name: unit.active for name, unit in self.units.items()}

    def run(self, command: Sequence[str]) -> Answer:
        """Answers a command as run_command returns it: code, output, errors."""
        program, *arguments = command
        if program == "journalctl":
            return 0, f"why {arguments[-1].removeprefix('--unit=')} failed", ""
        assert program == "systemctl"
        verb, options, names = self._split(arguments)
        if verb == "show":
            return 0, self._show(options, names), ""
        if verb == "list-units":
            return 0, self._list(options), ""
        self.calls.append(list(arguments))
        self.on_change(verb, names)
        errors = [error for name in names or [""] for error in [self._change(verb, name)] if error]
        if verb == "enable" and not errors:
            self._enable(names)
        return (1 if errors else 0), "", "\n".join(errors)

    @staticmethod
    def _split(arguments: Sequence[str]) -> tuple[str, list[str], list[str]]:
        options = [entry for entry in arguments[1:] if entry.startswith("-")]
        return arguments[0], options, [entry for entry in arguments[1:] if not entry.startswith("-")]

    def _show(self, options: Sequence[str], names: Sequence[str]) -> str:
        if "--property=UnitsLoadTimestamp" in options:
            return f"@{_READ_AT}\n"
        if "--property=ExecMainStartTimestampMonotonic" in options:
            (unit,) = (self.units.get(name, Unit()) for name in names)
            return f"{int((time.monotonic() - unit.age) * 1e6) if unit.active == 'active' else 0}\n"
        self.asked.extend(names)
        return "\n".join(
            f"Id={name}\nActiveState={unit.active}\nUnitFileState={self._file_state(name)}\n"
            f"NeedDaemonReload={'yes' if unit.unread else 'no'}\n"
            for name in names
            for unit in [self.units.get(name, Unit())]
        )

    def _file_state(self, name: str) -> str:
        if self.units.get(name, Unit()).masked:
            return "masked"
        return "enabled" if self.is_enabled(name) else "disabled"

    def _list(self, options: Sequence[str]) -> str:
        """Returns the units in memory: systemd forgets those that are inactive."""
        return "".join(
            f"{name} {'masked' if unit.masked else 'loaded'} {unit.active} running Its description\n"
            for name, unit in self.units.items()
            if unit.active != "inactive" and ("--state=active" not in options or unit.active == "active")
        )

    def _change(self, verb: str, name: str) -> str:
        """Does one thing to one unit, and returns why it cannot, or nothing."""
        if verb == "daemon-reload":
            for unit in self.units.values():
                unit.unread = False
            return ""
        found = self.units.get(name)
        if found is None:
            return f"Unit {name} not found."
        if verb in ("start", "restart"):
            return self._start(name, found, again=verb == "restart")
        if verb == "stop":
            found.active = "failed" if found.active == "failed" else "inactive"
        elif verb == "reset-failed":
            found.limited = False
            found.active = "inactive" if found.active == "failed" else found.active
        elif verb == "reload":
            found.reloads += 1
            return "" if found.active == "active" else f"Unit {name} is not active, cannot reload."
        elif verb == "disable":
            (self.directory / _WANTS / name).unlink(missing_ok=True)
        return ""

    @staticmethod
    def _start(name: str, unit: Unit, *, again: bool) -> str:
        if unit.active == "active" and not again:
            return ""
        if unit.masked or unit.limited:
            return f"Unit {name} is masked or was started too often."
        unit.starts += 1
        if unit.failing:
            unit.failing -= 1
            unit.active = "failed"
            return f"Job for {name} failed."
        unit.active = "active"
        return ""

    def _enable(self, names: Iterable[str]) -> None:
        (self.directory / _WANTS).mkdir(exist_ok=True)
        for name in names:
            link = self.directory / _WANTS / name
            if not link.is_symlink():
                link.symlink_to(self.directory / name)

    def _age(self) -> None:
        """Makes all files that no unit is unread for older than what systemd has read."""
        unread = {name for name, unit in self.units.items() if unit.unread}
        for path in (self.directory, *self.directory.iterdir()):
            if path.name not in unread:
                os.utime(path, (_BEFORE, _BEFORE))


def install(monkeypatch: pytest.MonkeyPatch, directory: Path) -> FakeSystemd:
    """Puts a systemd without units in the place of the real one, for all modules."""
    systemd = FakeSystemd(directory)
    monkeypatch.setattr(_systemd, "UNIT_DIR", directory)
    monkeypatch.setattr(_systemd, "SOURCES", (directory,))
    monkeypatch.setattr(AnsibleModule, "get_bin_path", lambda _module, name, **_options: name)
    monkeypatch.setattr(AnsibleModule, "run_command", lambda _module, command, **_options: systemd.run(command))
    return systemd


def run_module(
    main: Callable[[], None],
    capsys: pytest.CaptureFixture[str],
    arguments: Mapping[str, Any],
    *,
    check: bool = False,
    diff: bool = False,
) -> dict[str, Any]:
    """Runs a module, and returns what it tells."""
    given = {**arguments, "_ansible_check_mode": check, "_ansible_diff": diff}
    with patch_module_args(given), pytest.raises(SystemExit):
        main()
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    return told
