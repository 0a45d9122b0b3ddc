# SPDX-License-Identifier: GPL-3.0-or-later
"""Notices Synapse processes of this host that run but hear nothing from Redis, and makes systemd restart them.

A process can lose its subscription and go on: it answers requests, but receives no more updates. So this program sends
a command to all processes, over their replication channel, and checks in the metrics of each process of this host
whether the process has counted the command:

- The command reports the release of a lock that does not exist. Synapse compares a name, and does nothing.
- Redis has to accept the command. While Redis does not answer, no process is judged.
- A process is ended after several failed checks in a row, one process at a time, and never soon after its start.
  Metrics that are not served (the process starts, or an operator turned them off) do not count; metrics that accept a
  connection and do not answer are those of a process that hangs.
- It has the rights of Synapse's own user, which may end its own processes. systemd starts them again (Restart=always).

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

COMMAND = "LOCK_RELEASED"
SERIES = "synapse_replication_tcp_protocol_inbound_commands_total{"
INVOCATIONS = Path("/run/systemd/units")
PATIENCE_SECONDS = 300.0
LONGEST_GRACE = 16
REDIS_SECONDS = 5.0
METRICS_SECONDS = 5.0
READERS = 4

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
    """

    invocation: str | None
    heard: float | None = None
    hangs: bool = False


@dataclass
class Record:
    """The record of a process.

    Attributes:
        invocation: the start of the unit that this is about.
        since: when it was seen first, in seconds of the monotonic clock.
        heard: its count at the last check.
        silent: checks in a row in which it heard nothing, or hung.
        restarts: how often it was ended since it last heard something.
    """

    invocation: str
    since: float
    heard: float | None
    silent: int = 0
    restarts: int = 0


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
            record.silent = 0

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
            record.silent = record.restarts = 0
        elif now - record.since < self.grace_seconds * min(2**record.restarts, LONGEST_GRACE):
            record.silent = 0
        elif reading.hangs or (reading.heard is not None and before is not None):
            record.silent += 1

    def _is_over(self, now: float, name: str, when: float, invocation: str) -> bool:
        record = self.records.get(name)
        heard_again = record is not None and record.invocation != invocation and record.restarts == 0
        return heard_again or now - when > PATIENCE_SECONDS


def count(metrics: str) -> float:
    """Returns how many of our commands a process has counted, from the text of its metrics.

    Raises:
        ValueError: it is no such text.
    """
    lines = (line for line in metrics.splitlines() if line.startswith(SERIES))
    return sum(float(line.rpartition(" ")[2]) for line in lines if f'command="{COMMAND}"' in line)


def read(process: Mapping[str, str]) -> Reading:
    """Returns the state of a process."""
    invocation = invocation_of(process["unit"])
    if invocation is None:
        return Reading(None)
    host, _, port = process["metrics"].rpartition(":")
    connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=METRICS_SECONDS)
    try:
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
        return Reading(invocation, count(text)) if answer.status == 200 else Reading(invocation)
    except TimeoutError:
        return Reading(invocation, hangs=True)
    except (OSError, ValueError, http.client.HTTPException):
        return Reading(invocation)
    finally:
        connection.close()


def invocation_of(unit: str) -> str | None:
    """Returns systemd's name for the present start of a unit, None if it does not run."""
    try:
        return os.readlink(INVOCATIONS / f"invocation:{unit}")
    except OSError:
        return None


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
        redis: how it is reached, see `publish`.
        processes: name, unit and metrics (an address) of each.
        interval: seconds between checks.
        checks: in a row, that a process has to fail.
        grace: seconds after its start in which a process is not judged.
    """

    host: str
    channel: str
    redis: Mapping[str, str]
    processes: Sequence[Mapping[str, str]]
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
        self._redis_answers = True

    def speak(self) -> bool:
        """Sends a command to all processes; returns whether Redis accepted it."""
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
        with ThreadPoolExecutor(READERS) as pool:
            readings = dict(zip(self._processes, pool.map(read, self._processes.values()), strict=True))
        stubborn = self._judge.must_be_killed(readings)
        if stubborn is not None:
            say(WARNING, f"Killing {stubborn}: it ignored SIGTERM.")
            end(self._processes[stubborn]["unit"], signal.SIGKILL)
        name = self._judge.judge(time.monotonic(), readings)
        if name is not None:
            silent = self._judge.records[name].silent
            what = "does not answer" if readings[name].hangs else "hears nothing from Redis, which answers"
            say(WARNING, f"Restarting {name}: for {silent} checks, {self._config.interval} s apart, it {what}.")
            end(self._processes[name]["unit"], signal.SIGTERM)

    def run(self, files: Sequence[Path]) -> None:
        """Checks until one of the files changes."""
        began = stamps(files)
        say(INFO, f"Watching {len(self._processes)} processes, every {self._config.interval} s.")
        while stamps(files) == began:
            spoke = self.speak()
            time.sleep(self._config.interval)
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
