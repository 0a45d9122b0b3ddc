# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run that changes nothing costs on the host, however many workers it has."""

from __future__ import annotations

import re

import pytest

from tests.support.playbooks import SOURCES, ansible
from tools.inventory import load_topology

# Public playbooks: 283 with 11 workers.
TASKS_AT_MOST = 90
WORKERS = len(load_topology(*SOURCES).workers)


@pytest.mark.skipif(WORKERS < 20, reason="the step idempotence has run it; the limit is for a fleet of many workers")
def test_a_run_that_changes_nothing_executes_few_tasks() -> None:
    run = ansible("ansible-playbook", "baremetal.synapse.site")
    recap = re.search(r"ok=(\d+)\s+changed=(\d+)", run.stdout)
    assert run.returncode == 0 and recap, run.stdout[-3000:]
    assert int(recap[2]) == 0, run.stdout[-3000:]
    assert int(recap[1]) <= TASKS_AT_MOST
