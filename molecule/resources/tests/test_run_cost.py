# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run that changes nothing costs on the host, however many workers it has."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tools.inventory import load_topology

PROJECT = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
# Public playbooks: 283 with 11 workers.
TASKS_AT_MOST = 90
SOURCES = (os.environ["EXAMPLE_INVENTORY"], os.environ["DISPOSABLE_INVENTORY"])
WORKERS = len(load_topology(*map(Path, SOURCES)).workers)


@pytest.mark.skipif(WORKERS < 20, reason="the step idempotence has run it; the limit is for a fleet of many workers")
def test_a_run_that_changes_nothing_executes_few_tasks() -> None:
    run = subprocess.run(
        [
            "ansible-playbook",
            *(f"--inventory={source}" for source in SOURCES),
            "baremetal.synapse.site",
        ],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
        env={key: value for key, value in os.environ.items() if key != "ANSIBLE_INVENTORY"},
    )
    recap = re.search(r"ok=(\d+)\s+changed=(\d+)", run.stdout)
    assert run.returncode == 0 and recap, run.stdout[-3000:] + run.stderr[-2000:]
    assert int(recap[2]) == 0, run.stdout[-3000:]
    assert int(recap[1]) <= TASKS_AT_MOST
