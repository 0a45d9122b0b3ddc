# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of a process from its listeners: open requests, and its connection to the replication."""

from __future__ import annotations

import http.client
import re
from pathlib import Path
from typing import Mapping

# SS_CONNECTING, which the process has not accepted yet, and SS_CONNECTED, of include/uapi/linux/net.h
_CONNECTIONS = ("02", "03")
_ESTABLISHED = "01"  # TCP_ESTABLISHED of include/net/tcp_states.h
# Connections to Redis on which it listens (Synapse's replication/tcp/handler.py).
_SUBSCRIBED = re.compile(rb"^synapse_replication_tcp_resource_total_connections(?:\{[^}]*\})? ([0-9.]+)", re.MULTILINE)


def open_connections(listener: Mapping[str, object], proc: Path = Path("/proc/net")) -> int:
    """Count the connections to a listener, given as ``{socket}`` or ``{address, port}``."""
    if "socket" in listener:
        lines = (line.split() for line in _lines(proc / "unix"))
        return sum(
            1 for fields in lines if len(fields) == 8 and fields[5] in _CONNECTIONS and fields[7] == listener["socket"]
        )
    port = f"{int(str(listener['port'])):04X}"
    lines = (line.split() for name in ("tcp", "tcp6") for line in _lines(proc / name))
    return sum(1 for fields in lines if fields[3] == _ESTABLISHED and fields[1].rpartition(":")[2] == port)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()[1:]
    except FileNotFoundError:
        return []


def is_subscribed(address: str, port: int, timeout: float = 5.0) -> bool:
    """Return whether a process reports in its metrics that it listens to the replication.

    Args:
        address: where its metrics are.
        port: the port of them.
        timeout: seconds to wait for an answer.
    """
    connection = http.client.HTTPConnection(address, port, timeout=timeout)
    try:
        connection.request("GET", "/metrics")
        found = _SUBSCRIBED.search(connection.getresponse().read())
        return found is not None and float(found[1]) >= 1
    except OSError:
        return False
    finally:
        connection.close()
