# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan as a run carries it out, and as people read it."""

from __future__ import annotations

from ansible_collections.baremetal.synapse.plugins.plugin_utils.lifecycle.observed import ServiceNeed
from ansible_collections.baremetal.synapse.plugins.plugin_utils.lifecycle.plan import make_plan
from ansible_collections.baremetal.synapse.plugins.plugin_utils.lifecycle.steps import Plan, Step, Wave
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model import layout
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.releases import Release
from ansible_collections.baremetal.synapse.plugins.plugin_utils.views.plan import plan_view, read_surveys

from tests.unit.fleets import one_host


def step(action: str, host: str, name: str, reason: str = "new") -> Step:
    return Step(action=action, host=host, name=name, unit=f"{name}.service", reason=reason)


def waves(*found: Wave) -> list[tuple[str | None, dict[str, list[tuple[str, int]]]]]:
    """Returns what nginx does in each wave, and the actions of each host with their stages."""
    view = plan_view(one_host(), Plan(waves=found))
    return [
        (
            wave["proxy"],
            {host: [(entry["action"], entry["stage"]) for entry in steps] for host, steps in wave["steps"].items()},
        )
        for wave in view["waves"]
    ]


def test_waves_of_one_host_that_follow_each_other_are_stages_of_one() -> None:
    stop, main, rest = (Wave(steps=(step(action, "a", action),)) for action in ("stop", "restart", "start"))
    assert waves(stop, main, rest) == [(None, {"a": [("stop", 0), ("restart", 1), ("start", 2)]})]


def test_a_wave_that_begins_with_nginx_stands_alone() -> None:
    first = Wave(steps=(step("stop", "a", "x"),))
    second = Wave(proxy="apply", steps=(step("start", "a", "y"),))
    third = Wave(steps=(step("start", "a", "z"),))
    assert waves(first, second, third) == [
        (None, {"a": [("stop", 0)]}),
        ("apply", {"a": [("start", 0), ("start", 1)]}),
    ]


def test_what_another_host_has_to_wait_for_is_a_wave_of_its_own() -> None:
    stop = Wave(steps=(step("stop", "a", "x"),))
    start = Wave(steps=(step("start", "b", "y"),))
    both = Wave(steps=(step("start", "a", "z"), step("start", "b", "z")))
    assert len(waves(stop, start)) == 2
    assert len(waves(stop, both)) == 2
    assert len(waves(both, stop)) == 2


def test_a_long_reason_is_written_once() -> None:
    long = "database changes in homeserver.yaml; the addresses of main, a-events-1 and 12 more change, and so on and on"
    found = Plan(
        waves=(
            Wave(steps=(step("stop", "a", "x", long),)),
            Wave(proxy="apply", steps=(step("start", "a", "x", long), step("start", "a", "y"))),
            Wave(steps=(step("start", "a", "z"),)),
        )
    )
    assert plan_view(one_host(), found)["lines"] == [
        f"1. stop x on a: {long}",
        "2. nginx gets its new configuration",
        "3. start x on a: as in 1",
        "4. start y on a: new",
        "5. start z on a: new",
    ]


def test_a_survey_says_with_which_release_a_process_was_started() -> None:
    entry = {
        "name": "main",
        "unit": "matrix-synapse.service",
        "active": "active",
        "enabled": True,
        "unread": False,
        "known": True,
        "duties": [],
        "changed": [],
        "reloadable": [],
    }
    releases = {"/opt/matrix-synapse/releases/1.152.1-0123456789ab": Release(1, 152, 1), "/opt/own": None}
    for target, release in releases.items():
        (found,) = read_surveys({"a": [{**entry, "links": {layout.CURRENT: target}}]})
        assert found.release == release
    (found,) = read_surveys({"a": [{**entry, "links": {}}]})
    assert found.release is None


def test_what_happens_to_several_for_one_reason_is_one_line() -> None:
    found = Plan(
        waves=(
            Wave(proxy="hold", held=("a-sync-1",)),
            Wave(steps=(step("start", "a", "a-sync-3"), step("start", "b", "b-sync-3"), step("stop", "a", "x", "old"))),
            Wave(proxy="apply", held=("a-sync-2",)),
            Wave(proxy="apply"),
        )
    )
    assert plan_view(one_host(), found)["lines"] == [
        "1. nginx sends nothing to a-sync-1",
        "2. stop x on a: old",
        "3. start a-sync-3, b-sync-3 on a, b: new",
        "4. nginx gets its new configuration, and sends nothing to a-sync-2",
        "5. nginx gets its new configuration",
    ]


def test_services_are_steps_and_are_called_by_their_titles() -> None:
    need = ServiceNeed(
        service="postgres",
        title="PostgreSQL",
        host="synapse1",
        unit="postgresql@17-synapse.service",
        reason="max_connections changes",
        effect="While PostgreSQL restarts, requests wait.",
    )
    topology = one_host()
    found = make_plan(topology, [], topology.addresses, True, [need])
    view = plan_view(topology, found)
    assert view["lines"] == [
        "1. restart PostgreSQL on synapse1: max_connections changes",
        "2. start main on synapse1: new",
        "3. nginx gets its new configuration",
    ]
    assert view["effects"] == [need.effect]
    steps = [(entry["name"], entry["service"], entry["stage"]) for entry in view["waves"][0]["steps"]["synapse1"]]
    assert steps == [("postgres", True, 0), ("main", False, 1)]
    assert "restart PostgreSQL before start main: processes need the service with its new settings" in view["why"]


def test_all_processes_are_called_all() -> None:
    topology = one_host(generic_workers={"sync": {"count": 1}})
    steps = tuple(step("reload", "synapse1", process.name, "caches change") for process in topology.processes)
    assert plan_view(topology, Plan(waves=(Wave(steps=steps),)))["lines"] == [
        "1. reload all on synapse1: caches change"
    ]
