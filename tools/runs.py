# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of site.yml against disposable hosts, for tests and benchmarks."""

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
from ipaddress import ip_address
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
        """Tasks executed on the hosts, all together."""
        return self._recap(1)

    @property
    def changed(self) -> int:
        """Tasks that changed something."""
        return self._recap(2)

    @property
    def tasks(self) -> int:
        """Tasks that the hosts came to, skipped ones too."""
        return self._recap(1) + self._recap(3)

    def _recap(self, group: int) -> int:
        matches = list(_RECAP.finditer(self.output))
        if not matches:
            raise ValueError(f"the run has no recap:\n{self.output[-3000:]}")
        return sum(int(match[group]) for match in matches)


@dataclass(frozen=True)
class Fleet:
    """An example inventory on disposable hosts of its own.

    Attributes:
        inventory: the folder of the example.
        host: the name of its first host.
        machine: the name of the disposable host for it.
        override: a second inventory that says how the hosts are reached.
        environment: more environment variables for Ansible.
        machines: the names of the disposable hosts by those of the inventory; empty stands for the one host.
        addresses: the addresses of the hosts by their names in the inventory.
    """

    inventory: Path
    host: str
    machine: str
    override: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    machines: Mapping[str, str] = field(default_factory=dict)
    addresses: Mapping[str, str] = field(default_factory=dict)

    @property
    def hosts(self) -> list[str]:
        """The names of the hosts in the inventory."""
        return list(self.machines) or [self.host]

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

    def set_variables(self, *, host: str | None = None, **variables: Any) -> None:
        """Sets variables of one host or of all, over those that they were booted with."""
        for name in [host] if host else self.hosts:
            path = self.override / "host_vars" / f"{name}.yml"
            path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **variables}))

    def unset_variables(self, *names: str) -> None:
        """Takes back what ``set_variables`` has set on all hosts."""
        for host in self.hosts:
            path = self.override / "host_vars" / f"{host}.yml"
            kept = {name: value for name, value in yaml.safe_load(path.read_text()).items() if name not in names}
            path.write_text(yaml.safe_dump(kept))

    def shell(self, command: str, *, check: bool = True, host: str | None = None) -> str:
        """Runs a command on a host, by default the first one, and returns what it printed."""
        machine = self.machines[host] if host else self.machine
        done = subprocess.run(
            ["python3", "-m", "tools.hosts", "shell", machine, command],
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


def example_hosts(example: str | Path) -> list[str]:
    """Returns the names of the hosts of an inventory, which is named as for ``disposable_fleet``."""
    # An absolute path stays what it is.
    return list(yaml.safe_load((ROOT / "inventories" / example / "hosts.yml").read_text())["all"]["hosts"])


@contextmanager
def disposable_fleet(
    example: str | Path,
    *,
    machine: str,
    address: str,
    suite: str = "trixie",
    variables: Mapping[str, Any] | None = None,
    layers: Mapping[str, str] | None = None,
) -> Iterator[Fleet]:
    """Boots the hosts of an inventory, and ends them afterwards.

    Args:
        example: the name of the inventory below ``inventories/``, or its folder.
        machine: the name of the disposable host; where there are several, what their names begin with.
        address: its address, below 10.88.0.0/16; where there are several, that of the first, and the others follow.
        suite: their Debian.
        variables: variables of the hosts that the inventory has not got.
        layers: the layers from which hosts boot (see ``tools.layers``); the others are bare Debians.
    """
    inventory = ROOT / "inventories" / example
    hosts = example_hosts(example)
    machines = {host: machine if len(hosts) == 1 else f"{machine}-{host}" for host in hosts}
    addresses = {host: str(ip_address(address) + number) for number, host in enumerate(hosts)}
    state = ROOT / ".cache" / "runs" / machine
    shutil.rmtree(state, ignore_errors=True)
    (state / "host_vars").mkdir(parents=True)
    # Only the variables beside it matter, but Ansible wants a file to parse.
    (state / "hosts.yml").write_text("all: {}\n")
    for host in hosts:
        reached = {
            "ansible_host": addresses[host],
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(_KEYS / "id_ed25519"),
            "ansible_ssh_common_args": f"-o IdentitiesOnly=yes -o 'UserKnownHostsFile={_KEYS / 'known_hosts'}'",
            "nginx_tls_self_signed": True,
            # Clients of the tests come under the address.
            "nginx_server_names": [addresses[host]],
            **({"synapse_address": addresses[host]} if len(hosts) > 1 else {}),
        }
        (state / "host_vars" / f"{host}.yml").write_text(yaml.safe_dump({**reached, **(variables or {})}))
    try:
        for host in hosts:
            _hosts("down", machines[host])
            layer = [f"--layer={layers[host]}"] if layers and host in layers else []
            _hosts("up", machines[host], f"--suite={suite}", f"--ip={addresses[host]}", *layer)
        yield Fleet(
            inventory=inventory,
            host=hosts[0],
            machine=machines[hosts[0]],
            override=state,
            machines=machines,
            addresses=addresses,
        )
    finally:
        for host in hosts:
            _hosts("down", machines[host])


def _hosts(*arguments: str) -> None:
    subprocess.run(["python3", "-m", "tools.hosts", *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
