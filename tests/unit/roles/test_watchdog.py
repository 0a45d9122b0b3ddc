# SPDX-License-Identifier: GPL-3.0-or-later
"""The watchdog's decisions: who is deaf, who is left alone, and how much it may restart."""

from __future__ import annotations

import importlib.util
import itertools
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace

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
        self.busy: set[str] = set()
        self.silenced: set[str] = set()
        self.stopped: set[str] = set()
        self.look(times=6)

    def reading(self, name: str) -> object:
        if name in self.stopped:
            return watchdog.Reading(None)
        invocation = f"{name}-{self.starts[name]}"
        busy = name in self.busy
        if name in self.hanging:
            return watchdog.Reading(invocation, hangs=True, busy=busy)
        return watchdog.Reading(invocation, None if name in self.silenced else self.heard[name], busy=busy)

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


@pytest.mark.parametrize("state", ["deaf", "hanging"])
def test_a_process_that_is_too_busy_to_hear_gets_four_times_as_long(state: str) -> None:
    host = Host("main", "sync-1")
    host.busy = {"sync-1"}
    setattr(host, state, {"sync-1"})
    assert host.look(times=4 * CHECKS - 1) == []
    assert host.look() == ["sync-1"]


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


class Threads:
    """The main threads of processes, and a watchdog that looks at them every few seconds."""

    def __init__(self) -> None:
        self.still = watchdog.Stillness(watchdog.HANG_SECONDS)
        self.now = 1000.0
        self.motions = {"main": watchdog.Motion("main-1", "S", 1), "sync-1": watchdog.Motion("sync-1-1", "S", 1)}
        self.silent: set[str] = set()

    def does(self, name: str, state: str, work: int = 0, invocation: str | None = None) -> None:
        """Changes what a process does."""
        before = self.motions[name]
        self.motions[name] = watchdog.Motion(invocation or before.invocation, state, before.work + work)

    def look(self, times: int = 1, working: str = "main") -> list[str]:
        """Looks some times, and returns who is killed. Processes that work do something in between."""
        killed: list[str] = []
        for _ in range(times):
            self.now += watchdog.LOOK_SECONDS
            for name in working.split():
                self.does(name, "S", work=1)
            suspects = self.still.suspects(self.now, self.motions)
            killed += self.still.hung(self.now, [name for name in suspects if name in self.silent])
        return killed

    def seconds_until_killed(self, working: str = "main") -> float:
        """Returns how long it takes until a process is killed."""
        began = self.now
        while not self.look(working=working):
            assert self.now < began + 3600
        return self.now - began


def test_a_stopped_process_is_killed_within_seconds() -> None:
    threads = Threads()
    threads.look(times=3, working="main sync-1")
    threads.does("sync-1", "T")
    threads.silent = {"sync-1"}
    # systemd starts it again after three more, and the whole has to take less than thirty.
    assert watchdog.HANG_SECONDS <= threads.seconds_until_killed() <= 12.0


def test_a_process_that_is_asleep_for_ever_is_killed_too() -> None:
    threads = Threads()
    threads.silent = {"sync-1"}
    assert threads.seconds_until_killed() <= 12.0


@pytest.mark.parametrize("state", ["R", "D", "t"])
def test_a_process_that_waits_for_its_turn_for_the_disk_or_for_a_debugger_is_left_alone(state: str) -> None:
    threads = Threads()
    threads.silent = {"sync-1"}
    threads.does("sync-1", state)
    assert threads.look(times=100) == []


def test_a_process_that_works_and_does_not_answer_is_left_alone() -> None:
    threads = Threads()
    threads.silent = {"main", "sync-1"}
    assert threads.look(times=100, working="main sync-1") == []


def test_a_process_without_work_that_answers_is_left_alone() -> None:
    assert Threads().look(times=100) == []


def test_one_answer_begins_the_count_anew() -> None:
    threads = Threads()
    for _ in range(10):
        threads.silent = {"sync-1"}
        assert threads.look() == []
        threads.silent = set()
        assert threads.look() == []


def test_all_processes_that_hang_are_killed() -> None:
    threads = Threads()
    threads.silent = {"main", "sync-1"}
    assert sorted(threads.look(times=6, working="")) == ["main", "sync-1"]


def test_a_process_that_was_started_again_is_another_one() -> None:
    threads = Threads()
    threads.silent = {"sync-1"}
    assert threads.look(times=6) == ["sync-1"]
    threads.does("sync-1", "S", invocation="sync-1-2")
    assert threads.look(times=3) == []


