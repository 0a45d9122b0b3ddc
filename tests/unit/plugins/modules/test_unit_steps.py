# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of a plan, carried out on a host: what happens to the units, in which order, and what is told."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.baremetal.synapse.plugins.modules import unit_steps

from tests.unit.fake_systemd import FakeSystemd, install, run_module

MAIN = unit_steps.MAIN_UNIT


def unit_of(name: str) -> str:
    """Returns the unit of an instance."""
    return MAIN if name == "main" else f"matrix-synapse-worker@{name}.service"


def step(action: str, name: str, **others: Any) -> dict[str, Any]:
    """Returns a step of a plan."""
    return {"action": action, "name": name, "unit": unit_of(name), "reason": "it changed", **others}


class Host:
    """A host with processes, on which time passes only while somebody waits.

    Attributes:
        systemd: its systemd.
        now: the seconds that have passed.
        busy_until: when the last request of an instance ends.
        deaf_for: how many seconds after its start an instance does not listen to the replication yet.
        log: what was done to which units, and when.
    """

    def __init__(self, systemd: FakeSystemd) -> None:
        self.systemd = systemd
        self.now = 0.0
        self.busy_until: dict[str, float] = {}
        self.deaf_for: dict[str, float] = {}
        self.log: list[tuple[str, list[str], float]] = []
        systemd.on_change = lambda verb, units: self.log.append((verb, list(units), self.now))

    def monotonic(self) -> float:
        """Returns the time, as time.monotonic does."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Lets time pass."""
        self.now += seconds

    def open_connections(self, listener: Mapping[str, Any]) -> int:
        """Counts the requests of an instance."""
        return int(self.now < self.busy_until.get(listener["socket"], 0))

    def is_subscribed(self, name: str, _port: int) -> bool:
        """Tells whether an instance listens to the replication."""
        started = self.at("restart", name)
        return started is not None and self.now >= started + self.deaf_for.get(name, 0)

    def at(self, verb: str, name: str) -> float | None:
        """Returns when something was done to an instance, None if it was not."""
        times = [at for done, units, at in self.log if done == verb and unit_of(name) in units]
        return times[0] if times else None

    def done(self, *verbs: str) -> list[list[str]]:
        """Returns the units to which these things were done, call by call."""
        return [units for verb, units, _at in self.log if verb in verbs]


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Host:
    """A host with two processors, where main, a, b and c run."""
    found = Host(install(monkeypatch, tmp_path))
    for name in ("main", "a", "b", "c"):
        found.systemd.add(unit_of(name), "active", enabled=True)
    monkeypatch.setattr(unit_steps, "time", found)
    monkeypatch.setattr(unit_steps, "open_connections", found.open_connections)
    monkeypatch.setattr(unit_steps, "is_subscribed", found.is_subscribed)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    return found


class Run:
    """Runs the module."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(
        self, *steps: dict[str, Any], check: bool = False, diff: bool = False, **arguments: Any
    ) -> dict[str, Any]:
        names = [entry["name"] for entry in steps]
        listeners = {name: {"health": {"socket": name}, "metrics": {"address": name, "port": 1}} for name in names}
        given = {"steps": steps, "listeners": listeners, **arguments}
        return run_module(unit_steps.main, self._capsys, given, check=check, diff=diff)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the module with steps; each instance has listeners unless a test says otherwise."""
    return Run(capsys)


def test_without_steps_nothing_happens(host: Host, run: Run) -> None:
    assert run()["changed"] is False
    assert host.systemd.calls == []


def test_a_process_that_starts_is_enabled_too(host: Host, run: Run) -> None:
    new = host.systemd.add(unit_of("new"))
    told = run(step("start", "new"))
    assert (told["changed"], told["undrained"]) == (True, [])
    assert (new.active, new.starts, host.systemd.is_enabled(unit_of("new"))) == ("active", 1, True)


def test_a_process_that_restarts_is_started_once_more_and_others_are_not(host: Host, run: Run) -> None:
    assert run(step("restart", "a"))["changed"] is True
    assert {name: unit.starts for name, unit in host.systemd.units.items() if unit.starts} == {unit_of("a"): 1}


