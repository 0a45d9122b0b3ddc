# SPDX-License-Identifier: GPL-3.0-or-later
"""Which units are stopped, restarted and started, and why."""

from __future__ import annotations

from ansible_collections.baremetal.synapse.plugins.module_utils._unit_states import (
    Step,
    UnitState,
    Wanted,
    affected,
    decide,
    parse_fingerprints,
    parse_show,
    staleness,
    unread,
)

UP = UnitState("active", enabled=True)
STARTED_WITH = {"/etc/a.yaml": "1", "/etc/b.yaml": "2"}


def actions(steps: list[Step]) -> list[str]:
    return [f"{step.action} {step.unit}" for step in steps]


def test_a_unit_that_is_up_enabled_and_not_stale_is_left_alone() -> None:
    assert decide(Wanted(units=["a"], target="t"), {"a": UP, "t": UP}, stale={}) == []


def test_a_missing_unit_is_enabled_and_started() -> None:
    assert actions(decide(Wanted(units=["a"]), {}, stale={})) == ["enable a", "start a"]


def test_a_stale_unit_is_restarted_and_the_step_says_why() -> None:
    assert decide(Wanted(units=["a", "b"]), {"a": UP, "b": UP}, stale={"b": "changed"}) == [
        Step("restart", "b", "changed")
    ]


def test_a_unit_that_only_waits_for_its_next_try_is_started() -> None:
    states = {"a": UnitState("activating", enabled=True), "b": UnitState("failed", enabled=True)}
    assert actions(decide(Wanted(units=["a", "b"]), states, stale={})) == ["start a", "start b"]


def test_a_unit_that_reloads_is_up() -> None:
    assert decide(Wanted(units=["a"]), {"a": UnitState("reloading", enabled=True)}, stale={}) == []


def test_stale_workers_stop_before_a_stale_main_starts_anew_and_the_others_run_on() -> None:
    states = {"main": UP, "w1": UP, "w2": UP}
    steps = decide(
        Wanted(units=["main"], dependents=["w1", "w2"]), states, stale={"main": "new list", "w1": "new list"}
    )
    assert actions(steps) == ["stop w1", "restart main"]


def test_stale_workers_stop_before_a_main_that_is_down_starts() -> None:
    steps = decide(Wanted(units=["main"], dependents=["w"]), {"w": UP, "main": UnitState(enabled=True)}, {"w": "old"})
    assert actions(steps) == ["stop w", "start main"]


def test_stale_workers_run_on_while_main_has_no_reason_to_start_anew() -> None:
    assert decide(Wanted(units=["main"], dependents=["w"]), {"main": UP, "w": UP}, stale={"w": "own file"}) == []


def test_dependents_are_never_started() -> None:
    assert decide(Wanted(units=["main"], dependents=["w"]), {"main": UP}, stale={}) == []


def test_what_is_not_wanted_is_stopped_and_disabled() -> None:
    states = {"a": UP, "b": UnitState("failed"), "c": UnitState("inactive", enabled=True), "d": UnitState()}
    steps = decide(Wanted(retired=["a", "b", "c", "d"]), states, stale={})
    assert actions(steps) == ["disable a", "stop a", "stop b", "disable c"]


def test_a_unit_that_waits_for_its_next_try_is_stopped_when_it_is_not_wanted() -> None:
    assert actions(decide(Wanted(retired=["a"]), {"a": UnitState("activating")}, stale={})) == ["stop a"]


def test_the_target_is_enabled_and_reached_without_what_it_wants() -> None:
    assert actions(decide(Wanted(target="t"), {}, stale={})) == ["enable t", "start target t"]


def test_old_units_go_before_new_ones_come() -> None:
    steps = decide(Wanted(units=["new"], retired=["old"]), {"old": UP}, stale={})
    assert actions(steps) == ["disable old", "stop old", "enable new", "start new"]


def test_a_process_is_stale_when_an_input_changed_came_or_went() -> None:
    assert staleness(STARTED_WITH, STARTED_WITH) is None
    assert staleness(STARTED_WITH, {**STARTED_WITH, "/etc/b.yaml": "3"}) == "changed since its start: /etc/b.yaml"
    assert staleness(STARTED_WITH, {**STARTED_WITH, "/etc/c.yaml": "3"}) == "changed since its start: /etc/c.yaml"
    assert staleness(STARTED_WITH, {"/etc/a.yaml": "1"}) == "changed since its start: /etc/b.yaml"


def test_a_process_that_recorded_nothing_is_stale() -> None:
    assert staleness(None, STARTED_WITH) == "nothing tells what it was started with"


def test_a_process_is_stale_when_systemd_has_an_older_unit_file() -> None:
    text = "Id=a\nActiveState=active\nNeedDaemonReload=yes\n\nId=b\nActiveState=active\nNeedDaemonReload=no\n"
    assert unread(parse_show(text)) == {"a": "systemd has not read its unit file anew"}


def test_a_unit_without_process_is_not_stale() -> None:
    assert unread({"a": UnitState("failed", unread=True)}) == {}


def test_nothing_is_stale_when_the_present_cannot_be_told() -> None:
    assert staleness(STARTED_WITH, None) is None


def test_in_check_mode_what_would_change_makes_stale() -> None:
    assert staleness(STARTED_WITH, STARTED_WITH, ["/etc/a.yaml"]) == "changed since its start: /etc/a.yaml"


def test_pending_paths_count_only_where_they_are_inputs() -> None:
    inputs = ["/etc/homeserver.yaml", "/etc/unit.d"]
    pending = ["/etc/unit.d/pool.conf", "/etc/homeserver.yaml", "/etc/unit.data", "/etc/other.yaml"]
    assert affected(pending, inputs) == ["/etc/homeserver.yaml", "/etc/unit.d/pool.conf"]


def test_fingerprints_of_several_instances_are_told_apart() -> None:
    text = "[a]\n1  /etc/x\n2  /etc/y z\n[b]\n[c]\n3  /etc/x\n"
    assert parse_fingerprints(text) == {"a": {"/etc/x": "1", "/etc/y z": "2"}, "b": {}, "c": {"/etc/x": "3"}}


def test_the_states_of_several_units_are_read() -> None:
    text = "Id=a.service\nActiveState=active\nUnitFileState=enabled\n\nId=b@x.service\nActiveState=failed\n"
    assert parse_show(text) == {"a.service": UP, "b@x.service": UnitState("failed", enabled=False)}
