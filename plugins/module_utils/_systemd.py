# SPDX-License-Identifier: GPL-3.0-or-later
"""The calls to systemctl that the modules of this collection share. Private to the collection."""

from __future__ import annotations

import fnmatch
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, Sequence

from ansible.module_utils.basic import AnsibleModule

RUNNING = ("active", "reloading")
UNIT_DIR = Path("/etc/systemd/system")
SOURCES = (
    UNIT_DIR,
    Path("/etc/systemd/system.control"),
    Path("/run/systemd/system"),
    Path("/run/systemd/system.control"),
    Path("/usr/local/lib/systemd/system"),
    Path("/usr/lib/systemd/system"),
)
"""Where systemd finds units and their drop-ins (systemd.unit(5)), but for those that generators write."""
# What a failed start shows of the journal: enough for the cause, of so many units that it can be read.
JOURNAL_LINES = 15
JOURNAL_UNITS = 3


@dataclass(frozen=True)
class UnitState:
    """What systemd knows of a unit."""

    active: str = "inactive"
    enabled: bool = False
    unread: bool = False


def parse_show(output: str) -> dict[str, UnitState]:
    """Read `systemctl show --property=Id,ActiveState,UnitFileState,NeedDaemonReload` of several units."""
    states: dict[str, UnitState] = {}
    for block in output.split("\n\n"):
        values = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if "Id" in values:
            states[values["Id"]] = UnitState(
                active=values.get("ActiveState", "inactive"),
                enabled=values.get("UnitFileState", "") in ("enabled", "enabled-runtime"),
                unread=values.get("NeedDaemonReload", "no") == "yes",
            )
    return states


def wanted_units() -> set[str]:
    """The units that a target wants."""
    return {link.name for link in UNIT_DIR.glob("*.wants/*")}


def newest_change(directories: Sequence[Path]) -> float:
    """When a unit or a drop-in last changed, came or went, in seconds since the epoch; infinite if one just goes."""
    try:
        return max((_changed(path) for directory in directories for path in _parts(directory)), default=0.0)
    except FileNotFoundError:
        return math.inf


def unit_change(unit: str) -> float:
    """When the file of a unit in `UNIT_DIR` or one of its drop-ins last changed, in seconds since the epoch."""
    try:
        own = _changed(UNIT_DIR / unit)
    except FileNotFoundError:
        own = 0.0
    return max(own, newest_change([UNIT_DIR / f"{unit}.d"]))


def _parts(directory: Path) -> Iterator[Path]:
    if not directory.is_dir():
        return
    yield directory
    for entry in os.scandir(directory):
        # What a target wants is no part of a unit.
        if not entry.name.endswith((".wants", ".requires")):
            yield Path(entry.path)
            if entry.is_dir():
                yield from Path(entry.path).iterdir()


def _changed(path: Path) -> float:
    # A link counts, and the file to which it leads: not /dev/null, where a masked unit leads.
    return max(path.lstat().st_mtime, path.stat().st_mtime if path.is_file() else 0.0)


class Systemd:
    """The system's manager of units."""

    def __init__(self, module: AnsibleModule) -> None:
        self._module = module
        self._systemctl = module.get_bin_path("systemctl", required=True)

    def states(self, units: Sequence[str]) -> dict[str, UnitState]:
        """State of each unit, known to systemd or not."""
        settled = self._settled(units)
        asked = [unit for unit in units if unit not in settled]
        properties = "--property=Id,ActiveState,UnitFileState,NeedDaemonReload"
        shown = parse_show(self._read("show", properties, "--", *asked)) if asked else {}
        return {**{unit: UnitState("active", enabled=True) for unit in settled}, **shown}

    def _settled(self, units: Sequence[str]) -> set[str]:
        """Units that are active, enabled, and as systemd has read them.

        A list of all units costs a hundredth of what `show` takes for a hundred of them: that reads every property of a
        unit, whichever is asked for.
        """
        if not units:
            return set()
        # A whole second, or nothing before the first reading after a boot.
        read = self._read("show", "--timestamp=unix", "--property=UnitsLoadTimestamp", "--value").strip().lstrip("@")
        if not read.isdigit() or newest_change(SOURCES) >= int(read):
            return set()
        # A unit that is masked runs on, too.
        active = {unit for unit, load, *_ in self._listed("--state=active") if load == "loaded"}
        return active.intersection(units, wanted_units())

    def started(self, unit: str) -> float:
        """When the main process of a unit was started, in seconds since the epoch; 0 if it never was."""
        shown = self._read("show", "--property=ExecMainStartTimestampMonotonic", "--value", "--", unit).strip()
        # Microseconds of the clock that Python's `monotonic` reads, too.
        return int(shown) / 1e6 + time.time() - time.monotonic() if shown.isdigit() and int(shown) else 0.0

    def matching(self, patterns: Sequence[str]) -> list[str]:
        """Units that are loaded or enabled and match one of the shell patterns."""
        if not patterns:
            return []
        units = {unit for unit, *_ in self._listed("--all", "--", *patterns)} | wanted_units()
        return sorted(unit for unit in units if any(fnmatch.fnmatchcase(unit, pattern) for pattern in patterns))

    def do(self, verb: str, *args: str, check: bool = True) -> bool:
        """Run a verb on units and return its success; with ``check``, fail with the journal of those not up."""
        code, _out, err = self._module.run_command([self._systemctl, verb, *args], environ_update={"LC_ALL": "C"})
        if code != 0 and check:
            units = [arg for arg in args if not arg.startswith("-")]
            self._module.fail_json(msg=f"systemctl {verb} failed.\n{err.strip()}\n{self._journal(units)}", rc=code)
        return bool(code == 0)

    def _listed(self, *args: str) -> list[list[str]]:
        lines = self._read("list-units", "--plain", "--full", "--no-legend", *args).splitlines()
        return [line.split() for line in lines if line.strip()]

    def _read(self, *args: str) -> str:
        code, out, err = self._module.run_command([self._systemctl, *args], environ_update={"LC_ALL": "C"})
        if code != 0:
            self._module.fail_json(msg=f"systemctl {args[0]} failed: {err.strip()}", rc=code)
        return str(out)

    def _journal(self, units: Sequence[str]) -> str:
        failed = [unit for unit, state in self.states(units).items() if state.active not in RUNNING]
        parts = []
        for unit in failed[:JOURNAL_UNITS]:
            command = ["journalctl", "--no-pager", "--output=cat", f"--lines={JOURNAL_LINES}", f"--unit={unit}"]
            _code, out, _err = self._module.run_command(command)
            parts.append(f"Last lines of {unit}:\n{out.strip()}")
        if len(failed) > JOURNAL_UNITS:
            parts.append(f"Also not up: {', '.join(failed[JOURNAL_UNITS:])}")
        return "\n".join(parts)
