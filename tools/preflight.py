# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks what the tools need from this machine, before anything is done. Each message is one sentence.

`python3 -m tools.preflight` for everything, `--light` for what needs neither root nor disposable hosts.
Standard library only, and valid for any Python 3, so that an old one prints the message as well.
"""

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
RELEASES = {"12": "bookworm", "13": "trixie"}
FREE_GIB = 4
PYTHON = ((3, 11), (3, 13))


class PrerequisiteError(Exception):
    """A prerequisite that is missing."""


def check(*, commands: Sequence[str] = (), disk: bool = True) -> None:
    """Check for root, Debian, disk space and commands."""
    check_python()
    if os.geteuid() != 0:
        raise PrerequisiteError(
            "Root is needed (packages are installed and disposable hosts are booted); run this as root."
        )
    system = operating_system()
    if system.get("ID") != "debian" or system.get("VERSION_ID") not in RELEASES:
        name = system.get("PRETTY_NAME", "an unknown system")
        raise PrerequisiteError(f"Debian 12 or 13 is needed, but this is {name}.")
    if disk:
        free = shutil.disk_usage(PROJECT).free / 1024**3
        if free < FREE_GIB:
            raise PrerequisiteError(
                f"{FREE_GIB} GiB of free disk are needed at {PROJECT}, but there are only {free:.1f} GiB."
            )
    missing = [command for command in commands if shutil.which(command) is None]
    if missing:
        raise PrerequisiteError(f"Missing commands: {', '.join(missing)}; run `make setup`.")


def check_python() -> None:
    """Check that this Python is one that Ansible 12 runs on."""
    low, high = PYTHON
    if not low <= sys.version_info[:2] <= high:
        found = ".".join(str(part) for part in sys.version_info[:2])
        raise PrerequisiteError(f"Python 3.11 to 3.13 is needed, but python3 is {found}.")


def operating_system() -> dict[str, str]:
    """The fields of /etc/os-release."""
    try:
        lines = Path("/etc/os-release").read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.split("=", 1) for line in lines if "=" in line)
    return {key: value.strip('"') for key, value in pairs}


def main() -> int:
    """Check, and say in one sentence what is missing."""
    try:
        if "--light" in sys.argv[1:]:
            check_python()
        else:
            check()
    except PrerequisiteError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
