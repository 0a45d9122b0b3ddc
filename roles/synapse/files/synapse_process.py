# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a module of Synapse as ``python -m`` does, with sockets that suit a server with many clients.

- Sockets listen with the longest queue that the kernel allows (net.core.somaxconn). Synapse asks for 50: when more
  clients connect at the same time, the kernel refuses connections to a socket of UNIX at once, and nginx answers 502.
- TCP sockets of a server are bound with SO_REUSEPORT. So the watchdog, which belongs to the same user, can hold the
  ports while a process is down, and no other user can take them.

Nothing of Synapse is changed, and no name of it is used: what it listens on passes through Python's socket.socket.

Usage: synapse-process MODULE ARGUMENTS
"""

from __future__ import annotations

import os
import runpy
import socket
import sys
from typing import Any

# The kernel takes the smaller one of this and net.core.somaxconn.
BACKLOG = 65535
_INTERNET = (socket.AF_INET, socket.AF_INET6)
_bind, _listen = socket.socket.bind, socket.socket.listen


def bind(self: socket.socket, address: Any) -> None:
    """Binds a socket, and lets other sockets of the same user have the same port of a server."""
    # Port 0 asks the kernel for any port, as clients do.
    if self.type == socket.SOCK_STREAM and self.family in _INTERNET and address[1] != 0:
        self.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    _bind(self, address)


def listen(self: socket.socket, backlog: int = BACKLOG) -> None:
    """Listens with the longest queue."""
    _listen(self, max(backlog, BACKLOG))


def main() -> None:
    """Runs the module."""
    # As with `python -m`: modules of the operator in the working directory are found.
    sys.path[0] = os.getcwd()
    del sys.argv[0]
    setattr(socket.socket, "bind", bind)  # noqa: B010  mypy refuses an assignment to a method
    setattr(socket.socket, "listen", listen)  # noqa: B010
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
