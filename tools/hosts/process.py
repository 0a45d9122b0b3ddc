# SPDX-License-Identifier: GPL-3.0-or-later
"""Running commands, locking, and removing trees without leaving the file system they are on."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tools.hosts.settings import STATE, HostsError

PROGRESS_SECONDS = 10.0


def say(text: str) -> None:
    """Tell the user how far things are."""
    print(text, file=sys.stderr, flush=True)


def run(command: Sequence[str], *, check: bool = True, stdin: str | None = None) -> str:
    """Run a command and return what it printed; with check, a failure is an error that quotes its last words."""
    done = subprocess.run(command, input=stdin, text=True, capture_output=True, check=False)
    if check and done.returncode != 0:
        words = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
        raise HostsError(f"`{' '.join(command)}` failed: {words}")
    return done.stdout


def run_logged(command: Sequence[str], log: Path, label: str) -> None:
    """Run a long command with its output in a log, telling every few seconds that it is still at work."""
    log.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    shown = started
    with log.open("wb") as sink:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT)
        try:
            while child.poll() is None:
                time.sleep(0.2)
                if time.monotonic() - shown >= PROGRESS_SECONDS:
                    shown = time.monotonic()
                    say(f"  {label}: {shown - started:.0f} s … {last_line(log)[:90]}")
        except BaseException:
            child.terminate()
            child.wait()
            raise
    if child.returncode != 0:
        raise HostsError(f"{label} failed: {last_line(log)} (whole output: {log})")


def last_line(log: Path) -> str:
    """The last line of a log that says something."""
    with log.open("rb") as source:
        source.seek(max(0, source.seek(0, os.SEEK_END) - 2000))
        lines = source.read().decode(errors="replace").replace("\r", "\n").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold a lock of the machine; parallel scenarios share the bridge, the images and the list of hosts."""
    STATE.mkdir(mode=0o755, parents=True, exist_ok=True)
    with (STATE / f"{name}.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def mounts_below(path: Path) -> list[Path]:
    """Mount points at or below a path, the deepest first."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point = Path(line.split()[4].encode().decode("unicode_escape"))
        if point == path or path in point.parents:
            found.append(point)
    return sorted(found, key=lambda point: len(point.parts), reverse=True)


def mounted_from(directory: Path) -> bool:
    """Whether an overlay has a directory among its layers."""
    return any(str(directory) in layers for layers in map(overlay_layers, mount_lines()))


def overlay_layers(line: str) -> list[str]:
    """Directories of the overlay that a line of mountinfo is about; none for other file systems."""
    kind, _, options = line.partition(" - ")[2].split(" ", 2)
    return re.split(r"[,:=]", options)[1:] if kind == "overlay" else []


def mount_lines() -> list[str]:
    """Lines of mountinfo, with spaces in paths as such."""
    text = Path("/proc/self/mountinfo").read_text()
    return text.encode().decode("unicode_escape").splitlines()


def unmount_below(path: Path, *, tries: int = 25) -> None:
    """Unmount everything at or below a path; the last process of a killed host may hold it for a moment."""
    for _ in range(tries):
        points = mounts_below(path)
        if not points:
            return
        for point in points:
            run(["umount", str(point)], check=False)
        if mounts_below(path):
            time.sleep(0.1)
    for point in mounts_below(path):
        run(["umount", "--lazy", str(point)])


def remove_tree(path: Path) -> None:
    """Delete a tree, never following it into a mounted file system."""
    unmount_below(path)
    run(["rm", "-rf", "--one-file-system", str(path)])
