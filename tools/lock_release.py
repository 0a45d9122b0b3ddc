#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the hash-pinned requirements of a Synapse release, and of uv, which installs them.

    tools/lock_release.py 1.163.2 [RELEASE …]

Needs `uv` and a package index. The result contains versions and hashes only, so it is the same on every machine.
psycopg2 is left out: it has no wheel, and Debian's python3-psycopg2 is used instead.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "roles" / "synapse" / "files" / "requirements"
EXTRAS = "redis,oidc,jwt,url-preview,cache-memory"
# Synapse needs it for url_preview_enabled (config/repository.py); the extra url-preview of newer releases is empty.
MORE = ["lxml"]
RELEASE = re.compile(r"\d+\.\d+\.\d+\Z")

# The oldest Python of the supported Debian releases; --universal covers the newer ones.
PYTHON = "3.11"

# (first release that does without it, requirement): what breaks when it is resolved freely
PINS = [
    ((1, 163, 0), "txredisapi<1.6"),
    ((1, 146, 0), "prometheus-client<0.24"),
    ((1, 139, 0), "setuptools<82"),
]


def requirements(release: str) -> str:
    """What is to be resolved for a release."""
    if not RELEASE.match(release):
        raise ValueError(f"{release!r} is no Synapse release: give three numbers, such as 1.163.2")
    numbers = tuple(int(number) for number in release.split("."))
    pins = [pin for until, pin in PINS if numbers < until]
    return "\n".join([f"matrix-synapse[{EXTRAS}]=={release}", *MORE, *pins, ""])


def compile_lock(wanted: str, title: str, uv: str) -> str:
    """The lock of what is wanted, as text."""
    command = [
        uv,
        "pip",
        "compile",
        "--quiet",
        "--no-config",
        "--generate-hashes",
        "--universal",
        f"--python-version={PYTHON}",
    ]
    command += ["--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links", "-"]
    done = subprocess.run(command, input=wanted, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ValueError(f"{title} cannot be resolved:\n{done.stderr.strip()}")
    return f"# {title}, locked by tools/lock_release.py: do not edit\n{done.stdout}"


def main(arguments: list[str]) -> int:
    """Write the locks of the releases given, and of uv if it has none yet."""
    uv = shutil.which("uv")
    if not arguments or uv is None:
        print(
            "usage: tools/lock_release.py RELEASE…" if uv else "uv is missing: run `make setup` first", file=sys.stderr
        )
        return 2
    try:
        FOLDER.mkdir(parents=True, exist_ok=True)
        for release in arguments:
            lock = compile_lock(requirements(release), f"Synapse {release}", uv)
            (FOLDER / f"{release}.txt").write_text(lock)
            print(f"wrote {release}.txt")
        tool = FOLDER / "uv.txt"
        if not tool.exists():
            tool.write_text(compile_lock("uv\n", "uv", uv))
            print("wrote uv.txt (remove it to have uv itself updated)")
    except ValueError as exc:
        print(exc, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
