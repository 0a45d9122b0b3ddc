# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that starts a process of Synapse: what it changes of sockets, and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).resolve().parents[3] / "roles" / "synapse" / "files" / "synapse_process.py"
SOMAXCONN = Path("/proc/sys/net/core/somaxconn")

MODULE = """
import json, os, socket, sys

def option(s, name):
    return s.getsockopt(socket.SOL_SOCKET, name)

server, client, local = socket.socket(), socket.socket(), socket.socket(socket.AF_UNIX)
free = socket.socket(); free.bind(("127.0.0.1", 0)); port = free.getsockname()[1]; free.close()
server.bind(("127.0.0.1", port))
server.listen(50)
client.bind(("127.0.0.1", 0))
local.bind(os.path.abspath("socket"))
local.listen(50)
listening = os.popen("ss -Hlnt 'sport = :%d'; ss -Hlnx src $PWD/socket" % port).read().splitlines()
print(json.dumps({
    "name": __name__, "arguments": sys.argv[1:], "first": sys.argv[0], "path": sys.path[0],
    "server": option(server, socket.SO_REUSEPORT), "client": option(client, socket.SO_REUSEPORT),
    "queues": listening,
}))
"""


def started(tmp_path: Path) -> dict[str, object]:
    """Runs a module with the program, as a unit does."""
    (tmp_path / "anything.py").write_text(MODULE)
    command = [sys.executable, str(PROGRAM), "anything", "-c", "homeserver.yaml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def test_a_module_runs_as_with_python_m(tmp_path: Path) -> None:
    found = started(tmp_path)
    assert found["name"] == "__main__"
    assert found["arguments"] == ["-c", "homeserver.yaml"]
    assert found["first"] == str(tmp_path / "anything.py")
    assert found["path"] == str(tmp_path)


def test_servers_share_their_port_with_the_watchdog_and_clients_do_not(tmp_path: Path) -> None:
    found = started(tmp_path)
    assert (found["server"], found["client"]) == (1, 0)


def test_queues_are_as_long_as_the_kernel_allows(tmp_path: Path) -> None:
    """Of a TCP socket and of one of UNIX, which ask for 50."""
    queues = started(tmp_path)["queues"]
    assert isinstance(queues, list)
    lengths = [next(int(field) for field in reversed(line.split()[:5]) if field.isdigit()) for line in map(str, queues)]
    assert lengths == [int(SOMAXCONN.read_text())] * 2, queues
