# SPDX-License-Identifier: GPL-3.0-or-later
"""Two runs at once: the second is told who has the fleet, and a dead run blocks nobody for long."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import time
from pathlib import Path

import pytest
from ansible_collections.baremetal.synapse.plugins.module_utils import _run_lock
from ansible_collections.baremetal.synapse.plugins.module_utils._run_lock import HeldError, Run, release, take
from ansible_collections.baremetal.synapse.plugins.plugin_utils.controller.this_run import runs_alive, this_run

ALICE = Run(user="alice", controller="laptop", machine="laptop boot-1", pid=100, started="5")
ALICE_AGAIN = dataclasses.replace(ALICE, pid=200, started="9")
BOB = Run(user="bob", controller="desktop", machine="desktop boot-7", pid=100, started="5")


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "lock")


def test_the_second_run_is_told_which_one_has_the_fleet(path: str) -> None:
    take(path, ALICE, None, "synapse1")
    with pytest.raises(HeldError, match=r"of alice on laptop, process 100, since .* UTC\. .* on host synapse1"):
        take(path, BOB, [], "synapse1")


def test_a_lock_that_was_released_is_free(path: str) -> None:
    take(path, ALICE, None, "synapse1")
    release(path, ALICE)
    take(path, BOB, None, "synapse1")


def test_only_the_one_who_has_it_releases_it(path: str) -> None:
    take(path, ALICE, None, "synapse1")
    release(path, BOB)
    with pytest.raises(HeldError):
        take(path, BOB, None, "synapse1")


def test_a_run_may_take_it_twice(path: str) -> None:
    take(path, ALICE, None, "synapse1")
    take(path, ALICE, None, "synapse1")


def test_a_dead_run_of_the_same_machine_blocks_nobody(path: str) -> None:
    take(path, ALICE, [ALICE.process], "synapse1")
    with pytest.raises(HeldError):
        take(path, ALICE_AGAIN, [ALICE.process, ALICE_AGAIN.process], "synapse1")
    take(path, ALICE_AGAIN, [ALICE_AGAIN.process], "synapse1")


def test_a_machine_that_does_not_show_its_processes_may_run_it_still(path: str) -> None:
    take(path, ALICE, None, "synapse1")
    with pytest.raises(HeldError):
        take(path, ALICE_AGAIN, None, "synapse1")


def test_a_process_of_another_machine_says_nothing(path: str) -> None:
    take(path, ALICE, None, "synapse1")
    with pytest.raises(HeldError):
        take(path, BOB, [BOB.process], "synapse1")


def test_the_lock_of_a_dead_machine_ends(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    take(path, ALICE, None, "synapse1")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + _run_lock.LEASE_SECONDS - 1)
    with pytest.raises(HeldError):
        take(path, BOB, None, "synapse1")
    monkeypatch.setattr(time, "time", lambda: now + _run_lock.LEASE_SECONDS + 1)
    take(path, BOB, None, "synapse1")


@pytest.mark.parametrize("left", ["", "{", "[]", "{}", '{"user": "alice"}', "null"])
def test_a_lock_that_was_cut_off_blocks_nobody(path: str, left: str) -> None:
    Path(path).write_text(left)
    take(path, BOB, None, "synapse1")


def test_a_link_is_not_followed(path: str, tmp_path: Path) -> None:
    (tmp_path / "target").write_text("precious")
    os.symlink(tmp_path / "target", path)
    with pytest.raises(OSError, match="lock"):
        take(path, BOB, None, "synapse1")
    assert (tmp_path / "target").read_text() == "precious"


def _put_run(queue: multiprocessing.SimpleQueue[Run]) -> None:
    queue.put(this_run())


def test_all_tasks_of_a_run_name_the_same_process() -> None:
    context = multiprocessing.get_context("fork")
    queue: multiprocessing.SimpleQueue[Run] = context.SimpleQueue()
    child = context.Process(target=_put_run, args=(queue,))
    child.start()
    found = queue.get()
    child.join()
    assert found == this_run()
    assert found.pid == os.getpid()


def test_processes_of_other_programs_are_no_runs() -> None:
    alive = runs_alive()
    assert alive is not None
    assert not any(entry.startswith("1:") for entry in alive)
