# SPDX-License-Identifier: GPL-3.0-or-later
"""An nginx of a replay: its folder, its process and its logs."""

from __future__ import annotations

import grp
import hashlib
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence

from .configuration import listen_ports
from .errors import ReplayError
from .real_ip import SOURCE_HEADER
from .relocation import relocate

_LONGEST_NAME = 60
_START_SECONDS = 20.0
_START_ATTEMPTS = 5
_LOG_SECONDS = 5.0
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
_IN_USE = "Address already in use"


class Nginx:
    """nginx with a configuration in a temporary folder.

    Attributes:
        ports: for each port of the configuration the port of 127.0.0.1 that stands for it.
    """

    def __init__(self, program: Path, texts: Mapping[str, str], servers: Sequence[str], *, adds_real_ip: bool) -> None:
        """Prepares an nginx; nothing runs or is written yet.

        Args:
            program: the program.
            texts: the files of the configuration that are in the http block, by name.
            servers: the addresses of all servers of upstreams.
            adds_real_ip: whether the http block trusts the replay's own header for the client's address.
        """
        self.ports: Dict[int, int] = dict.fromkeys(listen_ports("\n".join(texts.values())), 0)
        self._program = program
        self._texts = texts
        self._servers = servers
        self._adds_real_ip = adds_real_ip
        self._folder = Path()
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._log_read = 0

    def create(self) -> None:
        """Makes its folder."""
        self._folder = Path(tempfile.mkdtemp(prefix="replay-"))
        # nginx's workers, which do not run as root, have to come through to the sockets.
        self._folder.chmod(0o711)
        sockets = self._folder / "u"
        sockets.mkdir(mode=0o755)
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(sockets, nobody.pw_uid, nobody.pw_gid)

    def remove(self) -> None:
        """Removes its folder."""
        if self._folder != Path():
            shutil.rmtree(self._folder, ignore_errors=True)

    def socket_of(self, server: str) -> Path:
        """Returns the path of the socket that stands for a server."""
        return self._folder / "u" / socket_name(server)

    def start(self) -> None:
        """Starts it on ports that are free now, with an empty log.

        Raises:
            ReplayError: it refuses the configuration.
        """
        (self._folder / "access.log").unlink(missing_ok=True)
        self._log_read = 0
        complaint: Optional[str] = _IN_USE
        attempts = 0
        while complaint is not None and _IN_USE in complaint and attempts < _START_ATTEMPTS:
            self._write()
            complaint = self._run()
            attempts += 1
        if complaint is not None:
            raise ReplayError(complaint.replace(f"{self._folder}/", ""))

    def stop(self) -> None:
        """Ends it, if it runs."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_START_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
        (self._folder / "nginx.pid").unlink(missing_ok=True)

    def log(self, count: int) -> List[str]:
        """Returns the next lines of the access log since the start, with the servers' addresses as configured.

        Args:
            count: how many lines there have to be; nginx writes a line shortly after its answer.

        Raises:
            ReplayError: there are fewer.
        """
        path = self._folder / "access.log"
        until = time.monotonic() + _LOG_SECONDS
        while True:
            lines = path.read_text(encoding="latin-1").splitlines() if path.exists() else []
            if len(lines) >= self._log_read + count:
                break
            if time.monotonic() > until:
                raise ReplayError(f"the access log has {len(lines) - self._log_read} new lines, not {count}")
            if self._process is not None:
                self._process.send_signal(signal.SIGUSR1)  # it writes out what it still keeps in a buffer
            time.sleep(0.02)
        lines = lines[self._log_read : self._log_read + count]
        self._log_read += count
        places = {place: server for server, place in self._places().items()}
        return [re.sub(r"unix:u/[^\s,;]+", lambda found: places.get(found[0], found[0]), line) for line in lines]

    def last_errors(self) -> str:
        """Returns the end of its error log."""
        path = self._folder / "error.log"
        return "\n".join(path.read_text(errors="replace").splitlines()[-5:]) if path.exists() else ""

    def _places(self) -> Dict[str, str]:
        """Returns the new address of each server."""
        return {server: f"unix:u/{socket_name(server)}" for server in self._servers}

    def _write(self) -> None:
        """Writes the configuration, with ports that are free now."""
        self.ports = dict(zip(self.ports, free_ports(len(self.ports))))
        # Together, as what holds in one file may come from the other; lines keep their numbers.
        text = relocate("\n".join(self._texts.values()), self._places(), self.ports, str(self._folder))
        lines = text.split("\n")
        for name, original in self._texts.items():
            count = original.count("\n") + 1
            (self._folder / name).write_text("\n".join(lines[:count]), encoding="utf-8")
            del lines[:count]
        (self._folder / "nginx.conf").write_text(self._main_conf(), encoding="utf-8")

    def _main_conf(self) -> str:
        folder = self._folder
        lines = [
            "daemon off;",
            "worker_processes 1;",
            f"pid {folder}/nginx.pid;",
            f"error_log {folder}/error.log;",
            "events { worker_connections 8192; }",
            "http {",
            "access_log off;",
            *(f"{what}_temp_path {folder}/{what};" for what in _TEMPORARY),
        ]
        if os.geteuid() == 0:
            lines.insert(0, f"user nobody {grp.getgrgid(pwd.getpwnam('nobody').pw_gid).gr_name};")
        if self._adds_real_ip:
            lines += ["set_real_ip_from 127.0.0.0/8;", f"real_ip_header {SOURCE_HEADER};"]
        lines += [f"include {folder}/{name};" for name in self._texts]
        return "\n".join([*lines, "}", ""])

    def _run(self) -> Optional[str]:
        """Starts the process; returns its complaint if it ends."""
        output = self._folder / "start.log"
        with output.open("wb") as stream:
            self._process = subprocess.Popen(
                [str(self._program), "-p", ".", "-e", f"{self._folder}/error.log", "-c", f"{self._folder}/nginx.conf"],
                # Paths of sockets are relative, so that `hash` spreads alike in every run.
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
            )
        until = time.monotonic() + _START_SECONDS
        # It writes the file when it listens already.
        while not (self._folder / "nginx.pid").exists():
            if self._process.poll() is not None or time.monotonic() > until:
                self.stop()
                return output.read_text(errors="replace").strip() or "nginx does not start"
            time.sleep(0.002)
        return None


def socket_name(address: str) -> str:
    """Returns the name of the socket that stands for a server: readable, short enough, and always the same."""
    name = re.sub(r"[^A-Za-z0-9.:_\[\]-]", "_", re.sub(r"^unix:/*", "", address))
    return name if len(name) <= _LONGEST_NAME else hashlib.sha256(address.encode()).hexdigest()[:32]


def free_ports(count: int) -> List[int]:
    """Returns ports of 127.0.0.1 without a listener at this moment."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [int(sock.getsockname()[1]) for sock in sockets]
    finally:
        for sock in sockets:
            sock.close()


__all__ = ("Nginx", "free_ports", "socket_name")
