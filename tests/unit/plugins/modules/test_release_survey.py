# SPDX-License-Identifier: GPL-3.0-or-later
"""A release that lost a part is found, whichever part it is."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.baremetal.synapse.plugins.modules import release_survey

from tests.unit.fake_systemd import run_module

PACKAGES = ("attrs-25.1.0", "matrix_synapse-1.163.2")
Survey = Callable[[], dict[str, Any]]


def add(site: Path, package: str) -> None:
    """Installs a package of one module."""
    name = package.partition("-")[0]
    (site / name).mkdir(parents=True)
    (site / name / "__init__.py").write_text("value = 1\n")
    info = site / f"{package}.dist-info"
    info.mkdir()
    (info / "RECORD").write_text(
        f"{name}/__init__.py,sha256=abc,10\n"
        f"{name}/__pycache__/__init__.cpython-313.pyc,,\n"
        f'"{name}/with, comma.py",sha256=abc,3\n'
        f"{package}.dist-info/RECORD,,\n"
    )
    (site / name / "with, comma.py").write_text("1\n\n")


@pytest.fixture
def release(tmp_path: Path) -> Path:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for package in PACKAGES:
        add(tmp_path / "lib" / version / "site-packages", package)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    (tmp_path / ".complete").write_text("\n".join(["1.163.2", *PACKAGES]) + "\n")
    return tmp_path


@pytest.fixture
def survey(release: Path, capsys: pytest.CaptureFixture[str]) -> Survey:
    return lambda: run_module(release_survey.main, capsys, {"path": str(release)})


def test_a_whole_release_is_complete(survey: Survey) -> None:
    found = survey()
    assert (found["complete"], found["damage"], found["packages"]) == (True, [], list(PACKAGES))


def test_one_of_an_earlier_version_of_the_collection_is_complete(release: Path, survey: Survey) -> None:
    (release / ".complete").write_text("1.163.2\n")
    assert survey()["complete"]


def test_one_that_was_not_built_to_the_end_is_not_damaged(release: Path, survey: Survey) -> None:
    (release / ".complete").unlink()
    found = survey()
    assert (found["complete"], found["damage"]) == (False, [])


def test_none_is_not_complete(release: Path, survey: Survey) -> None:
    shutil.rmtree(release)
    assert not survey()["complete"]


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("bin/python", "bin/python"),
        ("lib/*/site-packages/attrs", "attrs/__init__.py"),
        ("lib/*/site-packages/attrs/with, comma.py", "attrs/with, comma.py"),
        ("lib/*/site-packages/attrs-25.1.0.dist-info", "package attrs-25.1.0"),
        ("lib/*/site-packages/attrs-25.1.0.dist-info/RECORD", "attrs-25.1.0.dist-info/RECORD"),
        ("lib/*/site-packages", "package matrix_synapse"),
        ("lib", "package matrix_synapse"),
    ],
)
def test_what_is_missing_is_told(release: Path, survey: Survey, pattern: str, told: str) -> None:
    (path,) = release.glob(pattern)
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    found = survey()
    assert not found["complete"]
    assert any(entry.endswith(told) for entry in found["damage"]), found["damage"]


def test_a_file_that_was_cut_off_is_told(release: Path, survey: Survey) -> None:
    (path,) = release.glob("lib/*/site-packages/attrs/__init__.py")
    path.write_text("")
    assert survey()["damage"] == [str(path)]


def test_an_interpreter_that_does_not_run_is_told(release: Path, survey: Survey) -> None:
    interpreter = release / "bin" / "python"
    interpreter.unlink()
    interpreter.write_text("#!/bin/sh\nexit 1\n")
    interpreter.chmod(0o755)
    assert survey()["damage"] == [str(interpreter)]


def test_missing_bytecode_is_no_damage(release: Path, survey: Survey) -> None:
    assert not list(release.rglob("*.pyc"))
    assert survey()["complete"]