def test_a_process_that_stops_is_down_and_starts_at_the_next_boot(host: Host, run: Run) -> None:
    assert run(step("stop", "a"))["changed"] is True
    assert [name for name, state in host.systemd.states().items() if state != "active"] == [unit_of("a")]
    assert host.systemd.is_enabled(unit_of("a"))


@pytest.mark.parametrize("active", ["active", "failed", "inactive"])
def test_a_process_that_retires_is_down_for_good_and_leaves_no_failure(host: Host, run: Run, active: str) -> None:
    host.systemd.units[unit_of("a")].active = active
    assert run(step("retire", "a"))["changed"] is True
    assert host.systemd.units[unit_of("a")].active == "inactive"
    assert not host.systemd.is_enabled(unit_of("a"))


def test_a_process_that_reloads_runs_on(host: Host, run: Run) -> None:
    assert run(step("reload", "a"))["changed"] is True
    reloaded = host.systemd.units[unit_of("a")]
    assert (reloaded.reloads, reloaded.starts, reloaded.active) == (1, 0, "active")


def test_a_process_that_is_only_enabled_is_not_started(host: Host, run: Run) -> None:
    unit = host.systemd.add(unit_of("new"))
    assert run(step("enable", "new"))["changed"] is True
    assert (unit.starts, unit.active, host.systemd.is_enabled(unit_of("new"))) == (0, "inactive", True)


def test_a_process_that_is_only_drained_runs_on(host: Host, run: Run) -> None:
    host.busy_until = {"a": 3}
    assert run(step("drain", "a", drain=True))["changed"] is True
    assert host.now >= 3
    assert host.systemd.calls == []


@pytest.mark.parametrize("action", ["start", "restart", "reload", "enable"])
def test_unit_files_that_changed_are_read_before(host: Host, run: Run, action: str) -> None:
    unit = host.systemd.units[unit_of("a")]
    unit.unread = True
    run(step(action, "a"))
    assert unit.unread is False
    assert host.log[0][0] == "daemon-reload"


def test_what_must_stop_stops_before_anything_starts(host: Host, run: Run) -> None:
    host.systemd.add(unit_of("new"))
    run(step("start", "new"), step("restart", "b"), step("retire", "a"), step("stop", "c"))
    assert host.done("stop", "restart") == [[unit_of("a"), unit_of("c")], [unit_of("new"), unit_of("b")]]


def test_main_starts_by_itself_and_the_others_as_many_at_once_as_there_are_processors(host: Host, run: Run) -> None:
    run(*(step("restart", name) for name in ("a", "main", "b", "c")))
    assert host.done("restart") == [[MAIN], [unit_of("a"), unit_of("b")], [unit_of("c")]]


@pytest.mark.parametrize("action", ["stop", "restart", "retire", "drain"])
def test_requests_in_flight_end_before(host: Host, run: Run, action: str) -> None:
    host.busy_until = {"a": 5, "b": 2}
    told = run(step(action, "a", drain=True), step(action, "b", drain=True))
    assert told["undrained"] == []
    changes = [at for verb, _units, at in host.log if verb in ("stop", "restart", "disable")]
    assert all(5 <= at < 6 for at in changes)
    assert 5 <= host.now < 6


def test_requests_that_do_not_end_are_waited_for_as_long_as_told(host: Host, run: Run) -> None:
    host.busy_until = {"a": 1000, "b": 2}
    told = run(step("stop", "a", drain=True), step("stop", "b", drain=True), drain_timeout=7)
    assert told["undrained"] == ["a"]
    assert told["changed"] is True
    stopped = host.at("stop", "a")
    assert stopped is not None and 7 <= stopped < 8
    assert host.systemd.units[unit_of("a")].active == "inactive"


def test_requests_are_not_waited_for_where_nginx_sends_more(host: Host, run: Run) -> None:
    host.busy_until = {"a": 1000}
    assert run(step("restart", "a"))["undrained"] == []
    assert host.at("restart", "a") == 0


def test_a_process_without_listeners_is_not_waited_for(host: Host, run: Run) -> None:
    host.busy_until, host.deaf_for = {"a": 1000}, {"a": 1000}
    told = run(step("restart", "a", drain=True), listeners={})
    assert (told["undrained"], host.now) == ([], 0)


