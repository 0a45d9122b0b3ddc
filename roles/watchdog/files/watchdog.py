# SPDX-License-Identifier: GPL-3.0-or-later
"""Ends Synapse processes of this host that hang, or that run and hear nothing from Redis; systemd starts them again.

A process hangs if its main thread does nothing at all and its metrics, which have a thread of their own, accept a
connection and do not answer. Every few seconds this program reads in /proc what the main threads have done:

- A thread that computes, waits for the disk, or waits for its turn is slow, and is left alone.
- A process that hangs for eight seconds is killed: it cannot handle a signal. One in a debugger is left alone.

A process can lose its subscription and go on: it answers requests, but receives no more updates. So this program sends
a command to all processes, over their replication channel, and checks in the metrics of each process of this host
whether the process has counted the command:

- The command reports the release of a lock that does not exist. Synapse compares a name, and does nothing.
- Redis has to accept the command. While Redis does not answer, no process is judged.
- A process is ended after several failed checks in a row, one process at a time, and never soon after its start.
  Metrics that are not served (the process starts, or an operator turned them off) do not count.
- A process that is too busy to hear has four times as long.

It also holds the TCP ports of the processes, without listening on them: while a process is down, its ports are not free
for other users. Synapse's own user may use them (SO_REUSEPORT, see synapse-process). It lets go of those of a process
that was started without synapse-process.

It has the rights of Synapse's own user, which may end its own processes. systemd starts them again (Restart=always).
It ends when its configuration or this file changes, and systemd starts it with the new one.

Usage: watchdog.py CONFIGURATION
"""

import http.client
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

COMMAND = "LOCK_RELEASED"
SERIES = "synapse_replication_tcp_protocol_inbound_commands_total{"
INVOCATIONS = Path("/run/systemd/units")
PATIENCE_SECONDS = 300.0
LONGEST_GRACE = 16
REDIS_SECONDS = 5.0
METRICS_SECONDS = 5.0
READERS = 4
# How often the main threads are looked at, and how long a process must hang until it is killed.
LOOK_SECONDS = 2.0
SUSPECT_SECONDS = 2.0
HANG_SECONDS = 8.0
SILENT_LOOKS = 2
PROBE_SECONDS = 2.0
# A look that comes so late shows that this program was not running either: the whole machine was slow, or stopped.
LATE_SECONDS = 3.0
# A reactor that has not been seen for so long is busy, or hangs.
REACTOR_SECONDS = 5.0
BUSY_SHARE = 0.25
LAST_SEEN = "python_twisted_reactor_last_seen "
# Of /proc/PID/stat: asleep, and stopped. Others compute, wait for a disk or for their turn, or are in a debugger.
IDLE_STATES = ("S", "T")

# Levels of the journal, by which systemd sorts lines.
WARNING, NOTICE, INFO = "<4>", "<5>", "<6>"


class RedisError(Exception):
    """Redis did not accept a message; the text has the reason, without the password."""


@dataclass(frozen=True)
class Reading:
    """The state of a process at one check.

    Attributes:
        invocation: systemd's name for this start of the unit; None if the unit does not run.
        heard: how many commands of ours it has counted; None if its metrics are not available.
        hangs: its metrics accepted a connection and did not answer.
        busy: it may hear later: it works, and its metrics do not answer, or its reactor was not seen for a while.
    """

    invocation: str | None
    heard: float | None = None
    hangs: bool = False
    busy: bool = False


@dataclass
class Record:
    """The record of a process.

    Attributes:
        invocation: the start of the unit that this is about.
        since: when it was seen first, in seconds of the monotonic clock.
        heard: its count at the last check.
        silent: checks in a row in which it heard nothing, or hung. One in which it was busy counts less.
        restarts: how often it was ended since it last heard something.
        quiet_since: the time of the first of these checks.
    """

    invocation: str
    since: float
    heard: float | None
    silent: float = 0.0
    restarts: int = 0
    quiet_since: float = 0.0


