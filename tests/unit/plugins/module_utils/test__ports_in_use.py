# SPDX-License-Identifier: GPL-3.0-or-later
"""Who listens on which TCP port of a host."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from ansible_collections.baremetal.synapse.plugins.module_utils._ports_in_use import ports_in_use

_HEAD = "  sl  local_address rem_address   st ...\n"
_LINE = (
    "   0: {local} {zero}:0000 {state} 00000000:00000000 00:00000000 00000000     0        0 {inode} 1 0 100 0 0 10 0\n"
)


def line(local: str, inode: int, state: str = "0A") -> str:
    return _LINE.format(local=local, zero="0" * 8, inode=inode, state=state)


def process(proc: Path, pid: int, name: str, cgroup: str, *inodes: int) -> None:
    (proc / str(pid) / "fd").mkdir(parents=True)
    (proc / str(pid) / "comm").write_text(f"{name}\n")
    (proc / str(pid) / "cgroup").write_text(f"{cgroup}\n")
    for number, inode in enumerate(inodes):
        (proc / str(pid) / "fd" / str(number)).symlink_to(f"socket:[{inode}]")


def test_each_listener_has_its_program_and_unit(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    tcp = line("0100007F:1538", 11) + line("00000000:01BB", 12) + line("0100007F:0016", 13, "01")
    (tmp_path / "net/tcp").write_text(_HEAD + tcp)
    (tmp_path / "net/tcp6").write_text(_HEAD + line(f"{'0' * 32}:01BB", 14) + line(f"{'0' * 24}01000000:0050", 15))
    postgres = "0::/system.slice/system-postgresql.slice/postgresql@17-main.service"
    process(tmp_path, 100, "postgres", postgres, 11)
    process(tmp_path, 200, "caddy", "0::/system.slice/caddy.service", 12, 14)
    assert ports_in_use(tmp_path) == [
        {"address": "::1", "port": 80, "program": "", "unit": ""},
        {"address": "0.0.0.0", "port": 443, "program": "caddy", "unit": "caddy.service"},  # noqa: S104
        {"address": "::", "port": 443, "program": "caddy", "unit": "caddy.service"},
        {"address": "127.0.0.1", "port": 5432, "program": "postgres", "unit": "postgresql@17-main.service"},
    ]


def test_a_real_listener_is_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        (found,) = (entry for entry in ports_in_use() if entry["port"] == port)
    assert found["address"] == "127.0.0.1"
    assert found["program"] == Path(f"/proc/{os.getpid()}/comm").read_text().strip()


def test_a_host_without_ipv6(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net/tcp").write_text(_HEAD)
    assert ports_in_use(tmp_path) == []
