# SPDX-License-Identifier: GPL-3.0-or-later
"""Virtual environments beside .venv, each from a file of pinned and hashed requirements, made once."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from tools.tree import CACHE, ROOT

REQUIREMENTS = ROOT / "requirements"


def venv(name: str, python: str) -> Path:
    """Returns the virtual environment of requirements/NAME.txt with an interpreter, up to date."""
    home = CACHE / "venvs" / name
    requirements = REQUIREMENTS / f"{name}.txt"
    version = subprocess.run([python, "-VV"], capture_output=True, text=True, check=True).stdout
    wanted = hashlib.sha256(f"{python} {version}".encode() + requirements.read_bytes()).hexdigest()
    stamp = home / ".stamp"
    if stamp.is_file() and stamp.read_text() == wanted:
        return home
    shutil.rmtree(home, ignore_errors=True)
    uv = ROOT / ".venv" / "bin" / "uv"
    environment = {
        **os.environ,
        # uv looks for its own list of authorities unless told to use the system's.
        "SSL_CERT_FILE": os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"),
        "VIRTUAL_ENV": str(home),
    }
    subprocess.run([uv, "venv", "--quiet", "--python", python, home], env=environment, check=True)
    sync: list[str | Path] = [uv, "pip", "sync", "--quiet", "--require-hashes", requirements]
    subprocess.run(sync, env=environment, check=True)
    stamp.write_text(wanted)
    return home
