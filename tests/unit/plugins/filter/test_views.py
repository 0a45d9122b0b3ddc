# SPDX-License-Identifier: GPL-3.0-or-later
"""Filters whose results are in no rendered file: budgets, targets for Prometheus, the plan, the record."""

from __future__ import annotations

import json
from typing import Any

from tests.unit.filters import load_filter
from tests.unit.fleets import one_host_inputs, several_hosts_inputs

LIMITED = json.dumps(
    one_host_inputs(
        generic_workers={"sync": {"count": 2, "memory_max": "1G"}}, synapse_main_settings={"memory_max": "1G"}
    )
)
FLEET = json.dumps(
    several_hosts_inputs(
        generic_workers={"sync": {"count": 2}}, background_workers={"pusher": {}}, media_workers={"media": {}}
    )
)


def view(name: str, *arguments: Any, **options: Any) -> Any:
    """Returns what a filter gives, which JSON must hold as it is."""
    value = load_filter(name)(*arguments, **options)
    assert json.loads(json.dumps(value)) == value
    return value


def test_connections_are_counted_for_every_process() -> None:
    budget = view("connection_budget", LIMITED)
    assert [entry["name"] for entry in budget["parts"]] == ["main", "synapse1-sync-1", "synapse1-sync-2"]
    assert budget["sum"] == sum(entry["connections"] for entry in budget["parts"])


def test_memory_counts_what_the_variables_of_the_services_say() -> None:
    budget = view(
        "memory_budget",
        LIMITED,
        "synapse1",
        memory_mib=8192,
        variables={"postgres_settings": {"shared_buffers": "512MB"}, "redis_maxmemory_mib": 256},
    )
    parts = {part["name"]: part["mib"] for part in budget["parts"]}
    assert parts == {"main": 1024, "synapse1-sync-1": 1024, "synapse1-sync-2": 1024, "PostgreSQL": 512, "Redis": 256}
    assert (budget["sum"], budget["problem"]) == (3840, "")


def test_the_memory_of_postgresql_is_planned_with_less_than_the_host_has_if_a_variable_says_so() -> None:
    def buffers(**variables: Any) -> int:
        parts = view("memory_budget", LIMITED, "synapse1", memory_mib=8192, variables=variables)["parts"]
        return int(next(part["mib"] for part in parts if part["name"] == "PostgreSQL"))

    assert buffers(postgres_memory_mib=2048) < buffers()


def test_memory_that_does_not_fit_is_told() -> None:
    problem = view("memory_budget", LIMITED, "synapse1", memory_mib=2048)["problem"]
    assert problem.startswith("memory_max on host synapse1 is ")
    assert "the host has 2048 MiB" in problem


def test_prometheus_gets_a_target_for_each_process() -> None:
    targets = view("metrics_targets", FLEET)
    assert {entry["labels"]["host"] for entry in targets} == {"main1", "generic1", "generic2", "media1", "background1"}
    assert len({target for entry in targets for target in entry["targets"]}) == len(targets) == 7


def test_the_plan_is_asked_for_what_roles_note_in_facts() -> None:
    step = {"unit": "redis-server.service", "action": "restart", "reason": "it does not have the settings of its file"}
    hostvars: dict[str, Any] = {"cache1": {"redis_step": step}, "db1": {"postgres_step": {}}}
    (need,) = view("service_needs", FLEET, hostvars, ["cache1", "db1"])
    assert (need["service"], need["title"], need["host"]) == ("redis", "Redis", "cache1")
    assert {name: need[name] for name in step} == step
    assert need["effect"].startswith("While Redis restarts")


def test_a_platform_has_packages_and_paths() -> None:
    found = {"distribution": "Debian", "distribution_major_version": "13", "architecture": "aarch64"}
    platform = view("platform", FLEET, "db1", found)
    assert platform["packages"]["nginx"] == ["nginx", "logrotate"]
    assert platform["jemalloc_library"] == "/usr/lib/aarch64-linux-gnu/libjemalloc.so.2"


def test_the_plan_of_bare_hosts_starts_main_first_and_what_acts_on_its_own_last() -> None:
    surveys: dict[str, Any] = {
        host: {"processes": []} for host in ("main1", "generic1", "generic2", "media1", "background1")
    }
    plan = view("plan", FLEET, surveys, {"proxy1": {"stdout_lines": ["write the configuration"]}})
    assert plan["lines"][0] == "1. start main on main1: new"
    order = [
        (wave["proxy"] or "", host, step["name"])
        for wave in plan["waves"]
        for host, steps in (wave["steps"] or {"": [{"name": ""}]}).items()
        for step in steps
    ]
    names = [name for _proxy, _host, name in order if name]
    assert names[0] == "main"
    assert sorted(names[1:]) == [
        "background1-pusher-1",
        "generic1-sync-1",
        "generic1-sync-2",
        "generic2-sync-1",
        "generic2-sync-2",
        "media1-media-1",
    ]
    assert names[-1] == "background1-pusher-1"
    assert [proxy for proxy, _host, _name in order if proxy] == ["apply"]


def test_the_plan_leaves_hosts_alone_that_were_not_asked() -> None:
    plan = view("plan", FLEET, {"generic1": {"processes": []}, "generic2": {"failed": True}})
    assert {host for wave in plan["waves"] for host in wave["steps"]} == {"generic1"}
    assert all(wave["proxy"] is None for wave in plan["waves"])


def test_the_plan_restarts_the_servers_that_need_it_and_tells_what_users_notice() -> None:
    step = {"unit": "postgresql@17-main.service", "action": "restart", "reason": "max_connections changes"}
    needs = view(
        "service_needs", FLEET, {"db1": {"postgres_step": step}, "cache1": {"redis_step": {}}}, ["db1", "cache1"]
    )
    plan = view("plan", FLEET, {}, None, needs)
    assert plan["lines"] == ["1. restart PostgreSQL on db1: max_connections changes"]
    assert plan["effects"] == [needs[0]["effect"]]
    (wave,) = plan["waves"]
    (carried_out,) = wave["steps"]["db1"]
    assert (carried_out["action"], carried_out["unit"]) == ("restart", "postgresql@17-main.service")


def test_the_record_of_the_fleet_says_which_processes_a_host_has() -> None:
    record = view("fleet_record", FLEET)
    assert record["server_name"] == "example.org"
    assert set(record["hosts"]) == {"main1", "generic1", "generic2", "media1", "background1"}
