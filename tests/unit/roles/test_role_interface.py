# SPDX-License-Identifier: GPL-3.0-or-later
"""What a role says of itself is one thing, wherever it says it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

ROLES = sorted(path for path in (Path(__file__).parents[3] / "roles").iterdir() if path.is_dir())


def read(path: Path) -> dict[str, Any]:
    return (yaml.safe_load(path.read_text()) or {}) if path.exists() else {}


def specs(role: Path) -> dict[str, Any]:
    entry_points: dict[str, Any] = read(role / "meta/argument_specs.yml")["argument_specs"]
    return entry_points


@pytest.fixture(params=ROLES, ids=lambda role: role.name)
def role(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_defaults_are_those_of_the_argument_specs(role: Path) -> None:
    specified = {
        name: option["default"]
        for entry_point in specs(role).values()
        for name, option in entry_point.get("options", {}).items()
        if "default" in option
    }
    assert read(role / "defaults/main.yml") == specified


def test_every_entry_point_has_its_tasks(role: Path) -> None:
    assert [name for name in specs(role) if not (role / f"tasks/{name}.yml").exists()] == []


def test_every_variable_is_described(role: Path) -> None:
    options = {name: option for entry in specs(role).values() for name, option in entry.get("options", {}).items()}
    assert [name for name, option in options.items() if not option.get("description") or "type" not in option] == []
    readme = (role / "README.md").read_text()
    assert [name for name in options if f"`{name}`" not in readme] == []


def test_constants_are_internal(role: Path) -> None:
    constants = read(role / "vars/main.yml")
    assert [name for name in constants if not name.startswith(f"__{role.name}_")] == []


def test_the_role_names_itself(role: Path) -> None:
    info = read(role / "meta/main.yml")["galaxy_info"]
    assert info.get("role_name", role.name) == role.name
    assert info["license"] == "GPL-3.0-or-later"
