# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that cannot be deployed to are told before anything is done, all of them at once."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.baremetal.synapse.plugins.plugin_utils.lifecycle.host_checks import host_problems

from tests.unit.fleets import several_hosts

FOUND: dict[str, Any] = {
    "distribution": "Debian",
    "distribution_major_version": "13",
    "python_version": "3.13.5",
    "memtotal_mb": 4096,
}
FLEET = several_hosts({"generic1": {"generic_workers": {"sync": {"count": 3, "memory_max": "1G"}}}})


def problems(found: dict[str, Any] | None = None, *, with_memory: bool = True, **variables: Any) -> list[str]:
    """Returns what is wrong with generic1, with this found on it and these variables of its own."""
    host = {"seen": {**FOUND, **(found or {})}, **variables}
    return host_problems(FLEET, {"generic1": host}, surveyed="seen", with_memory=with_memory)


@pytest.mark.parametrize("version", ["12", "13"])
def test_nothing_is_wrong_with_what_is_supported(version: str) -> None:
    assert problems({"distribution_major_version": version}, watchdog_interval=1, watchdog_grace="60") == []


@pytest.mark.parametrize(
    ("found", "variables", "told"),
    [
        (
            {"distribution_major_version": "11"},
            {},
            "on host generic1 is 'Debian 11': this collection supports Debian 12",
        ),
        ({"distribution": "Ubuntu", "distribution_major_version": "24"}, {}, "on host generic1 is 'Ubuntu 24'"),
        ({"python_version": "3.8.1"}, {}, "it needs Python 3.10, the host has 3.8.1"),
        ({"memtotal_mb": 3000}, {}, "memory_max on host generic1 is '3072 MiB'"),
        ({}, {"watchdog_interval": 0}, "watchdog_interval on host generic1 is 0: the watchdog counts"),
        ({}, {"watchdog_checks": -1}, "watchdog_checks on host generic1 is -1: "),
        ({}, {"watchdog_grace": "soon"}, "watchdog_grace on host generic1 is 'soon': "),
        ({}, {"watchdog_interval": 1.5}, "watchdog_interval on host generic1 is 1.5: "),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence(found: dict[str, Any], variables: dict[str, Any], told: str) -> None:
    (problem,) = problems(found, **variables)
    assert told in problem


def test_memory_is_not_compared_with_what_nobody_has_asked_the_host_for() -> None:
    assert problems({"memtotal_mb": 3000}, with_memory=False) == []


def test_all_problems_of_a_host_are_told() -> None:
    found = problems({"python_version": "3.8.1"}, watchdog_interval=0, watchdog_grace=0)
    assert [problem.split(" on host ")[0] for problem in found] == [
        "synapse_version",
        "watchdog_interval",
        "watchdog_grace",
    ]


def test_a_host_is_asked_for_what_it_runs() -> None:
    host = {"seen": {**FOUND, "python_version": "3.8.1"}, "watchdog_interval": 0, "redis_maxmemory_mib": -1}
    found = {name: host_problems(FLEET, {name: host}, surveyed="seen") for name in ("db1", "cache1")}
    assert found["db1"] == []
    assert found["cache1"] == [
        "redis_maxmemory_mib on host cache1 is -1: it is a whole number of MiB from 0 on. Set it to 0 for no limit, or "
        "leave it out."
    ]


@pytest.mark.parametrize("limit", [0, "0", 256, "256", None])
def test_limits_of_redis_that_can_be(limit: object) -> None:
    host = {"seen": FOUND, "redis_maxmemory_mib": limit}
    assert host_problems(FLEET, {"cache1": host}, surveyed="seen") == []


def test_each_host_has_a_sentence_of_its_own() -> None:
    old = {"seen": {**FOUND, "distribution_major_version": "11"}}
    found = host_problems(FLEET, {"db1": old, "main1": {"seen": FOUND}, "proxy1": old}, surveyed="seen")
    assert [problem.split(" is ")[0] for problem in found] == [
        "The operating system on host db1",
        "The operating system on host proxy1",
    ]