@dataclass
class Judge:
    """Decides which process hears nothing; a pure function of its input.

    Attributes:
        checks: in a row, that a process has to fail.
        grace_seconds: after its start, in which it is not judged; doubled after each restart without success.
        records: of the processes that run, by name.
        ended: the process that was ended last, when, and as which invocation, until it hears again.
    """

    checks: int
    grace_seconds: float
    records: dict[str, Record] = field(default_factory=dict)
    ended: tuple[str, float, str] | None = None

    def forgive(self) -> None:
        """Resets the failed checks: Redis did not answer, so no process could receive anything."""
        for record in self.records.values():
            record.silent = 0.0

    def judge(self, now: float, readings: Mapping[str, Reading]) -> str | None:
        """Takes the states after a command was sent, and returns the process to end, if any.

        Args:
            now: seconds of the monotonic clock.
            readings: of all processes of the host, by name.
        """
        for name, reading in readings.items():
            self._note(now, name, reading)
        if self.ended is not None and self._is_over(now, *self.ended):
            self.ended = None
        if self.ended is not None:
            return None
        deaf = [name for name, record in self.records.items() if record.silent >= self.checks]
        if not deaf:
            return None
        worst = max(sorted(deaf), key=lambda name: self.records[name].silent)
        record = self.records[worst]
        record.restarts += 1
        self.ended = (worst, now, record.invocation)
        return worst

    def must_be_killed(self, readings: Mapping[str, Reading]) -> str | None:
        """Returns the process that has ignored SIGTERM."""
        if self.ended is None:
            return None
        name, _, invocation = self.ended
        reading = readings.get(name)
        return name if reading is not None and reading.invocation == invocation else None

    def _note(self, now: float, name: str, reading: Reading) -> None:
        if reading.invocation is None:
            # Its restarts are forgotten too: an operator has stopped it, or it ends just now.
            if self.ended is None or self.ended[0] != name:
                self.records.pop(name, None)
            return
        record = self.records.get(name)
        if record is None or record.invocation != reading.invocation:
            restarts = record.restarts if record is not None else 0
            self.records[name] = Record(reading.invocation, now, reading.heard, restarts=restarts)
            return
        before, record.heard = record.heard, reading.heard if reading.heard is not None else record.heard
        if reading.heard is not None and before is not None and reading.heard > before:
            record.silent, record.restarts = 0.0, 0
        elif now - record.since < self.grace_seconds * min(2**record.restarts, LONGEST_GRACE):
            record.silent = 0.0
        elif reading.hangs or (reading.heard is not None and before is not None):
            record.quiet_since = record.quiet_since if record.silent else now
            record.silent += BUSY_SHARE if reading.busy else 1

    def _is_over(self, now: float, name: str, when: float, invocation: str) -> bool:
        record = self.records.get(name)
        heard_again = record is not None and record.invocation != invocation and record.restarts == 0
        return heard_again or now - when > PATIENCE_SECONDS


@dataclass(frozen=True)
class Motion:
    """What the main thread of a process does.

    Attributes:
        invocation: systemd's name for this start of the unit.
        state: a letter of /proc/PID/stat.
        work: its ticks of the processor and how often it was switched, together: any work increases it.
    """

    invocation: str
    state: str
    work: int


@dataclass
class Stillness:
    """Decides which process hangs; a pure function of its input.

    Attributes:
        seconds: how long a process must do nothing.
        seen: what each process does, and since when it does nothing more, in seconds of the monotonic clock.
        silent: how many looks in a row found each process silent.
    """

    seconds: float
    seen: dict[str, tuple[Motion, float]] = field(default_factory=dict)
    silent: dict[str, int] = field(default_factory=dict)

    def suspects(self, now: float, motions: Mapping[str, Motion]) -> list[str]:
        """Takes what the processes do, and returns those that have done nothing for a while."""
        before = self.seen
        self.seen = {
            name: before[name] if name in before and before[name][0] == motion else (motion, now)
            for name, motion in motions.items()
        }
        return [
            name
            for name, (motion, since) in self.seen.items()
            if motion.state in IDLE_STATES and now - since >= SUSPECT_SECONDS
        ]

    def hung(self, now: float, silent: Sequence[str]) -> list[str]:
        """Takes the suspects whose metrics did not answer, and returns those to kill."""
        looks = {name: self.silent.get(name, 0) + 1 for name in silent}
        found = [
            name for name, count in looks.items() if count >= SILENT_LOOKS and now - self.seen[name][1] >= self.seconds
        ]
        self.silent = {name: count for name, count in looks.items() if name not in found}
        return found

    def forget(self) -> None:
        """Begins anew: this program itself did not run for a while."""
        self.seen, self.silent = {}, {}


