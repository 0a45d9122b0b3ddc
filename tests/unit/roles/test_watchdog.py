# SPDX-License-Identifier: GPL-3.0-or-later
"""The watchdog's decisions: who is deaf, who is left alone, and how much it may restart."""

from __future__ import annotations

import importlib.util
import itertools
import sys
from pathlib import Path
from types import ModuleType

import pytest

PROGRAM = Path(__file__).resolve().parents[3] / "roles" / "watchdog" / "files" / "watchdog.py"
INTERVAL = 15.0
GRACE = 60.0
CHECKS = 3


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("watchdog_program", PROGRAM)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Its dataclasses look for their module there.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


watchdog = _load()


class Host:
    """A host, its processes, and a watchdog that has looked often enough to know them."""

    def __init__(self, *names: str) -> None:
        self.judge = watchdog.Judge(checks=CHECKS, grace_seconds=GRACE)
        self.names = names
        self.now = 0.0
        self.starts = dict.fromkeys(names, 1)
        self.heard = dict.fromkeys(names, 0.0)
        self.deaf: set[str] = set()
        self.hanging: set[str] = set()
        self.silenced: set[str] = set()
        self.stopped: set[str] = set()
        self.look(times=6)

    def reading(self, name: str) -> object:
        if name in self.stopped:
            return watchdog.Reading(None)
        invocation = f"{name}-{self.starts[name]}"
        if name in self.hanging:
            return watchdog.Reading(invocation, hangs=True)
        return watchdog.Reading(invocation, None if name in self.silenced else self.heard[name])

    def look(self, times: int = 1) -> list[str]:
        """Lets some checks pass, and returns who is ended."""
        ended = []
        for _ in range(times):
            self.now += INTERVAL
            for name in set(self.names) - self.deaf:
                self.heard[name] += 1
            name = self.judge.judge(self.now, {name: self.reading(name) for name in self.names})
            if name is not None:
                ended.append(name)
        return ended

    def start(self, name: str) -> None:
        """A new start; it hears, and counts from the beginning."""
        self.starts[name] += 1
        self.heard[name] = 0.0
        self.deaf.discard(name)
        self.hanging.discard(name)


def test_processes_that_hear_are_left_alone() -> None:
    assert Host("main", "sync-1").look(times=100) == []


def test_a_deaf_process_is_ended_after_some_checks_in_a_row() -> None:
    host = Host("main", "sync-1")
    host.deaf = {"sync-1"}
    assert host.look(times=CHECKS - 1) == []
    assert host.look() == ["sync-1"]


def test_a_moment_without_a_sound_is_forgotten() -> None:
    host = Host("main", "sync-1")
    for _ in range(5):
        host.deaf = {"sync-1"}
        assert host.look(times=CHECKS - 1) == []
        host.deaf = set()
        assert host.look() == []


def test_a_process_that_hangs_is_ended_too() -> None:
    host = Host("main", "sync-1")
    host.hanging = {"sync-1"}
    assert host.look(times=CHECKS) == ["sync-1"]


@pytest.mark.parametrize("state", ["silenced", "stopped"])
def test_a_process_that_does_not_run_or_serves_no_metrics_is_left_alone(state: str) -> None:
    host = Host("main", "sync-1")
    setattr(host, state, {"sync-1"})
    assert host.look(times=100) == []


def test_a_process_that_serves_its_metrics_late_is_compared_from_then_on() -> None:
    host = Host("main", "sync-1")
    host.silenced, host.deaf = {"sync-1"}, {"sync-1"}
    host.start("sync-1")
    host.deaf = {"sync-1"}
    assert host.look(times=20) == []
    host.silenced = set()
    assert host.look(times=CHECKS) == []
    assert host.look() == ["sync-1"]


def test_a_process_that_has_just_started_is_left_alone() -> None:
    host = Host("main", "sync-1")
    host.start("sync-1")
    host.deaf = {"sync-1"}
    before = host.now
    (ended,) = itertools.islice(filter(None, (host.look() for _ in range(100))), 1)
    assert ended == ["sync-1"]
    # It was seen first at the check after its start.
    assert host.now - before - INTERVAL == GRACE + (CHECKS - 1) * INTERVAL


def test_only_one_process_is_ended_at_a_time() -> None:
    host = Host("main", "sync-1", "sync-2")
    host.deaf = {"sync-1", "sync-2"}
    assert host.look(times=CHECKS) == ["sync-1"]
    assert host.look(times=3) == []
    host.start("sync-1")
    # One check to see the new start, one to see that it hears.
    assert host.look(times=2) == ["sync-2"]


def test_the_next_one_need_not_wait_for_ever() -> None:
    host = Host("main", "sync-1", "sync-2")
    host.deaf = {"sync-1", "sync-2"}
    assert host.look(times=CHECKS) == ["sync-1"]
    host.stopped = {"sync-1"}
    before = host.now
    (ended,) = itertools.islice(filter(None, (host.look() for _ in range(100))), 1)
    assert ended == ["sync-2"]
    assert watchdog.PATIENCE_SECONDS < host.now - before <= watchdog.PATIENCE_SECONDS + INTERVAL


def test_a_process_that_is_restarted_in_vain_gets_longer_and_longer_times() -> None:
    host = Host("main")
    host.deaf = {"main"}
    moments: list[float] = []
    for _ in range(600):
        if host.look():
            moments.append(host.now)
            host.start("main")
            host.deaf = {"main"}
    waits = [after - before for before, after in itertools.pairwise(moments)]
    assert waits == sorted(waits)
    assert waits[3] > 2 * watchdog.PATIENCE_SECONDS
    assert max(waits) < (watchdog.LONGEST_GRACE + CHECKS) * GRACE


def test_nobody_is_judged_while_redis_does_not_answer() -> None:
    host = Host("main", "sync-1")
    host.deaf = {"main", "sync-1"}
    assert host.look(times=CHECKS - 1) == []
    host.judge.forgive()
    assert host.look(times=CHECKS - 1) == []


def test_a_process_that_does_not_end_is_killed() -> None:
    host = Host("main", "sync-1")
    host.deaf = {"sync-1"}
    host.look(times=CHECKS)
    readings = {name: host.reading(name) for name in host.names}
    assert host.judge.must_be_killed(readings) == "sync-1"
    host.start("sync-1")
    assert host.judge.must_be_killed({name: host.reading(name) for name in host.names}) is None


@pytest.mark.parametrize("label", ['server_name="example.org"', ""])
def test_the_command_is_found_in_metrics_of_all_releases(label: str) -> None:
    series = "synapse_replication_tcp_protocol_inbound_commands_total"
    text = "\n".join(
        (
            f"# TYPE {series} counter",
            f'{series}{{command="RDATA",name="redis"{"," + label if label else ""}}} 7.0',
            f'{series}{{command="LOCK_RELEASED",name="redis"{"," + label if label else ""}}} 1.2e+03',
        )
    )
    assert watchdog.count(text) == 1200
    assert watchdog.count("") == 0


def test_commands_of_redis_have_their_lengths_in_bytes() -> None:
    assert watchdog.words("PUBLISH", "münchen") == b"*2\r\n$7\r\nPUBLISH\r\n$8\r\nm\xc3\xbcnchen\r\n"


def test_a_refusal_of_redis_is_an_error() -> None:
    with pytest.raises(watchdog.RedisError, match="NOAUTH Authentication required"):
        watchdog.expect(b"-NOAUTH Authentication required.\r\n", b":")
    with pytest.raises(watchdog.RedisError, match="the connection ended"):
        watchdog.expect(b"", b":")