@pytest.mark.parametrize("action", ["start", "restart"])
def test_a_process_is_up_when_it_listens_to_the_replication(host: Host, run: Run, action: str) -> None:
    host.deaf_for = {"a": 4}
    run(step(action, "a"))
    assert 4 <= host.now < 5


def test_where_there_is_no_replication_nothing_is_waited_for(host: Host, run: Run) -> None:
    host.deaf_for = {"main": 1000}
    assert run(step("restart", "main"), replication=False)["changed"] is True
    assert host.now == 0


def test_a_process_that_does_not_listen_in_time_is_told(host: Host, run: Run) -> None:
    host.deaf_for = {"a": 1000, "c": 1000}
    told = run(*(step("restart", name) for name in ("a", "b", "c")), ready_timeout=9)
    assert told["failed"] is True
    assert told["msg"].startswith("a, c started, but did not listen to the replication within 9 seconds: ")
    assert 9 <= host.now < 10


def test_a_later_stage_comes_when_the_processes_before_are_up(host: Host, run: Run) -> None:
    host.deaf_for = {"main": 6}
    host.busy_until = {"b": 8}
    told = run(
        step("start", "c", stage=2),
        step("restart", "b", stage=1, drain=True),
        step("restart", "main", stage=0),
    )
    assert host.done("restart") == [[MAIN], [unit_of("b")], [unit_of("c")]]
    assert [host.at("restart", name) for name in ("main", "b")] == [0, pytest.approx(8, abs=0.2)]
    assert told["undrained"] == []


def test_a_stage_that_fails_is_the_last(host: Host, run: Run) -> None:
    host.deaf_for = {"main": 1000}
    told = run(step("restart", "main"), step("stop", "a", stage=1))
    assert told["failed"] is True
    assert host.systemd.units[unit_of("a")].active == "active"


def test_requests_that_did_not_end_are_told_of_all_stages(host: Host, run: Run) -> None:
    host.busy_until = {"a": 1000, "b": 1000, "c": 1000}
    stages = {"a": 0, "b": 1, "c": 1}
    told = run(*(step("stop", name, stage=stage, drain=True) for name, stage in stages.items()))
    assert told["undrained"] == ["a", "b", "c"]


def test_the_target_is_enabled_and_reached_without_what_it_wants(host: Host, run: Run) -> None:
    target = host.systemd.add("matrix-synapse.target")
    assert run(target="matrix-synapse.target")["changed"] is True
    assert (target.active, host.systemd.is_enabled("matrix-synapse.target")) == ("active", True)
    assert ["start", "--job-mode=ignore-dependencies", "matrix-synapse.target"] in host.systemd.calls


def test_the_target_comes_once_and_after_what_stops(host: Host, run: Run) -> None:
    host.systemd.add("matrix-synapse.target")
    run(step("retire", "a"), step("restart", "b", stage=1), target="matrix-synapse.target")
    verbs = [verb for verb, units, _at in host.log if units == ["matrix-synapse.target"] or verb == "stop"]
    assert verbs == ["stop", "enable", "start"]


@pytest.mark.parametrize("failing", [1, 2])
def test_a_start_that_fails_is_tried_again(host: Host, run: Run, failing: int) -> None:
    unit = host.systemd.units[unit_of("a")]
    unit.failing = failing
    assert run(step("restart", "a"), step("restart", "b"))["changed"] is True
    assert (unit.active, unit.starts) == ("active", failing + 1)
    # The other one has been up since the first time.
    assert host.systemd.units[unit_of("b")].starts == 1


def test_a_crash_loop_does_not_keep_a_process_from_its_start(host: Host, run: Run) -> None:
    unit = host.systemd.add(unit_of("new"), "failed", limited=True)
    assert run(step("start", "new"))["changed"] is True
    assert unit.active == "active"


def test_a_process_that_does_not_start_is_told_with_its_journal(host: Host, run: Run) -> None:
    host.systemd.units[unit_of("a")].failing = 1000
    told = run(step("restart", "a"), step("restart", "b"))
    assert told["failed"] is True
    assert told["msg"].startswith("systemctl start failed.\nJob for ")
    assert f"Last lines of {unit_of('a')}:\nwhy {unit_of('a')} failed" in told["msg"]
    assert unit_of("b") not in told["msg"]


