# SPDX-License-Identifier: GPL-3.0-or-later
"""Every role keeps what its interface says: defaults, argument specs, documentation, names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.inputs import INPUTS

ROLES = sorted(path for path in (Path(__file__).resolve().parents[2] / "roles").iterdir() if path.is_dir())
EXPECTED = (
    "audit background_workers firewall generic_workers media_workers nginx plan postgres redis render rollout run"
    " synapse synapse_main topology watchdog worker"
).split()
# The filter postgres_server and others read these.
TYPED_BY_FILTERS = {
    "postgres_cluster",
    "postgres_shared_with",
    "postgres_memory_mib",
    "postgres_server_certificate",
    "postgres_server_certificate_key",
    "postgres_settings",
    "postgres_version",
    "redis_maxmemory_mib",
}
pytestmark = pytest.mark.parametrize("role", ROLES, ids=lambda path: path.name)


def load(path: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(path.read_text()) or {})


def entry_points(role: Path) -> dict[str, Any]:
    return dict(load(role / "meta" / "argument_specs.yml")["argument_specs"])


def options(role: Path) -> dict[str, dict[str, Any]]:
    """Returns the options of all entry points of a role; of the role topology, which shows all inputs, none."""
    if role.name == "topology":
        return {}
    return {name: spec for entry in entry_points(role).values() for name, spec in entry["options"].items()}


def defaults(role: Path) -> dict[str, Any]:
    return load(role / "defaults" / "main.yml")


def test_the_roles_are_those_of_the_design(role: Path) -> None:
    assert role.name in EXPECTED
    assert len(ROLES) == len(EXPECTED)


def test_every_default_is_in_the_argument_spec_with_the_same_value(role: Path) -> None:
    specified = {name: spec["default"] for name, spec in options(role).items() if "default" in spec}
    assert specified == defaults(role)


def test_the_topology_shows_every_input(role: Path) -> None:
    shown = {name for entry in entry_points(role).values() for name in entry["options"]}
    expected = {name for name, entry in INPUTS.items() if not entry.internal}
    assert (shown == expected) == (role.name == "topology")


def test_roles_read_values_with_types(role: Path) -> None:
    """A variable of the operator may be a text: only the variables of the role read it, through the filter."""
    internal = {name for name, entry in INPUTS.items() if entry.internal} | {"synapse_no_log"}
    for path in (path for folder in ("tasks", "vars", "templates") for path in (role / folder).glob("*")):
        for line in path.read_text().splitlines():
            if "typed(" in line or "description" in line:
                continue
            code = " ".join(re.findall(r"\{\{.*?\}\}|\{%.*?%\}|when: .*", line))
            raw = {name for name in options(role) if re.search(rf"(?<![\w']){name}(?!\w)", code)} - internal
            assert raw <= TYPED_BY_FILTERS, (path, line)


def test_an_option_is_required_or_has_a_default(role: Path) -> None:
    for name, spec in options(role).items():
        assert ("default" in spec) != spec.get("required", False), name


def test_every_option_has_a_type_and_a_description(role: Path) -> None:
    for name, spec in options(role).items():
        assert spec["type"], name
        assert spec["description"], name
        assert spec["type"] != "list" or spec["elements"], name


def test_every_variable_is_described(role: Path) -> None:
    readme = (role / "README.md").read_text()
    assert [name for name in options(role) if f"`{name}`" not in readme] == []


def test_every_entry_point_has_tasks_and_a_description(role: Path) -> None:
    assert "main" in entry_points(role)
    for name, entry in entry_points(role).items():
        assert (role / "tasks" / f"{name}.yml").is_file()
        assert entry["short_description"]
        assert entry["description"]


def test_the_values_of_defaults_have_the_types_of_the_spec(role: Path) -> None:
    types: dict[str, tuple[type, ...]] = {
        "str": (str,),
        "path": (str,),
        "int": (int,),
        "bool": (bool,),
        "list": (list,),
        "dict": (dict,),
        "float": (float, int),
        "raw": (object,),
    }
    for name, value in defaults(role).items():
        spec = options(role)[name]
        templated = isinstance(value, str) and value.startswith("{{")
        assert value is None or templated or isinstance(value, types[spec["type"]]), name
        assert value is None or "choices" not in spec or value in spec["choices"], name


def test_variables_of_the_interface_begin_with_the_name_of_the_role(role: Path) -> None:
    assert all(name.startswith(f"{role.name}_") for name in options(role))


def test_all_other_variables_are_marked_as_internal(role: Path) -> None:
    variables = role / "vars" / "main.yml"
    if variables.is_file():
        assert all(name.startswith(f"__{role.name}_") for name in load(variables))


def test_every_internal_variable_is_defined_and_used(role: Path) -> None:
    texts = [path.read_text() for folder in ("tasks", "vars", "templates") for path in (role / folder).glob("*")]
    name = rf"(__{role.name}_\w+)"
    defining = rf"^[ -]*{name}:(?:\s|$)|(?:register|loop_var|name): *{name}$|% set {name} "
    defined = {found for text in texts for groups in re.findall(defining, text, re.M) for found in groups if found}
    used = [found for text in texts for found in re.findall(rf"\b{name}\b", text)]
    assert set(used) == defined
    # The action role_files reads this one by its name.
    read_by_actions = {f"__{role.name}_file_set"}
    assert [found for found in sorted(defined) if used.count(found) == 1 and found not in read_by_actions] == []


def test_the_role_is_described_for_people_and_for_galaxy(role: Path) -> None:
    readme = (role / "README.md").read_text()
    assert role.name in readme
    info = load(role / "meta" / "main.yml")["galaxy_info"]
    assert info["description"]
    assert info["license"] == "GPL-3.0-or-later"
    assert {platform["name"]: platform["versions"] for platform in info["platforms"]} == {
        "Debian": ["bookworm", "trixie"]
    }