def count(metrics: str) -> float:
    """Returns how many of our commands a process has counted, from the text of its metrics.

    Raises:
        ValueError: it is no such text.
    """
    lines = (line for line in metrics.splitlines() if line.startswith(SERIES))
    return sum(float(line.rpartition(" ")[2]) for line in lines if f'command="{COMMAND}"' in line)


def is_late(metrics: str) -> bool:
    """Returns whether the reactor of a process was not seen for a while, from the text of its metrics."""
    seen = [line.rpartition(" ")[2] for line in metrics.splitlines() if line.startswith(LAST_SEEN)]
    return any(float(seconds) > REACTOR_SECONDS for seconds in seen)


def read(process: Mapping[str, str], worked: bool = False) -> Reading:
    """Returns the state of a process.

    Args:
        process: its unit and the address of its metrics.
        worked: whether its main thread has done something since the last check.
    """
    invocation = invocation_of(process["unit"])
    if invocation is None:
        return Reading(None)
    try:
        text = ask(process["metrics"], "/metrics", METRICS_SECONDS)
        return Reading(invocation, count(text), busy=worked and is_late(text))
    except TimeoutError:
        return Reading(invocation, hangs=True, busy=worked)
    except (OSError, ValueError, http.client.HTTPException):
        return Reading(invocation)


def is_silent(process: Mapping[str, str]) -> bool:
    """Returns whether the metrics of a process accept a connection and do not answer."""
    try:
        # Prometheus' client makes no metrics for this path: an answer costs nothing.
        ask(process["metrics"], "/favicon.ico", PROBE_SECONDS)
    except TimeoutError:
        return True
    except (OSError, ValueError, http.client.HTTPException):
        pass
    return False


def ask(address: str, path: str, timeout: float) -> str:
    """Returns what the metrics of a process answer.

    Raises:
        TimeoutError: they accepted a connection and did not answer in time.
        OSError: they are not served.
        ValueError: they are not served under this path.
    """
    host, port = split(address)
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
        if answer.status != 200:
            raise ValueError(answer.status)
        return text
    finally:
        connection.close()


def split(address: str) -> tuple[str, int]:
    """Returns host and port of an address."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def invocation_of(unit: str) -> str | None:
    """Returns systemd's name for the present start of a unit, None if it does not run."""
    try:
        return os.readlink(INVOCATIONS / f"invocation:{unit}")
    except OSError:
        return None


def motion_of(invocation: str, pid: int) -> Motion | None:
    """Returns what the main thread of a process does, None if there is no such process."""
    thread = Path(f"/proc/{pid}/task/{pid}")
    try:
        fields = (thread / "stat").read_text().rpartition(")")[2].split()
        switches = [
            int(line.split()[1]) for line in (thread / "status").read_text().splitlines() if "ctxt_switches:" in line
        ]
    except (OSError, ValueError):
        return None
    # utime and stime are the fields 14 and 15 of the whole line (proc(5)).
    return Motion(invocation, fields[0], int(fields[11]) + int(fields[12]) + sum(switches))


def words(*parts: str) -> bytes:
    """Returns a command in Redis' protocol."""
    encoded = [part.encode() for part in parts]
    return b"".join([b"*%d\r\n" % len(encoded), *(b"$%d\r\n%s\r\n" % (len(part), part) for part in encoded)])


def publish(redis: Mapping[str, str], channel: str, message: str) -> int:
    """Publishes a message over a connection of its own, and returns to how many it went.

    Args:
        redis: its `socket`, or its `address`, `port` and `password_file`.
        channel: on which Synapse's processes listen.
        message: what they shall hear.

    Raises:
        RedisError: it was not taken.
    """
    try:
        with connect(redis) as connection, connection.makefile("rb") as answers:
            if "password_file" in redis:
                connection.sendall(words("AUTH", Path(redis["password_file"]).read_text().strip()))
                expect(answers.readline(), b"+")
            connection.sendall(words("PUBLISH", channel, message))
            return int(expect(answers.readline(), b":"))
    except (OSError, ValueError) as error:
        raise RedisError(str(error)) from error


