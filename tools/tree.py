# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of this checkout that tools work in, without what is generated or ignored."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"
NAME = Path("ansible_collections/baremetal/synapse")


def files() -> list[Path]:
    """Returns the files of the checkout that git does not ignore, new ones included, relative to the checkout."""
    # The checkout may belong to another user, as in many CI systems; git refuses to read it unless it is told so.
    command = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    found = (Path(name) for name in sorted(listed.decode().split("\0")) if name)
    return [path for path in found if (ROOT / path).is_symlink() or (ROOT / path).is_file()]


def last_commit_date() -> str:
    """Returns the day of the last commit, as 2026-11-28."""
    command = ["git", "-c", f"safe.directory={ROOT}", "log", "-1", "--format=%cs"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def copy_to(target: Path, names: Iterable[Path]) -> None:
    """Copies files of the checkout into an empty directory, which becomes a git repository.

    antsibull-changelog and ansible-test ask git what is in it; without one of its own, the checkout around it would
    answer that it is ignored.
    """
    shutil.rmtree(target, ignore_errors=True)
    for name in names:
        goal = target / name
        goal.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, goal, follow_symlinks=False)
    make_repository(target)


def make_repository(directory: Path) -> None:
    """Makes a directory a git repository without commits."""
    subprocess.run(["git", "init", "--quiet", directory], check=True)