def test_a_machine_that_was_stopped_itself_counts_for_nothing() -> None:
    threads = Threads()
    threads.silent = {"sync-1"}
    threads.look(times=2)
    threads.now += 3600
    threads.still.forget()
    assert threads.look(times=3) == []


def test_the_journal_says_for_how_long_a_process_did_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not how long it has to be: on a slow host the looks come late."""
    process = {"name": "sync-1", "unit": "sync-1.service", "metrics": "127.0.0.1:9", "ports": []}
    program = watchdog.Watchdog(watchdog.Config("app1", "example.org", None, [process], 15, 3, 60))
    ended: list[str] = []
    monkeypatch.setattr(watchdog, "end", lambda unit, _: ended.append(unit))
    monkeypatch.setattr(watchdog, "is_silent", lambda _: True)
    monkeypatch.setattr(program, "_motions", lambda: {"sync-1": watchdog.Motion("sync-1-1", "T", 1)})
    monkeypatch.setattr(program, "_hold", lambda _: None)
    for now in (100.0, 103.0, 113.6):
        monkeypatch.setattr(watchdog, "time", SimpleNamespace(monotonic=lambda now=now: now))
        program.watch()
    assert ended == ["sync-1.service"]
    assert "Killing sync-1: for 14 s it has done nothing and does not answer." in capsys.readouterr().out


def test_what_a_thread_does_is_read_from_the_kernel() -> None:
    found = watchdog.motion_of("x", os.getpid())
    assert found is not None
    assert found.state == "R"
    sum(range(3_000_000))
    time.sleep(0.01)
    assert watchdog.motion_of("x", os.getpid()).work > found.work
    assert watchdog.motion_of("x", 2**30) is None


@pytest.mark.parametrize(("seconds", "late"), [("0.2", False), ("61.5", True)])
def test_a_reactor_that_was_not_seen_for_long_is_late(seconds: str, late: bool) -> None:
    text = f"# TYPE python_twisted_reactor_last_seen gauge\npython_twisted_reactor_last_seen {seconds}\nother 100\n"
    assert watchdog.is_late(text) is late


def test_metrics_that_accept_and_do_not_answer_are_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "PROBE_SECONDS", 0.1)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        assert not watchdog.is_silent({"metrics": address}), "nothing listens"
        listener.listen()
        assert watchdog.is_silent({"metrics": address})


def test_a_port_that_is_held_is_taken_only_by_its_own_user() -> None:
    """The processes share it, as synapse-process binds with the same option, and listen on it."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    ports = watchdog.Ports()
    ports.hold([f"127.0.0.1:{port}"])
    try:
        with socket.socket() as process:
            process.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with pytest.raises(OSError, match="Address already in use"):
                process.bind(("0.0.0.0", port))  # noqa: S104
            # Nobody answers on a port that is only held, so nginx goes on to another process at once.
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port), timeout=5)
            process.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            process.bind(("127.0.0.1", port))
            process.listen()
            with socket.create_connection(("127.0.0.1", port), timeout=5):
                assert process.accept()
            if os.geteuid() == 0:
                assert _taken_by_another_user(port) == "Address already in use"
    finally:
        ports.release([f"127.0.0.1:{port}"])
    with socket.socket() as other:
        # After the process has ended, as the kernel keeps its old connections for a while.
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))


@pytest.mark.parametrize(
    ("command", "shared"),
    [
        (b"current/bin/python\0/usr/local/lib/matrix-synapse/synapse-process\0synapse.app.homeserver\0-c\0x", True),
        (b"current/bin/python\0-m\0synapse.app.generic_worker\0-c\0x", False),
        (b"/usr/bin/python3\0-I\0-S\0/usr/local/lib/matrix-synapse/fingerprint\0record\0main", True),
        (b"", True),
    ],
)
def test_ports_of_a_process_that_does_not_share_them_are_left_to_it(command: bytes, shared: bool) -> None:
    """An operator may have changed the unit: it has to start."""
    assert watchdog.shares_ports(command) is shared


def _taken_by_another_user(port: int) -> str:
    """Returns why another user cannot have a port, also with the same option."""
    program = (
        "import os, socket; os.setuid(65534); s = socket.socket()\n"
        "s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)\n"
        f"s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\ntry: s.bind(('127.0.0.1', {port}))\n"
        "except OSError as error: print(error.strerror)"
    )
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()