def connect(redis: Mapping[str, str]) -> socket.socket:
    """Returns a new connection to Redis."""
    if "socket" not in redis:
        return socket.create_connection((redis["address"], int(redis["port"])), timeout=REDIS_SECONDS)
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(REDIS_SECONDS)
    try:
        connection.connect(redis["socket"])
    except OSError:
        connection.close()
        raise
    return connection


def expect(line: bytes, kind: bytes) -> bytes:
    """Returns an answer of Redis without its first letter, which is its type.

    Raises:
        RedisError: it is of another kind, such as an error.
    """
    if not line.startswith(kind):
        raise RedisError(line.decode(errors="replace").strip("-\r\n") or "the connection ended")
    return line[1:]


def pids_of(unit: str) -> list[int]:
    """Returns the processes of a unit that belong to this user."""
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            if directory.stat().st_uid == os.getuid() and f"/{unit}\n" in (directory / "cgroup").read_text():
                found.append(int(directory.name))
        except OSError:
            continue
    return found


def end(unit: str, number: signal.Signals) -> None:
    """Sends a signal to the processes of a unit."""
    for pid in pids_of(unit):
        try:
            handle = os.pidfd_open(pid)
        except OSError:
            continue
        try:
            # The number may have gone to another process meanwhile; the handle cannot.
            if pid in pids_of(unit):
                signal.pidfd_send_signal(handle, number)
        except OSError:
            continue
        finally:
            os.close(handle)


class Ports:
    """TCP ports that are held for this user, without listening on them."""

    def __init__(self) -> None:
        self._held: dict[str, socket.socket] = {}

    def hold(self, addresses: Sequence[str]) -> None:
        """Takes those that can be had: not the ones that a process has which does not share them."""
        for address in addresses:
            if address not in self._held:
                self._take(address)

    def release(self, addresses: Sequence[str]) -> None:
        """Lets others have them."""
        for address in addresses:
            if address in self._held:
                self._held.pop(address).close()

    def _take(self, address: str) -> None:
        host, port = split(address)
        held = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        try:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            held.bind((host, port))
        except OSError:
            held.close()
            return
        self._held[address] = held


def shares_ports(command: bytes) -> bool:
    """Returns whether a process, by its command line, shares its ports with this program.

    One of an older unit, or of a unit that an operator has changed, does not: it would not start on a held port.
    """
    return b"synapse.app." not in command or b"synapse-process" in command


