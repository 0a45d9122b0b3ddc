# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock of a fleet: which run of site.yml changes it. Private to the collection."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from dataclasses import asdict, dataclass
from typing import Any, Iterator, Mapping, Optional

LEASE_SECONDS = 3600.0
"""A lock of a run on another machine, which may be dead, blocks no longer than this."""

_LARGEST = 65536


class HeldError(Exception):
    """Another run holds the fleet; the text says which, since when, and what to do."""


@dataclass(frozen=True)
class Run:
    """A run of Ansible.

    Attributes:
        user: whose it is.
        controller: the name of the machine on which it runs.
        machine: what tells that machine, its boot and its container from others.
        pid: the process of ansible-playbook there.
        started: when that process was started; it tells the process from a later one with the same number.
    """

    user: str
    controller: str
    machine: str
    pid: int
    started: str

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Run:
        """Read it from plain data.

        Raises:
            KeyError: something is missing.
            ValueError: something is of another kind.
        """
        return cls(
            user=str(plain["user"]),
            controller=str(plain["controller"]),
            machine=str(plain["machine"]),
            pid=int(plain["pid"]),
            started=str(plain["started"]),
        )

    @property
    def process(self) -> str:
        """What names its process on its machine."""
        return f"{self.pid}:{self.started}"


@dataclass(frozen=True)
class Lock:
    """A lock that was taken.

    Attributes:
        run: by whom.
        since: when, in seconds since the epoch, by the clock of the host.
    """

    run: Run
    since: float

    def blocks(self, run: Run, alive: Optional[list[str]], now: float) -> bool:
        """Return whether another run may not have it.

        Args:
            run: the other run.
            alive: the processes of Ansible on its machine; None if they are not known.
            now: seconds since the epoch.
        """
        if self.run == run or now - self.since > LEASE_SECONDS:
            return False
        dead = self.run.machine == run.machine and alive is not None and self.run.process not in alive
        return not dead


def take(path: str, run: Run, alive: Optional[list[str]], host: str) -> None:
    """Take the lock, also from a run that is dead.

    Args:
        path: the file.
        run: who takes it.
        alive: the processes of Ansible on its machine; None if they are not known.
        host: the inventory name of the host, for the message.

    Raises:
        HeldError: another run holds it.
        OSError: the file cannot be used.
    """
    with _locked(path) as descriptor:
        held, now = _read(descriptor), time.time()
        if held is not None and held.blocks(run, alive, now):
            raise HeldError(_message(held, path, host))
        _write(descriptor, json.dumps({**asdict(run), "since": now}) + "\n")


def release(path: str, run: Run) -> None:
    """Give the lock back, if the run has it."""
    with _locked(path) as descriptor:
        held = _read(descriptor)
        if held is not None and held.run == run:
            _write(descriptor, "")


def _message(held: Lock, path: str, host: str) -> str:
    def at(moment: float) -> str:
        return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(moment))

    run = held.run
    return (
        f"Another run holds this fleet: of {run.user} on {run.controller}, process {run.pid}, since {at(held.since)}."
        " Nothing was changed. Wait until it has ended, and run the playbook again. If that run is dead: its lock ends"
        f" at {at(held.since + LEASE_SECONDS)}, or when you remove {path} on host {host}."
    )


@contextlib.contextmanager
def _locked(path: str) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        # Two runs that look at the same moment look one after the other.
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def _read(descriptor: int) -> Lock | None:
    try:
        plain = json.loads(os.pread(descriptor, _LARGEST, 0))
        return Lock(Run.of(plain), float(plain["since"]))
    except (ValueError, KeyError, TypeError):
        # Nobody holds it, or a run was cut off while it wrote.
        return None


def _write(descriptor: int, text: str) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text.encode(), 0)


__all__ = ("LEASE_SECONDS", "HeldError", "Lock", "Run", "release", "take")
