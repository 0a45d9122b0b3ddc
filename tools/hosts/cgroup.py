# SPDX-License-Identifier: GPL-3.0-or-later
"""One control group per host, outside of every service manager's own groups.

Two layouts are known. "hybrid": a v1 `systemd` tree with a v2 tree at `unified` beside it. "unified": pure v2 at
/sys/fs/cgroup, as on every Debian 12 or 13 that runs systemd. The hybrid one is what the project's own CI has; the
unified one was only tried on such a machine with the v2 tree mounted in its place, not on one that runs systemd.
A group made directly in the root, as container engines with a "cgroupfs" driver make it, is left alone by systemd.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from tools.hosts.settings import PREFIX, HostsError

ROOT = Path("/sys/fs/cgroup")


def trees() -> list[Path]:
    """Roots of the hierarchies a host needs a group in, the v2 one last."""
    if (ROOT / "cgroup.controllers").exists():
        return [ROOT]
    if (ROOT / "unified" / "cgroup.procs").exists() and (ROOT / "systemd" / "cgroup.procs").exists():
        return [ROOT / "systemd", ROOT / "unified"]
    raise HostsError("No usable control groups: /sys/fs/cgroup is neither pure v2 nor v1 with a v2 tree at `unified`.")


def groups(name: str) -> list[Path]:
    """The groups of a host, the v2 one last."""
    return [tree / f"{PREFIX}-{name}" for tree in trees()]


def create(name: str) -> list[Path]:
    """Make the groups of a host."""
    made = groups(name)
    for group in made:
        group.mkdir(exist_ok=True)
    return made


def enter(made: list[Path]) -> None:
    """Move the calling process; used between fork and exec."""
    for group in made:
        (group / "cgroup.procs").write_text("0")


def populated(name: str) -> bool:
    """Whether any process of the host is alive."""
    events = groups(name)[-1] / "cgroup.events"
    return events.exists() and "populated 1" in events.read_text()


def leader(name: str) -> int | None:
    """The process that is PID 1 inside the host; looked up each time, since a reboot changes it."""
    procs = groups(name)[-1] / "payload" / "init.scope" / "cgroup.procs"
    try:
        return int(procs.read_text().split()[0])
    except (OSError, IndexError):
        return None


def destroy(name: str) -> None:
    """Kill every process of the host and remove its groups; nothing to do for a host that does not exist."""
    made = groups(name)
    kill = made[-1] / "cgroup.kill"
    if kill.exists():
        kill.write_text("1")
    # On a busy machine the kernel takes its time with the memory of killed processes.
    deadline = time.monotonic() + 90
    while populated(name):
        if time.monotonic() > deadline:
            raise HostsError(f"Processes of host {name} survived a kill; look into {made[-1]}.")
        time.sleep(0.02)
    for group in made:
        for directory, _, _ in os.walk(group, topdown=False):
            _remove(Path(directory))


def _remove(group: Path) -> None:
    for _ in range(50):
        try:
            group.rmdir()
            return
        except FileNotFoundError:
            return
        except OSError:
            # The kernel needs a moment to let go of killed processes.
            time.sleep(0.02)
    group.rmdir()
