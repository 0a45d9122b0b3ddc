# SPDX-License-Identifier: GPL-3.0-or-later
"""The host of the fleet: commands on it, and a way to each single process, past nginx."""

from __future__ import annotations

import shlex
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tools.proof.errors import ProofError

PROJECT = Path(__file__).resolve().parents[2]
_SSH = ("ssh", "-F", str(PROJECT / ".cache" / "hosts" / "ssh" / "config"))
_PATIENCE = 20


@dataclass(frozen=True)
class Host:
    """A disposable host, by its address."""

    address: str

    def shell(self, command: str, given: str = "") -> str:
        """Runs a command as root and returns what it printed.

        Raises:
            ProofError: it failed.
        """
        done = subprocess.run(
            [*_SSH, self.address, command], input=given, text=True, capture_output=True, check=False, timeout=60
        )
        if done.returncode != 0:
            raise ProofError(f"`{command}` on {self.address} ended with {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def python(self, program: str, *arguments: str) -> str:
        """Runs a Python program as root and returns what it printed."""
        return self.shell(shlex.join(["python3", "-c", program, *arguments]))

    @contextmanager
    def tunnels(self, sockets: Mapping[str, str]) -> Iterator[dict[str, str]]:
        """Makes sockets of the host reachable here.

        Args:
            sockets: the sockets on the host, or addresses with ports, by names.

        Yields:
            the sockets here, by the same names.
        """
        with tempfile.TemporaryDirectory(prefix="proof-") as folder:
            here = {name: f"{folder}/{number}" for number, name in enumerate(sockets)}
            forwards = [f"-L{here[name]}:{there}" for name, there in sockets.items()]
            ssh = subprocess.Popen([*_SSH, "-N", "-o", "ExitOnForwardFailure=yes", *forwards, self.address])
            try:
                _wait(ssh, here)
                yield here
            finally:
                ssh.terminate()
                ssh.wait()


def _wait(ssh: subprocess.Popen[bytes], sockets: Mapping[str, str]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not all(Path(path).exists() for path in sockets.values()):
        if ssh.poll() is not None or time.monotonic() > deadline:
            raise ProofError("the sockets of the host cannot be reached over SSH.")
        time.sleep(0.05)


@dataclass(frozen=True)
class Answer:
    """What a process answered.

    Attributes:
        status: the status.
        content: the body.
        kind: its content type.
        location: where it sends the client to, for a redirect.
        cookies: the cookies that it set.
    """

    status: int
    content: bytes
    kind: str
    location: str = ""
    cookies: Mapping[str, str] = field(default_factory=dict)

    @property
    def json(self) -> Any:
        """The body as JSON; None if it is something else."""
        try:
            return httpx.Response(200, content=self.content).json()
        except ValueError:
            return None


class Process:
    """One process, which is asked without nginx."""

    def __init__(self, name: str, socket: str, public_name: str) -> None:
        self.name = name
        # One connection a request: Synapse ends those that were idle for a while.
        limits = httpx.Limits(max_keepalive_connections=0)
        self._http = httpx.Client(
            transport=httpx.HTTPTransport(uds=socket, limits=limits),
            base_url=f"http://{public_name}",
            headers={"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.1"},
            timeout=60,
            trust_env=False,
        )

    def ask(self, method: str, target: str, content: bytes | None, headers: Mapping[str, str]) -> Answer:
        """Sends a request whose target reaches the process as it is given here."""
        request = self._http.build_request(
            method, "/", content=content, headers=dict(headers), extensions={"target": target.encode("ascii")}
        )
        answer = self._http.send(request, follow_redirects=False)
        found = Answer(
            status=answer.status_code,
            content=answer.content,
            kind=answer.headers.get("Content-Type", "").partition(";")[0],
            location=answer.headers.get("Location", ""),
            cookies=dict(answer.cookies),
        )
        self._http.cookies.clear()
        return found

    def close(self) -> None:
        """Ends the connections."""
        self._http.close()
