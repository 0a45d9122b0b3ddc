# SPDX-License-Identifier: GPL-3.0-or-later
"""Installs Synapse releases side by side below ``.cache``, only to have their registries read."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from tools.lock_release import PINS
from tools.routes.errors import RoutesError

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".cache" / "synapse"
EXTRAS = "redis,oidc"

# Older ones than lock_release supports need this as well.
_MORE_PINS = [((1, 94, 0), "pydantic<2")]
_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")


def numbers(release: str) -> tuple[int, int, int]:
    """Returns the three numbers of a release.

    Raises:
        RoutesError: it is not of the form ``1.163.2``.
    """
    match = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)", release)
    if match is None:
        raise RoutesError(
            f"{release!r} is no Synapse release: it has three numbers and no suffix. Write it as 1.163.2, or "
            "RELEASE=1.163.2 with make."
        )
    return int(match[1]), int(match[2]), int(match[3])


def requirements(release: str) -> list[str]:
    """Returns what is to be installed for a release, with the versions of others that it cannot do without."""
    wanted = numbers(release)
    return [
        f"matrix-synapse[{EXTRAS}]=={release}",
        *(pin for until, pin in [*PINS, *_MORE_PINS] if wanted < until),
    ]


def newest_of(minor: str) -> str:
    """Returns the newest release of a minor version (``1.130``) that the package index has.

    Raises:
        RoutesError: there is none, or the index cannot be asked.
    """
    done = _uv(["pip", "compile", "--quiet", "--no-config", "--no-deps", "--no-header", "--no-annotate", "-"], minor)
    match = re.search(r"^matrix-synapse==(\S+)", done, re.MULTILINE)
    if match is None:
        raise RoutesError(f"the package index has no Synapse {minor}: give a release that was published.")
    return match[1]


def environment(release: str) -> Path:
    """Returns the interpreter of an environment with the release, which is made unless it is there.

    Raises:
        RoutesError: the release cannot be installed.
    """
    wanted = requirements(release)
    folder = FOLDER / release
    python = folder / "bin" / "python"
    stamp = folder / ".installed"
    if python.exists() and stamp.exists() and stamp.read_text() == "\n".join(wanted):
        return python
    folder.parent.mkdir(parents=True, exist_ok=True)
    _uv(["venv", "--quiet", "--no-config", "--clear", str(folder)])
    _uv(["pip", "install", "--quiet", "--no-config", "--python", str(python), *wanted])
    stamp.write_text("\n".join(wanted))
    return python


def _uv(arguments: list[str], minor: str | None = None) -> str:
    uv = ROOT / ".venv" / "bin" / "uv"
    if not uv.exists():
        raise RoutesError(f"{uv.relative_to(ROOT)} is missing: run `make setup` first.")
    env = dict(os.environ)
    if _AUTHORITIES.exists():
        # uv uses its own list of authorities unless configured to use the system's.
        env.setdefault("SSL_CERT_FILE", str(_AUTHORITIES))
    text = f"matrix-synapse=={minor}.*\n" if minor else None
    done = subprocess.run([str(uv), *arguments], input=text, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RoutesError(f"uv {' '.join(arguments[:2])} failed:\n{done.stderr.strip()}")
    return done.stdout
