# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs Ansible's programs on the inventories of the scenario that is under test."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

PROJECT = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
SOURCES = (Path(os.environ["EXAMPLE_INVENTORY"]), Path(os.environ["DISPOSABLE_INVENTORY"]))


def ansible(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a program and returns how it ended and all that it wrote."""
    return subprocess.run(
        [program, *(f"--inventory={source}" for source in SOURCES), *arguments],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        # Empty inventories of molecule's would come on top, and colours would be in the recap.
        env={key: value for key, value in os.environ.items() if key != "ANSIBLE_INVENTORY"}
        | {"ANSIBLE_NOCOLOR": "true", "ANSIBLE_FORCE_COLOR": "false"},
    )
