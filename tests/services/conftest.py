# SPDX-License-Identifier: GPL-3.0-or-later
"""A copy of the collection with one service more, and two disposable hosts for it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tools.layers import with_release
from tools.runs import ROOT, Fleet, disposable_fleet

_HERE = Path(__file__).resolve().parent
TABLE = Path("plugins/plugin_utils/model/services.py")


@pytest.fixture(scope="session")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The collection with a row in the table of services and a role, and nothing else changed."""
    made = tmp_path_factory.mktemp("collection")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in listed.split("\0"):
        if name and (ROOT / name).is_file():
            (made / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, made / name)
    link = made / ".ansible/collections/ansible_collections/baremetal/synapse"
    link.parent.mkdir(parents=True)
    link.symlink_to(made)
    shutil.copytree(_HERE / "role", made / "roles" / "echo")
    table = (made / TABLE).read_text()
    before = '    Service(\n        name="watchdog",'
    assert table.count(before) == 1
    (made / TABLE).write_text(table.replace(before, (_HERE / "row.txt").read_text() + before))
    return made


@pytest.fixture(scope="session")
def fleet(copy: Path) -> Iterator[Fleet]:
    """The hosts, for runs of the copy; nothing is deployed yet."""
    suite = os.environ.get("MOLECULE_SUITE", "trixie")
    address = f"{os.environ.get('MOLECULE_NETWORK', '10.88.125')}.10"
    layers = with_release(["matrix1"], suite)
    with disposable_fleet(
        _HERE / "inventory", machine=f"services-{suite}", address=address, suite=suite, layers=layers
    ) as made:
        yield replace(made, environment={"ANSIBLE_CONFIG": str(copy / "ansible.cfg")})
