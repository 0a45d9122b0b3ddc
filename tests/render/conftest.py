# SPDX-License-Identifier: GPL-3.0-or-later
"""Inventories, rendered where no host can be reached."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tools.nginx import nginx_binary

ROOT = Path(__file__).resolve().parents[2]
SEVERAL_HOSTS = "several_hosts"
INVENTORIES = [*sorted(path.name for path in (ROOT / "inventories").iterdir() if path.is_dir()), SEVERAL_HOSTS]
_RECAP = re.compile(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Run:
    """One finished run.

    Attributes:
        code: the exit code.
        output: all that Ansible wrote.
        touched: whether something tried to reach a host.
    """

    code: int
    output: str
    touched: bool

    @property
    def changed(self) -> int:
        """Tasks that changed something, on all hosts."""
        return sum(int(found[2]) for found in _RECAP.finditer(self.output))

    @property
    def failures(self) -> int:
        """Tasks that failed, or that did not reach a host."""
        return sum(int(found[3]) + int(found[4]) for found in _RECAP.finditer(self.output))


Render = Callable[..., Run]


@pytest.fixture(scope="session")
def debian() -> str:
    """The Debian whose nginx tests the configuration: from 1.25.1 on, HTTP/2 is a directive of its own."""
    told = subprocess.run([nginx_binary(), "-v"], capture_output=True, text=True, check=True).stderr
    version = re.search(r"nginx/(\d+)\.(\d+)\.(\d+)", told)
    assert version, told
    return "13" if tuple(map(int, version.groups())) >= (1, 25, 1) else "12"


@pytest.fixture(scope="session")
def render(tmp_path_factory: pytest.TempPathFactory) -> Render:
    """Runs playbooks/render.yml, or others. Instead of ssh there is a program that tells on whoever calls it."""
    place = tmp_path_factory.mktemp("no-ssh")
    witness = place / "called"
    program = place / "ssh"
    program.write_text(f"#!/bin/sh\ntouch '{witness}'\nexit 255\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)

    def run(
        inventory: Path,
        *arguments: str,
        directory: Path = ROOT,
        playbooks: Sequence[str] = ("render.yml",),
        **variables: Any,
    ) -> Run:
        witness.unlink(missing_ok=True)
        done = subprocess.run(
            [
                ROOT / ".venv/bin/ansible-playbook",
                f"--inventory={inventory}",
                *(ROOT / "playbooks" / playbook for playbook in playbooks),
                f"--extra-vars={json.dumps(variables)}",
                *arguments,
            ],
            cwd=directory,
            env={
                **os.environ,
                "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
                "ANSIBLE_NOCOLOR": "true",
                "ANSIBLE_FORCE_COLOR": "false",
                "ANSIBLE_SSH_EXECUTABLE": str(program),
                "ANSIBLE_SSH_TRANSFER_METHOD": "piped",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return Run(done.returncode, done.stdout, witness.exists())

    return run


@pytest.fixture(scope="session")
def several_hosts() -> Path:
    """An inventory with a host for each service and two for workers."""
    return ROOT / "tests" / "render" / "inventories" / "several_hosts.yml"
