# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The TCP ports of a host that somebody listens on, with the program that does. Private to the collection."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path
from typing import Any, Iterator

_LISTEN = "0A"  # TCP_LISTEN of include/net/tcp_states.h
_INODE = 9
"""The field of a line of /proc/net/tcp, counted from 0, that has the inode of the socket."""


def ports_in_use(proc: Path = Path("/proc")) -> list[dict[str, Any]]:
    """Returns each listening TCP socket: ``address``, ``port``, and ``program`` and ``unit`` of who holds it.

    A socket that no process of the host holds, because it belongs to another namespace, has an empty program and unit.
    """
    listening = {inode: place for name in ("tcp", "tcp6") for inode, place in _listening(proc / "net" / name)}
    holders = _holders(set(listening), proc)
    found = [
        {"address": address, "port": port, **holders.get(inode, {"program": "", "unit": ""})}
        for inode, (address, port) in listening.items()
    ]
    return sorted(found, key=lambda entry: (entry["port"], entry["address"]))


def _listening(path: Path) -> Iterator[tuple[str, tuple[str, int]]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()[1:]
    except OSError:
        return
    for fields in (line.split() for line in lines):
        if fields[3] == _LISTEN:
            address, _, port = fields[1].partition(":")
            yield fields[_INODE], (_address(address), int(port, 16))


def _address(text: str) -> str:
    """Returns an address of /proc/net/tcp: words of four bytes, each in the order of the machine."""
    data = bytes.fromhex(text)
    ordered = b"".join(data[start : start + 4][::-1] for start in range(0, len(data), 4))
    return socket.inet_ntop(socket.AF_INET if len(data) == 4 else socket.AF_INET6, ordered)


def _holders(wanted: set[str], proc: Path) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for pid in filter(str.isdigit, os.listdir(str(proc))):
        for inode in _sockets(proc / pid / "fd") & wanted - set(found):
            found[inode] = {"program": _read(proc / pid / "comm").strip(), "unit": _unit(_read(proc / pid / "cgroup"))}
        if len(found) == len(wanted):
            break
    return found


def _sockets(directory: Path) -> set[str]:
    """Returns the inodes of the sockets that a process has open."""
    return {target[len("socket:[") : -1] for target in _targets(directory) if target.startswith("socket:[")}


def _targets(directory: Path) -> Iterator[str]:
    try:
        names = os.listdir(str(directory))
    except OSError:
        return  # the process has ended
    for name in names:
        with contextlib.suppress(OSError):
            yield os.readlink(str(directory / name))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _unit(cgroup: str) -> str:
    """Returns the unit of a process: the last part of its control group that is the name of one."""
    for line in reversed(cgroup.splitlines()):
        names = [
            name for name in line.rpartition(":")[2].split("/") if name.endswith((".service", ".scope", ".socket"))
        ]
        if names:
            return names[-1]
    return ""
