# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation of every filter is there and tells of the arguments that the filter takes."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from tests.unit.filters import filter_names, load_filter

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.parametrize("name", filter_names())


def module(name: str) -> ModuleType:
    return importlib.import_module(f"ansible_collections.baremetal.synapse.plugins.filter.{name}")


def part(name: str, variable: str) -> Any:
    return yaml.safe_load(getattr(module(name), variable))


@cache
def all_documentation() -> dict[str, Any]:
    """Returns what ansible-doc shows of all filters, with the shared fragments."""
    names = [f"baremetal.synapse.{name}" for name in filter_names()]
    shown = subprocess.run(
        [Path(sys.executable).parent / "ansible-doc", "--json", "--type=filter", *names],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        stdout=subprocess.PIPE,
        check=True,
    )
    found: dict[str, Any] = json.loads(shown.stdout)
    return found


def documentation(name: str) -> Any:
    return all_documentation()[f"baremetal.synapse.{name}"]["doc"]


def test_the_file_has_one_filter_of_its_own_name(name: str) -> None:
    assert list(module(name).FilterModule().filters()) == [name]
    assert documentation(name)["name"] == name


def test_it_says_what_it_does_and_who_made_it(name: str) -> None:
    found = documentation(name)
    for key in ("short_description", "description", "author", "version_added"):
        assert found[key], key


def test_its_options_are_the_arguments_of_its_function(name: str) -> None:
    first, *others = inspect.signature(load_filter(name)).parameters.values()
    options = dict(documentation(name).get("options") or {})
    own = options.pop("_input", None)
    # layout and secret_files ignore the topology that they are given, but take it all the same.
    assert own is not None, first.name
    assert own["required"] is True
    assert set(options) == {argument.name for argument in others}
    for argument in others:
        option = options[argument.name]
        needed = argument.default is inspect.Parameter.empty
        assert option.get("required", False) == needed
        assert option.get("default") == (None if needed else argument.default)
        assert option["type"]
        assert option["description"]


def test_its_example_is_a_list_of_tasks_that_call_it(name: str) -> None:
    examples = part(name, "EXAMPLES")
    assert isinstance(examples, list)
    assert all("name" in task for task in examples)
    assert f"baremetal.synapse.{name}" in module(name).EXAMPLES


def test_its_result_is_described(name: str) -> None:
    value = part(name, "RETURN")["_value"]
    assert value["description"]
    assert value["type"]
