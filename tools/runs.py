# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of site.yml against a disposable host, for tests and benchmarks."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
SITE = "baremetal.synapse.site"
_KEYS = ROOT / ".cache" / "hosts" / "ssh"
_RECAP = re.compile(r"^\S+\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=\d+\s+failed=\d+\s+skipped=(\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Run:
    """One finished, or killed, run.

    Attributes:
        code: the exit code; negative if it was killed.
        output: all that Ansible wrote.
        seconds: how long it took.
    """

    code: int
    output: str
    seconds: float

    @property
    def executed(self) -> int:
        """Tasks executed on the host."""
        return self._recap(1)

    @property
    def changed(self) -> int:
        """Tasks that changed something."""
        return self._recap(2)

    @property
    def tasks(self) -> int:
        """Tasks that the host came to, skipped ones too."""
        return self._recap(1) + self._recap(3)

    def _recap(self, group: int) -> int:
        match = _RECAP.search(self.output)
        if match is None:
            raise ValueError(f"the run has no recap:\n{self.output[-3000:]}")
        return int(match[group])


@dataclass(frozen=True)
class Fleet:
    """An example inventory on a disposable host of its own.

    Attributes:
        inventory: the folder of the example.
        host: the host's name in it.
        machine: the name of the disposable host.
        override: a second inventory that says how the host is reached.
        environment: more environment variables for Ansible.
    """

    inventory: Path
    host: str
    machine: str
    override: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def command(self, *arguments: str, playbook: str = SITE) -> list[str]:
        """Returns the command line of a run."""
        return [
            str(ROOT / ".venv" / "bin" / "ansible-playbook"),
            f"--inventory={self.inventory}",
            f"--inventory={self.override}",
            playbook,
            *arguments,
        ]

    def run(self, *arguments: str, playbook: str = SITE, directory: Path = ROOT) -> Run:
        """Runs a playbook to its end, from a directory."""
        started = time.monotonic()
        done = subprocess.run(
            self.command(*arguments, playbook=playbook),
            cwd=directory,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return Run(done.returncode, done.stdout, time.monotonic() - started)

    def run_killed(self, at: int | str, *arguments: str) -> Run:
        """Runs site.yml and kills it, with all that it started here, as soon as a task begins.

        Args:
            at: the task, by its number or a part of its name.
            arguments: further arguments of ansible-playbook.
        """
        started = time.monotonic()
        process = subprocess.Popen(
            self.command(*arguments),
            cwd=ROOT,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        lines: list[str] = []
        begun = 0
        for line in process.stdout or ():
            lines.append(line)
            begun += line.startswith("TASK [")
            if line.startswith("TASK [") and (begun == at or (isinstance(at, str) and at in line)):
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                break
        return Run(process.wait(), "".join(lines), time.monotonic() - started)

    def set_variables(self, **variables: Any) -> None:
        """Sets variables of the host, over those that it was booted with."""
        path = self.override / "host_vars" / f"{self.host}.yml"
        path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **variables}))

    def shell(self, command: str, *, check: bool = True) -> str:
        """Runs a command on the host and returns what it printed."""
        done = subprocess.run(
            ["python3", "-m", "tools.hosts", "shell", self.machine, command],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if check and done.returncode != 0:
            raise RuntimeError(f"{command}: {done.stdout}{done.stderr}")
        return done.stdout

    def _environment(self) -> dict[str, str]:
        # The recap is read, so it must be plain text, also below molecule, which asks for colours.
        plain = {"ANSIBLE_NOCOLOR": "true", "ANSIBLE_FORCE_COLOR": "false"}
        return {**os.environ, **plain, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), **self.environment}


@contextmanager
def disposable_fleet(
    example: str, *, machine: str, address: str, suite: str = "trixie", variables: Mapping[str, Any] | None = None
) -> Iterator[Fleet]:
    """Boots a host for an example inventory, and ends it afterwards.

    Args:
        example: the name of the inventory below ``inventories/``.
        machine: the name of the disposable host.
        address: its address, below 10.88.0.0/16.
        suite: its Debian.
        variables: variables of the host that the example has not got.
    """
    inventory = ROOT / "inventories" / example
    host = next(iter(yaml.safe_load((inventory / "hosts.yml").read_text())["all"]["hosts"]))
    state = ROOT / ".cache" / "runs" / machine
    shutil.rmtree(state, ignore_errors=True)
    (state / "host_vars").mkdir(parents=True)
    # Only the variables beside it matter, but Ansible wants a file to parse.
    (state / "hosts.yml").write_text("all: {}\n")
    reached = {
        "ansible_host": address,
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(_KEYS / "id_ed25519"),
        "ansible_ssh_common_args": f"-o IdentitiesOnly=yes -o 'UserKnownHostsFile={_KEYS / 'known_hosts'}'",
    }
    (state / "host_vars" / f"{host}.yml").write_text(
        yaml.safe_dump({**reached, "nginx_tls_self_signed": True, **(variables or {})})
    )
    _hosts("down", machine)
    _hosts("up", machine, f"--suite={suite}", f"--ip={address}")
    try:
        yield Fleet(inventory=inventory, host=host, machine=machine, override=state)
    finally:
        _hosts("down", machine)


def _hosts(*arguments: str) -> None:
    subprocess.run(["python3", "-m", "tools.hosts", *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