def command_of(pid: int) -> bytes:
    """Returns the command line of a process; empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def say(level: str, text: str) -> None:
    """Writes a line into the journal."""
    print(f"{level}{text}", flush=True)


def stamps(paths: Sequence[Path]) -> list[tuple[int, int]]:
    """Returns inode and time of change of each file."""
    found = [path.stat() for path in paths if path.exists()]
    return [(status.st_ino, status.st_mtime_ns) for status in found]


@dataclass(frozen=True)
class Config:
    """The configuration file of the role.

    Attributes:
        host: the name of this host.
        channel: on which Synapse's processes listen.
        redis: how it is reached, see `publish`; None in a monolith, which needs none.
        processes: name, unit, metrics (an address) and ports (its other addresses) of each.
        interval: seconds between checks.
        checks: in a row, that a process has to fail.
        grace: seconds after its start in which a process is not judged.
    """

    host: str
    channel: str
    redis: Mapping[str, str] | None
    processes: Sequence[Mapping[str, Any]]
    interval: int
    checks: int
    grace: int


class Watchdog:
    """Checks the processes at intervals.

    Args:
        config: the configuration.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._processes = {process["name"]: process for process in config.processes}
        self._judge = Judge(checks=config.checks, grace_seconds=config.grace)
        self._still = Stillness(HANG_SECONDS)
        self._ports = Ports()
        self._pids: dict[str, int] = {}
        self._worked: dict[str, Motion] = {}
        self._redis_answers = True

    def speak(self) -> bool:
        """Sends a command to all processes; returns whether Redis accepted it."""
        if self._config.redis is None:
            return False
        message = f"{COMMAND} {json.dumps(['watchdog', 'watchdog', self._config.host])}"
        try:
            publish(self._config.redis, self._config.channel, message)
        except RedisError as error:
            if self._redis_answers:
                say(WARNING, f"Redis does not answer ({error}): no process is judged until it does.")
            self._redis_answers = False
            return False
        if not self._redis_answers:
            say(NOTICE, "Redis answers again.")
        self._redis_answers = True
        return True

    def look(self) -> None:
        """Checks which processes have received the command, and ends one that has not."""
        motions = self._motions()
        worked = {name: motions.get(name) != self._worked.get(name) for name in self._processes}
        self._worked = motions
        # It is known of these, and to ask them would delay the next look.
        readings = {name: Reading(self._still.seen[name][0].invocation, hangs=True) for name in self._still.silent}
        asked = [name for name in self._processes if name not in readings]
        with ThreadPoolExecutor(READERS) as pool:
            answers = pool.map(read, [self._processes[name] for name in asked], [worked[name] for name in asked])
            readings.update(zip(asked, answers, strict=True))
        stubborn = self._judge.must_be_killed(readings)
        if stubborn is not None:
            say(WARNING, f"Killing {stubborn}: it ignored SIGTERM.")
            end(self._processes[stubborn]["unit"], signal.SIGKILL)
        now = time.monotonic()
        name = self._judge.judge(now, readings)
        if name is not None:
            quiet = now - self._judge.records[name].quiet_since + self._config.interval
            what = "does not answer" if readings[name].hangs else "hears nothing from Redis, which answers"
            say(WARNING, f"Restarting {name}: for {quiet:.0f} s it {what}.")
            end(self._processes[name]["unit"], signal.SIGTERM)

    def watch(self) -> None:
        """Kills the processes that hang."""
        motions = self._motions()
        self._hold(motions)
        suspects = self._still.suspects(time.monotonic(), motions)
        with ThreadPoolExecutor(READERS) as pool:
            answers = pool.map(is_silent, [self._processes[name] for name in suspects])
            silent = [name for name, is_so in zip(suspects, answers, strict=True) if is_so]
        now = time.monotonic()
        for name in self._still.hung(now, silent):
            still = now - self._still.seen[name][1]
            say(WARNING, f"Killing {name}: for {still:.0f} s it has done nothing and does not answer.")
            end(self._processes[name]["unit"], signal.SIGKILL)

    def _hold(self, motions: Mapping[str, Motion]) -> None:
        for name, process in self._processes.items():
            addresses = [process["metrics"], *process["ports"]]
            if name in motions and not shares_ports(command_of(self._pids[motions[name].invocation])):
                self._ports.release(addresses)
            else:
                self._ports.hold(addresses)

    def _motions(self) -> dict[str, Motion]:
        """Returns what the processes that run do, by their names."""
        found = {}
        for name, process in self._processes.items():
            invocation = invocation_of(process["unit"])
            if invocation is None:
                continue
            motion = self._motion(invocation)
            if motion is None:
                self._find(invocation, process["unit"])
                motion = self._motion(invocation)
            if motion is not None:
                found[name] = motion
        self._pids = {motion.invocation: self._pids[motion.invocation] for motion in found.values()}
        return found

    def _motion(self, invocation: str) -> Motion | None:
        return motion_of(invocation, self._pids[invocation]) if invocation in self._pids else None

    def _find(self, invocation: str, unit: str) -> None:
        # The first one: Synapse has no children that run for long.
        pids = pids_of(unit)
        self._pids.pop(invocation, None)
        if pids:
            self._pids[invocation] = min(pids)

    def _pause(self, until: float) -> None:
        """Looks for processes that hang, until it is time for the next check."""
        while (left := until - time.monotonic()) > 0:
            nap = min(LOOK_SECONDS, left)
            began = time.monotonic()
            time.sleep(nap)
            if time.monotonic() - began > nap + LATE_SECONDS:
                self._still.forget()
            self.watch()

    def run(self, files: Sequence[Path]) -> None:
        """Checks until one of the files changes."""
        began = stamps(files)
        say(INFO, f"Watching {len(self._processes)} processes, every {self._config.interval} s.")
        while stamps(files) == began:
            spoke = self.speak()
            self._pause(time.monotonic() + self._config.interval)
            if spoke:
                self.look()
            else:
                self._judge.forgive()
        say(INFO, "The configuration has changed.")


def main() -> int:
    """Watches."""
    path = Path(sys.argv[1])
    Watchdog(Config(**json.loads(path.read_text()))).run([path, Path(__file__)])
    return 0


if __name__ == "__main__":
    sys.exit(main())