def test_of_many_that_do_not_start_some_journals_are_shown_and_all_are_named(
    host: Host, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    names = ["a", "b", "c", "d", "e"]
    for name in names:
        host.systemd.add(unit_of(name), failing=1000)
    told = run(*(step("start", name) for name in names))
    assert told["msg"].count("Last lines of ") == 3
    assert told["msg"].endswith(f"Also not up: {unit_of('d')}, {unit_of('e')}")


@pytest.mark.usefixtures("host")
def test_what_systemd_does_not_know_is_told(run: Run) -> None:
    told = run(step("stop", "nobody"))
    assert told["failed"] is True
    assert told["msg"].startswith(f"systemctl stop failed.\nUnit {unit_of('nobody')} not found.")


def test_check_mode_changes_nothing_and_tells_what_would_be_done(host: Host, run: Run) -> None:
    host.busy_until = {"a": 1000}
    before = host.systemd.states()
    told = run(step("restart", "a", drain=True), step("retire", "b"), check=True, diff=True)
    assert (told["changed"], told["undrained"]) == (True, [])
    assert told["diff"] == [
        {"prepared": f"restart {unit_of('a')}: it changed\nretire {unit_of('b')}: it changed\n"},
    ]
    assert (host.systemd.calls, host.systemd.states(), host.now) == ([], before, 0)


@pytest.mark.parametrize("check", [True, False])
def test_the_target_alone_is_a_change(host: Host, run: Run, check: bool) -> None:
    host.systemd.add("matrix-synapse.target")
    assert run(check=check, target="matrix-synapse.target")["changed"] is True
    assert bool(host.systemd.calls) is not check


def test_a_difference_is_told_only_where_it_is_asked_for_and_there_is_one(host: Host, run: Run) -> None:
    assert "diff" not in run(step("reload", "a"))
    assert "diff" not in run(diff=True)
    assert run(step("reload", "a"), diff=True)["diff"] == [{"prepared": f"reload {unit_of('a')}: it changed\n"}]
    assert len(host.done("reload")) == 2


@pytest.mark.parametrize(
    ("wrong", "told"),
    [({"action": "kill"}, "value of action must be one of"), ({"stage": "soon"}, "'stage' is of type")],
)
def test_what_is_no_step_is_refused(host: Host, run: Run, wrong: dict[str, Any], told: str) -> None:
    result = run({**step("stop", "a"), **wrong}, listeners={})
    assert result["failed"] is True
    assert told in result["msg"]
    assert host.systemd.calls == []


@pytest.mark.parametrize(
    ("units", "size", "expected"),
    [
        ([], 2, []),
        ([MAIN], 2, [[MAIN]]),
        (["a", "b", "c", MAIN], 2, [[MAIN], ["a", "b"], ["c"]]),
        (["a", "b"], 8, [["a", "b"]]),
    ],
)
def test_units_start_in_batches(units: Sequence[str], size: int, expected: list[list[str]]) -> None:
    assert unit_steps.batches(list(units), size) == expected


def test_a_service_restarts_before_processes_start_and_stays_as_its_role_has_enabled_it(host: Host, run: Run) -> None:
    server = host.systemd.add("postgresql@17-synapse.service", "active")
    postgres = {"name": "postgres", "unit": "postgresql@17-synapse.service", "reason": "max_connections changes"}
    told = run({"action": "restart", "service": True, **postgres}, step("stop", "b"), step("restart", "a"))
    assert told["changed"] is True
    assert [entry[:2] for entry in host.log if entry[0] in ("stop", "restart")] == [
        ("stop", [unit_of("b")]),
        ("restart", ["postgresql@17-synapse.service"]),
        ("restart", [unit_of("a")]),
    ]
    assert (server.active, host.systemd.is_enabled("postgresql@17-synapse.service")) == ("active", False)


def test_a_service_without_listeners_is_waited_for_by_systemd_alone(host: Host, run: Run) -> None:
    host.systemd.add("redis.service", "active")
    redis = {"name": "redis", "unit": "redis.service", "action": "restart", "reason": "new file", "service": True}
    told = run(redis, listeners={}, ready_timeout=0)
    assert (told["changed"], host.done("restart"), host.now) == (True, [["redis.service"]], 0.0)
