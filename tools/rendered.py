# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs playbooks/render.yml and reads the directory that it writes, for tools that compare such directories."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BOOKKEEPING = ".rendered"
"""Where render.yml lists what it has written; it is no file of a host."""
_OUTPUT_SHOWN = 4000


class RenderError(Exception):
    """render.yml failed; the message has the end of its output."""


@dataclass(frozen=True)
class Entry:
    """One file, link or directory of a rendered tree.

    Attributes:
        mode: permissions, such as 0o644; 0 for a link.
        content: the bytes of a file; None for a link or a directory.
        target: what a link points to; None for a file or a directory.
    """

    mode: int
    content: bytes | None = None
    target: str | None = None

    @property
    def title(self) -> str:
        """Returns kind, mode and target as one line."""
        if self.target is not None:
            return f"link -> {self.target}"
        return f"{'directory' if self.content is None else 'file'} {self.mode:04o}"


def render(
    inventory: Path,
    directory: Path,
    *,
    debian: int = 13,
    variables: Mapping[str, object] | None = None,
    checkout: Path = ROOT,
) -> None:
    """Renders all hosts of an inventory to a directory. No host is contacted: ssh is replaced by a program that fails.

    Args:
        inventory: a folder or a file.
        directory: where to write; see the role render.
        debian: the version of Debian of all hosts.
        variables: what is set besides the inventory, for all hosts.
        checkout: the tree of the project to render with; Ansible is the one of this interpreter.

    Raises:
        RenderError: the inventory was refused, or something failed.
    """
    settings = {**(variables or {}), "render_to": str(directory), "render_debian_version": str(debian)}
    done = subprocess.run(
        [
            Path(sys.prefix) / "bin/ansible-playbook",
            f"--inventory={inventory}",
            checkout / "playbooks/render.yml",
            f"--extra-vars={json.dumps(settings)}",
        ],
        cwd=checkout,
        env={
            **os.environ,
            "ANSIBLE_CONFIG": str(checkout / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "true",
            "ANSIBLE_FORCE_COLOR": "false",
            "ANSIBLE_SSH_EXECUTABLE": "/bin/false",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RenderError(f"rendering {inventory} with {checkout} failed:\n{done.stdout[-_OUTPUT_SHOWN:]}")


def entries(directory: Path) -> dict[str, Entry]:
    """Returns everything below a rendered directory by its path, such as ``HOST/etc/hosts``, sorted."""
    found = {}
    for path in sorted(directory.rglob("*")):
        name = str(path.relative_to(directory))
        if name.split("/", maxsplit=1)[0] != BOOKKEEPING:
            found[name] = read_entry(path)
    return found


def read_entry(path: Path) -> Entry:
    """Returns what is at a path."""
    if path.is_symlink():
        return Entry(0, target=str(path.readlink()))
    mode = stat.S_IMODE(path.stat().st_mode)
    return Entry(mode) if path.is_dir() else Entry(mode, path.read_bytes())
