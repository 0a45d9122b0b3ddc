# SPDX-License-Identifier: GPL-3.0-or-later
"""The matrix of scenarios, and the tasks at which runs are killed."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from tests.killed.points import FIRST, NAME, points
from tests.support.choice import Choice
from tools.runs import example_hosts
from tools.scenarios import MATRIX, PROJECT, SUITES, Scenario, reasons, scenario_names, seeds

STARTS = {
    name: settings["ansible"]["env"]["START_EXAMPLE"]
    for name in scenario_names()
    if "ansible" in (settings := yaml.safe_load((PROJECT / "molecule" / name / "molecule.yml").read_text()))
}


def test_every_scenario_is_in_the_matrix_once_and_every_debian() -> None:
    matrix = [Scenario.parse(text) for text in MATRIX]
    assert sorted(scenario.name for scenario in matrix) == scenario_names()
    assert {scenario.suite for scenario in matrix} == set(SUITES)


def test_on_every_debian_scenarios_begin_with_bare_hosts() -> None:
    deployed_bare = {"demo", "full", "monolith"}
    assert not deployed_bare & STARTS.keys()
    assert {Scenario.parse(text).suite for text in MATRIX if text.partition(":")[0] in deployed_bare} == set(SUITES)


@pytest.mark.parametrize(
    ("log", "told"),
    [
        ("TASK [x]\nfatal: [a]: no\nFAILED ../t.py::test_a - no\nCRITICAL", ["FAILED ../t.py::test_a - no"]),
        ("TASK [x]\nfatal: [a]: no\nPLAY RECAP", ["fatal: [a]: no"]),
        ("".join(f"line {number}\n" for number in range(9)), [f"line {number}" for number in range(4, 9)]),
    ],
)
def test_what_failed_in_a_scenario_is_told(tmp_path: Path, log: str, told: list[str]) -> None:
    (tmp_path / "log").write_text(log)
    assert reasons(tmp_path / "log") == told


@pytest.mark.parametrize("scenario", [name for name, start in STARTS.items() if start != "release"])
def test_the_hosts_that_a_scenario_starts_from_have_the_names_of_its_own(scenario: str) -> None:
    assert set(example_hosts(scenario)) <= set(example_hosts(STARTS[scenario]))


@pytest.mark.parametrize(("runs", "tasks"), [(15, 110), (15, 107), (1, 110), (200, 110)])
def test_runs_are_killed_in_every_part_of_a_run_and_never_behind_its_end(runs: int, tasks: int) -> None:
    found = points(Choice(NAME, runs, 7), tasks)
    assert len(found) == runs
    assert found == sorted(found)
    assert found[0] >= FIRST and found[-1] < tasks
    assert max((right - left for left, right in pairwise(found)), default=0) <= 2 * ((tasks - FIRST) / runs + 1)


def test_the_seed_chooses_and_repeats_the_tasks() -> None:
    told = Choice.of(NAME, 15, {})
    again = Choice.of(NAME, 1, dict(word.split("=", 1) for word in str(told).split()))
    assert again == told
    assert points(again, 110) == points(told, 110)
    assert points(Choice(NAME, 15, 7), 110) != points(Choice(NAME, 15, 8), 110)


def test_size_and_seed_are_read_from_the_environment() -> None:
    assert Choice.of("KILLED_RUNS", 15, {"KILLED_RUNS": "40", "KILLED_SEED": "7"}) == Choice("KILLED_RUNS", 40, 7)
    assert Choice.of("KILLED_RUNS", 15, {"WALK_SEED": "7"}).size == 15
    assert str(Choice("WALK_SECONDS", 90, 7)) == "WALK_SECONDS=90 WALK_SEED=7"


def test_one_tree_gets_the_same_seeds_and_others_may_be_given() -> None:
    found = seeds({})
    assert found == seeds({})
    assert seeds({"WALK_SEED": "7"}).keys() == found.keys() - {"WALK_SEED"}
