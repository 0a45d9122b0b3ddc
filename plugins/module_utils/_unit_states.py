# SPDX-License-Identifier: GPL-3.0-or-later
"""What module unit_states decides: which units to stop, restart and start, and why. Pure; private to the collection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Iterable, Iterator, Mapping, Sequence

RUNNING = ("active", "reloading")


@dataclass(frozen=True)
class UnitState:
    """What systemd knows of a unit."""

    active: str = "inactive"
    enabled: bool = False
    unread: bool = False

    @property
    def running(self) -> bool:
        """Whether its process is up."""
        return self.active in RUNNING

    @property
    def starting(self) -> bool:
        """Whether a start of it is under way, or will be without our doing."""
        return self.active == "activating"

    @property
    def alive(self) -> bool:
        """Whether it has a process, or will have one without our doing (a unit that waits for its next try)."""
        return self.active not in ("inactive", "failed")


@dataclass(frozen=True)
class Step:
    """One thing to do to one unit, and why."""

    action: str
    unit: str
    reason: str


def staleness(
    recorded: Mapping[str, str] | None, current: Mapping[str, str] | None, pending: Iterable[str] = ()
) -> str | None:
    """Why a running process is stale, or None.

    `recorded` maps the inputs to hashes as the process found them at its start, `current` as they are now (None: cannot
    be told). `pending` are paths that this run would change, were it not in check mode.
    """
    if current is None:
        return None
    if recorded is None:
        return "nothing tells what it was started with"
    changed = {path for path in {*recorded, *current} if recorded.get(path) != current.get(path)}
    changed.update(pending)
    if not changed:
        return None
    return "changed since its start: " + ", ".join(sorted(changed))


def unread(states: Mapping[str, UnitState]) -> dict[str, str]:
    """The reason for each unit with a process of which systemd has an older unit file than the one on disk.

    Its fingerprint cannot tell: who starts it by hand records the new file, and runs it with the old one.
    """
    return {
        unit: "systemd has not read its unit file anew"
        for unit, state in states.items()
        if state.alive and state.unread
    }


@dataclass(frozen=True)
class Wanted:
    """What is to be true of units.

    Attributes:
        units: are to be enabled, up, and not stale.
        dependents: must not run with old settings beside one of `units` with new ones.
        retired: are to be down and disabled.
        target: is to be enabled and reached.
    """

    units: Sequence[str] = ()
    dependents: Sequence[str] = ()
    retired: Sequence[str] = ()
    target: str | None = None


def decide(wanted: Wanted, states: Mapping[str, UnitState], stale: Mapping[str, str]) -> list[Step]:
    """The steps that make it true, in their order. `stale` gives the reason for each stale unit."""

    def state(unit: str) -> UnitState:
        return states.get(unit, UnitState())

    starts = [Step("start", unit, f"it is {state(unit).active}") for unit in wanted.units if not state(unit).running]
    starts += [Step("restart", unit, stale[unit]) for unit in wanted.units if state(unit).running and unit in stale]
    enabled = [*([wanted.target] if wanted.target else []), *wanted.units]
    return [
        *_retire(wanted.retired, state),
        *_make_way(starts, [unit for unit in wanted.dependents if unit in stale and state(unit).alive], stale),
        *[Step("enable", unit, "it is to start at boot") for unit in enabled if not state(unit).enabled],
        *[
            Step("start target", target, f"it is {state(target).active}")
            for target in enabled[: bool(wanted.target)]
            if not state(target).running
        ],
        *starts,
    ]


def _retire(units: Sequence[str], state: Callable[[str], UnitState]) -> Iterator[Step]:
    for unit in units:
        if state(unit).enabled:
            yield Step("disable", unit, "the topology no longer has it here")
        if state(unit).active != "inactive":
            yield Step("stop", unit, "the topology no longer has it here")


def _make_way(starts: Sequence[Step], units: Sequence[str], stale: Mapping[str, str]) -> Iterator[Step]:
    if starts:
        first = ", ".join(step.unit for step in starts)
        yield from (Step("stop", unit, f"{first} starts before it; {stale[unit]}") for unit in units)


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


def parse_fingerprint(text: str) -> dict[str, str]:
    """Read lines `hash  path`."""
    pairs = (line.split(None, 1) for line in text.splitlines() if line.strip())
    return {path.strip(): digest for digest, path in pairs}


def parse_fingerprints(text: str) -> dict[str, dict[str, str]]:
    """Read the fingerprints of several instances: a line `[instance]` stands before the lines of each."""
    sections: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("[") and line.endswith("]"):
            lines = sections.setdefault(line[1:-1], [])
        elif line.strip():
            lines.append(line)
    return {instance: parse_fingerprint("\n".join(lines)) for instance, lines in sections.items()}


def affected(pending: Iterable[str], inputs: Iterable[str]) -> list[str]:
    """Those of the pending paths that are an input, or lie in a directory that is one."""
    wanted = list(inputs)
    return sorted({path for path in pending if any(path == known or path.startswith(f"{known}/") for known in wanted)})


__all__ = (
    "Step",
    "UnitState",
    "Wanted",
    "affected",
    "decide",
    "parse_fingerprint",
    "parse_fingerprints",
    "parse_show",
    "staleness",
    "unread",
)
