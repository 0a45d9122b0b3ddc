# SPDX-License-Identifier: GPL-3.0-or-later
"""Which run of Ansible this is, and which others run on this machine."""

from __future__ import annotations

import getpass
import multiprocessing
import os
import socket
from pathlib import Path

from ansible_collections.baremetal.synapse.plugins.module_utils._run_lock import Run

_PROC = Path("/proc")


def this_run() -> Run:
    """Returns the run in which this is called."""
    # Tasks are carried out by children of ansible-playbook.
    parent = multiprocessing.parent_process()
    pid = os.getpid() if parent is None or parent.pid is None else parent.pid
    return Run(_user(), socket.gethostname(), _machine(), pid, _started(pid))


def runs_alive() -> list[str] | None:
    """Returns the processes on this machine that may be runs of Ansible; None if it does not show its processes."""
    # With hidepid, the processes of other users are not there to see.
    if not (_PROC / "1" / "stat").exists():
        return None
    return [
        f"{directory.name}:{_started(int(directory.name))}"
        for directory in _PROC.glob("[0-9]*")
        if b"ansible" in _bytes(directory / "cmdline")
    ]


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _machine() -> str:
    """Returns what tells this machine, its boot and this container from others."""
    boot = _bytes(_PROC / "sys" / "kernel" / "random" / "boot_id").decode().strip()
    try:
        space = os.readlink(_PROC / "self" / "ns" / "pid")
    except OSError:
        space = ""
    return f"{socket.gethostname()} {boot} {space}".strip()


def _started(pid: int) -> str:
    # Field 22 of the whole line (proc(5)).
    fields = _bytes(_PROC / str(pid) / "stat").rpartition(b")")[2].split()
    return fields[19].decode() if len(fields) > 19 else ""


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


__all__ = ("runs_alive", "this_run")
