# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs that are killed at many points, between two inventories: the next run ends as if nothing had been.

Each run goes to the other one of the two, so every killed run finds a host that is half the one and half the other. Now
and then one goes on to its end, and the host is compared. Each time other tasks are chosen, by a seed that is printed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from tests.support.choice import Choice
from tools.runs import ROOT, Fleet

from .points import points

LOOK_EVERY = 5
EXAMPLE = ROOT / "inventories" / "single_host" / "group_vars" / "generic_workers.yml"

# All that a host shows of a run: files, what is enabled, what runs, and with what it was started.
SNAPSHOT = """
find /etc/matrix-synapse /etc/nginx /etc/systemd/system /usr/local/lib/matrix-synapse /etc/postgresql /etc/redis \
  /etc/tmpfiles.d -type f ! -path '*/secrets/*' -exec sha256sum {} + | sort -k 2
find /etc/systemd/system -type l | sort
systemctl list-units --plain --no-legend 'matrix-synapse*' | awk '{print $1, $3, $4}' | grep -v watchdog | sort
cd /run/matrix-synapse/fingerprint && sha256sum * && ls /run/matrix-synapse/http /run/matrix-synapse/replication
cat /run/matrix-synapse-nginx.loaded
"""


def variables(**changes: Any) -> dict[str, Any]:
    pools = yaml.safe_load(EXAMPLE.read_text())
    pools["generic_workers"].update(changes.pop("pools", {}))
    return {**pools, **changes}


HERE = variables()
# Something of every role, with few restarts: there are many runs. Pools grow, senders and main restart in their order,
# and a setting of a pool, of Redis, of PostgreSQL and of nginx changes.
THERE = variables(
    pools={"sync": {"count": 3, "duties": ["sync", "initial_sync", "sliding_sync"]}},
    background_workers={
        "background": {"count": 1, "duties": ["background_tasks", "user_directory", "appservices"], "memory_max": "2G"},
        "federation_sender": {"count": 2},
    },
    postgres_settings={"log_min_duration_statement": "900"},
    redis_maxmemory_mib=64,
    nginx_error_log_level="warn",
)


def go(fleet: Fleet, wanted: Mapping[str, Any]) -> str:
    """Runs undisturbed, and returns what the host shows then."""
    run = fleet.run("-e", json.dumps(wanted))
    assert run.code == 0, run.output[-4000:]
    return fleet.shell(SNAPSHOT)


@pytest.fixture(scope="module")
def undisturbed(fleet: Fleet) -> tuple[str, int]:
    """What the host shows after runs that nobody killed, and how many tasks such a run has."""
    go(fleet, HERE)
    run = fleet.run("-e", json.dumps(THERE))
    assert run.code == 0, run.output[-4000:]
    return fleet.shell(SNAPSHOT), run.output.count("\nTASK [")


def test_runs_killed_anywhere_leave_nothing_that_the_next_does_not_finish(
    fleet: Fleet, undisturbed: tuple[str, int], choice: Choice
) -> None:
    expected, tasks = undisturbed
    assert go(fleet, HERE) != expected
    killed = 0
    for number, point in enumerate(points(choice, tasks), start=1):
        aim = json.dumps((HERE, THERE)[number % 2])
        killed += fleet.run_killed(point, "-e", aim).code < 0
        if number % LOOK_EVERY == 0 or number == choice.size:
            assert go(fleet, THERE) == expected, f"after the kill at task {point}; again with {choice}"
    assert killed >= choice.size - 1, f"of {choice.size} runs only {killed} came to the task at which they were to end"
    assert fleet.shell("systemctl --failed --no-legend") == ""


def test_after_that_nothing_is_left_to_do(fleet: Fleet) -> None:
    run = fleet.run("-e", json.dumps(THERE))
    assert run.code == 0, run.output[-4000:]
    assert run.changed == 0
    go(fleet, HERE)
