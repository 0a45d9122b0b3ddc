# SPDX-License-Identifier: GPL-3.0-or-later
"""The restart matrix of Synapse, row by row: what a change of the inventory does to the processes that run.

A fleet runs as one inventory describes it, with the notes that its units would have made, and another inventory is
planned. ``Fleet.carry_out`` then does what the plan says and watches what must never be, whatever the change is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import pytest
import yaml
from ansible_collections.baremetal.synapse.plugins.module_utils._fingerprint import (
    changed_since,
    digest,
    option_digests,
)
from ansible_collections.baremetal.synapse.plugins.plugin_utils.lifecycle.dependencies import (
    NESTED_OPTIONS,
    fingerprint_inputs,
    sharded_duties,
)
from ansible_collections.baremetal.synapse.plugins.plugin_utils.lifecycle.observed import Observed, ServiceNeed
from ansible_collections.baremetal.synapse.plugins.plugin_utils.lifecycle.order import Graph
from ansible_collections.baremetal.synapse.plugins.plugin_utils.lifecycle.plan import make_plan
from ansible_collections.baremetal.synapse.plugins.plugin_utils.lifecycle.steps import Plan, Step
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model import layout
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.duties import DUTIES
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.process import Process
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.topology import Topology
from ansible_collections.baremetal.synapse.plugins.plugin_utils.routing.maps import proxy_maps
from ansible_collections.baremetal.synapse.plugins.plugin_utils.routing.proxy import proxy_upstreams
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.config import (
    main_config,
    shared_config,
    worker_config,
)
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.units import unit_of

from tests.unit.fleets import one_host, several_hosts

POOLS: dict[str, Any] = {
    "generic_workers": {
        "sync": {"count": 2},
        "reader": {"count": 2, "duties": ["client_reader", "federation_reader", "room"]},
        "events": {"count": 2},
        "typing": {"count": 1},
    },
    "media_workers": {"media": {"count": 2}},
    "background_workers": {
        "background": {"count": 1, "duties": ["background_tasks", "user_directory"]},
        "pusher": {"count": 1},
        "federation_sender": {"count": 1},
    },
}


def fleet(changes: Mapping[str, Any] | None = None, **variables: Any) -> Topology:
    """Returns the fleet of these tests, with some pools changed; a pool of None goes."""
    pools = {group: dict(value) for group, value in POOLS.items()}
    for pool, settings in (changes or {}).items():
        group = next((name for name, value in pools.items() if pool in value), "generic_workers")
        if settings is None:
            del pools[group][pool]
        else:
            pools[group][pool] = {**pools[group].get(pool, {}), **settings}
    return one_host(**{**pools, **variables})


def inputs_of(topology: Topology, process: Process, files: Mapping[str, str]) -> dict[str, str]:
    """Returns the hashes that the unit of a process notes: of its own file, of the shared options, and of ``files``."""
    wanted = fingerprint_inputs(topology, process.host)["instances"][process.name]
    own = main_config(topology) if process.is_main else worker_config(topology, process)
    path = layout.MAIN_CONFIG if process.is_main else f"{layout.WORKERS_DIR}/{process.name}.yaml"
    options = option_digests(yaml.safe_dump(shared_config(topology)), NESTED_OPTIONS)
    return {
        path: digest(yaml.safe_dump(own)),
        layout.CURRENT: str(topology.release),
        **files,
        **{
            f"{layout.SHARED_CONFIG}: {key}": value
            for key, value in options.items()
            if key.partition(".")[0] not in wanted["ignored"]
        },
    }


def observe(before: Topology, after: Topology, files: Mapping[str, str] | None = None) -> list[Observed]:
    """Returns what a survey sees: the fleet runs as ``before``, the files are those of ``after``."""
    found = []
    for process in before.processes:
        wanted = [other for other in after.processes if (other.host, other.name) == (process.host, process.name)]
        changed = [
            change
            for other in wanted
            for change in changed_since(inputs_of(before, process, {}), inputs_of(after, other, files or {}))
        ]
        reloaded = [
            entry
            for other in wanted
            for entry in fingerprint_inputs(after, other.host)["instances"][other.name]["reloaded"]
        ]
        found.append(
            Observed(
                name=process.name,
                host=process.host,
                unit=unit_of(process),
                active="active",
                enabled=True,
                known=True,
                duties=process.duties,
                changed=tuple(changed),
                reloadable=tuple(change for change in changed if change in reloaded),
            )
        )
    return found


def plan(before: Topology, after: Topology, files: Mapping[str, str] | None = None) -> Plan:
    """Returns the plan from one inventory to another, after it was carried out under watch."""
    observed = observe(before, after, files)
    proxies = (proxy_maps(before), proxy_upstreams(before)) != (proxy_maps(after), proxy_upstreams(after))
    found = make_plan(after, observed, after.addresses, proxies)
    Fleet(before, after, observed).carry_out(found)
    return found


class Fleet:
    """Processes that start and stop as a plan says, and what must hold at any moment."""

    def __init__(self, before: Topology, after: Topology, observed: Iterable[Observed]) -> None:
        self.before, self.after = before, after
        self.stale = {entry.name for entry in observed if entry.reason is not None}
        self.old = {entry.name: entry for entry in observed}
        self.new: set[str] = set()
        self.held: set[str] = set()

    def carry_out(self, found: Plan) -> None:
        """Does it, wave by wave."""
        for wave in found.waves:
            if wave.proxy is not None:
                self.held = set(wave.held)
            for step in wave.steps:
                if step.action in ("stop", "retire", "restart"):
                    assert step.name in self.old or step.name in self.new, f"{step.name} is not up"
                    self.old.pop(step.name, None)
                    self.new.discard(step.name)
            self.check_pools(wave.steps)
            for step in wave.steps:
                if step.action in ("start", "restart"):
                    assert step.name not in self.old, f"{step.name} is up already"
                    self.new.add(step.name)
            self.check_sets()
        assert self.held == set()
        assert self.new | set(self.old) == {process.name for process in self.after.processes}
        assert not self.stale & set(self.old), "something is left as it was"

    def check_sets(self) -> None:
        """No two processes share rooms, destinations or users by different lists, or hold what is for one."""
        for duty in DUTIES:
            # What no worker has, main has.
            then = {worker.name for worker in self.before.with_duty(duty)} or {"main"}
            now = {worker.name for worker in self.after.with_duty(duty)} or {"main"}
            if then == now:
                continue
            by_the_old = then & set(self.old)
            by_the_new = now & self.new
            if duty in sharded_duties() or DUTIES[duty].single:
                assert not (by_the_old and by_the_new), f"{duty}: {by_the_old} beside {by_the_new}"
            if DUTIES[duty].stream is not None:
                # Who no longer knows a writer waits for ever for its next position.
                left_off = by_the_old - now
                assert not (left_off and self.new), f"{duty}: {self.new} beside {left_off}, whom they do not know"

    def check_pools(self, steps: Iterable[Step]) -> None:
        """Of two members of a pool that both stay, one is up; who is left out by nginx is not needed."""
        down = {step.name for step in steps if step.action == "restart"}
        for duty in ("sync", "client_reader"):
            stay = {worker.name for worker in self.after.with_duty(duty)} & {
                worker.name for worker in self.before.with_duty(duty)
            }
            if len(stay) > 1:
                assert stay - down - self.held, f"all of {duty} are down at once"


def actions(found: Plan, *wanted: str) -> set[str]:
    """Returns the names of the processes to which one of these happens."""
    return {step.name.removeprefix("synapse1-") for step in found.steps if step.action in wanted}


def order(found: Plan, *names: str) -> list[str]:
    """Returns what happens to these processes, in order."""
    return [
        f"{step.action} {step.name.removeprefix('synapse1-')}"
        for step in found.steps
        if step.name.removeprefix("synapse1-") in names and step.action != "drain"
    ]


def everything(topology: Topology) -> set[str]:
    return {process.name.removeprefix("synapse1-") for process in topology.processes}


RUNNING = fleet()


def test_without_a_change_there_is_nothing_to_do() -> None:
    assert plan(RUNNING, fleet()).waves == ()


def test_a_new_reader_starts_and_nginx_learns_of_it_and_nobody_restarts() -> None:
    found = plan(RUNNING, fleet({"sync": {"count": 3}}))
    assert order(found, *everything(fleet({"sync": {"count": 3}}))) == ["start sync-3"]
    assert [wave.proxy for wave in found.waves] == [None, "apply"]
    assert found.steps[0].reason == "new"


def test_a_removed_reader_is_forgotten_by_nginx_drained_and_then_stopped() -> None:
    found = plan(RUNNING, fleet({"sync": {"count": 1}}))
    assert [wave.proxy for wave in found.waves] == ["apply", None]
    (step,) = found.steps
    assert (step.action, step.name, step.drain) == ("retire", "synapse1-sync-2", True)


def test_another_port_of_a_reader_restarts_that_pool_alone() -> None:
    before, after = (fleet({"sync": {"port_slot": slot}}, synapse_transport="tcp") for slot in (100, 101))
    assert actions(plan(before, after), "start", "restart", "stop") == {"sync-1", "sync-2"}


def test_a_setting_of_a_pool_restarts_that_pool_one_member_at_a_time_without_requests() -> None:
    found = plan(RUNNING, fleet({"reader": {"cache_factor": 2.0}}))
    assert [(wave.proxy, wave.held, [step.name for step in wave.steps]) for wave in found.waves] == [
        ("apply", ("synapse1-reader-1",), ["synapse1-reader-1"]),
        ("apply", ("synapse1-reader-2",), ["synapse1-reader-2"]),
        ("apply", (), []),
    ]
    assert all(step.drain and step.reason == "its own settings change" for step in found.steps)


def test_another_address_of_main_restarts_all_and_nobody_calls_the_old_one() -> None:
    before = fleet(synapse_transport="unix")
    after = fleet(synapse_transport="tcp")
    found = plan(before, after)
    assert actions(found, "start", "restart") == everything(after)
    assert {step.name for step in found.waves[0].steps} == {worker.name for worker in before.workers}
    assert {step.action for step in found.waves[0].steps} == {"stop"}


@pytest.mark.parametrize(("old", "new"), [(2, 3), (2, 1), (1, 2)])
def test_event_persisters_stop_as_a_set_and_everybody_learns_the_list(old: int, new: int) -> None:
    before, after = fleet({"events": {"count": old}}), fleet({"events": {"count": new}})
    found = plan(before, after)
    assert actions(found, "start", "restart") == everything(after)
    told = order(found, "main", *(f"events-{index}" for index in (1, 2, 3)))
    # Who leaves stops before anybody has the new list; who stays works until the others have it.
    leaving = [f"retire events-{index + 1}" for index in range(new, old)]
    staying = [f"stop events-{index + 1}" for index in range(min(old, new))]
    assert told == [*leaving, "restart main", *staying, *(f"start events-{index + 1}" for index in range(new))]
    assert {"events writers change, and Synapse shards rooms by this list"} == {
        step.reason for step in found.steps if step.name == "synapse1-reader-1" and step.action == "restart"
    }


def test_nobody_waits_for_requests_that_wait_for_a_persister_which_has_left() -> None:
    fewer, more = (plan(RUNNING, fleet({"events": {"count": count}})) for count in (1, 3))
    for found, drained in ((fewer, False), (more, True)):
        (step,) = (step for step in found.steps if (step.action, step.name) == ("restart", "synapse1-reader-2"))
        assert step.drain is drained
        assert next(step for step in found.steps if step.name == "synapse1-sync-2").drain


def test_persisters_move_from_main_and_back_to_it() -> None:
    without = fleet({"events": None})
    # Readers with the old list would send to a main process that no longer persists, so nginx leaves them out first.
    assert order(plan(without, RUNNING), "main", "events-1", "events-2") == [
        "stop main",
        "start main",
        "start events-1",
        "start events-2",
    ]
    assert order(plan(RUNNING, without), "main", "events-1", "events-2") == [
        "retire events-1",
        "retire events-2",
        "restart main",
    ]


def test_a_singleton_writer_moves_with_its_route_in_one_step() -> None:
    after = fleet({"typing": None, "writers": {"count": 1, "duties": ["typing"]}})
    found = plan(RUNNING, after)
    assert order(found, "typing-1", "main", "writers-1") == ["retire typing-1", "start writers-1", "restart main"]
    assert actions(found, "start", "restart") == everything(after)
    started = next(
        index for index, wave in enumerate(found.waves) if "synapse1-writers-1" in {s.name for s in wave.steps}
    )
    assert found.waves[started + 1].proxy == "apply"
    # The first to start deletes the old writer's position; of two that try it together, one would fail.
    first = next(wave for wave in found.waves if any(step.action in ("start", "restart") for step in wave.steps))
    assert [step.name for step in first.steps] == ["synapse1-writers-1"]


def test_a_stream_that_moves_with_a_shared_secret_waits_for_main() -> None:
    after = fleet({"typing": None, "writers": {"count": 1, "duties": ["typing"]}}, synapse_transport="tcp")
    found = plan(fleet(synapse_transport="unix"), after)
    told = order(found, *everything(RUNNING), *everything(after))
    first = next(index for index, entry in enumerate(told) if entry.startswith(("start", "restart")))
    assert told[first] == "restart main"


def test_main_restarts_before_a_worker_gets_what_it_gives_up() -> None:
    before = fleet({"writers": {"count": 1, "duties": ["presence"]}})
    after = fleet({"typing": None, "writers": {"count": 1, "duties": ["presence", "typing", "receipts"]}})
    assert order(plan(before, after), "typing-1", "main", "writers-1") == [
        "retire typing-1",
        "restart main",
        "restart writers-1",
    ]


def test_a_running_worker_that_gets_a_stream_restarts_before_its_route_comes() -> None:
    before = fleet({"writers": {"count": 1, "duties": ["presence"]}})
    after = fleet({"typing": None, "writers": {"count": 1, "duties": ["presence", "typing"]}})
    found = plan(before, after)
    assert order(found, "typing-1", "main", "writers-1") == ["retire typing-1", "restart writers-1", "restart main"]
    applied = next(index for index, wave in enumerate(found.waves) if wave.proxy == "apply")
    restarted = [{step.name for step in wave.steps} for wave in found.waves[:applied]]
    assert "synapse1-writers-1" in set().union(*restarted)


@pytest.mark.parametrize("duty", ["receipts", "device_lists", "thread_subscriptions"])
def test_a_writer_of_a_stream_for_many_concerns_everybody(duty: str) -> None:
    one, two = (fleet({duty: {"count": count}}) for count in (1, 2))
    assert actions(plan(one, two), "start", "restart") == everything(two)
    assert order(plan(two, one), f"{duty}-2", "main") == [f"retire {duty}-2", "restart main"]


@pytest.mark.parametrize("duty", ["federation_sender", "pusher"])
@pytest.mark.parametrize(("old", "new"), [(1, 3), (3, 1)])
def test_senders_and_pushers_stop_as_a_set_and_concern_main_alone(duty: str, old: int, new: int) -> None:
    before, after = fleet({duty: {"count": old}}), fleet({duty: {"count": new}})
    found = plan(before, after)
    told = order(found, *everything(before), *everything(after))
    stops = [entry for entry in told if entry.startswith(("stop", "retire"))]
    starts = [f"start {duty}-{index + 1}" for index in range(new)]
    assert told == [*stops, "restart main", *starts]
    assert len(stops) == old


def test_main_as_the_sender_stops_before_a_worker_sends() -> None:
    found = plan(fleet({"federation_sender": None}), RUNNING)
    assert order(found, *everything(RUNNING)) == ["restart main", "start federation_sender-1"]


@pytest.mark.parametrize("duty", ["background_tasks", "user_directory", "appservices"])
def test_a_duty_for_one_moves_by_way_of_main(duty: str) -> None:
    before = fleet({"background": {"duties": ["background_tasks", "user_directory", "appservices"]}})
    rest = [name for name in ("background_tasks", "user_directory", "appservices") if name != duty]
    after = fleet({"background": {"duties": rest}, "other": {"count": 1, "duties": [duty]}})
    found = plan(before, after)
    told = [entry for entry in order(found, *everything(after)) if "sync" not in entry and "reader" not in entry]
    assert told[0] == "stop background-1"
    assert set(told[1:]) == {"restart main", "start background-1", "start other-1"}
    assert actions(found, "start", "restart", "stop") == {"background-1", "main", "other-1"}


def test_a_writer_with_a_fallback_for_its_reads_is_left_out_of_those_before_it_restarts() -> None:
    reads = {"count": 1, "duties": ["receipts", "sync"]}
    before, after = (fleet({"mixed": {**reads, "cache_factor": factor}}) for factor in (1.0, 2.0))
    found, upstreams = plan(before, after), proxy_upstreams(after)
    assert [(wave.proxy, wave.held) for wave in found.waves] == [("apply", ("synapse1-mixed-1",)), ("apply", ())]
    assert [upstream["alone"] for upstream in upstreams if upstream["name"] == "synapse_receipts"] == [True]
    assert [upstream["alone"] for upstream in upstreams if upstream["name"] == "synapse_sync"] == [False]


def test_whom_nobody_replaces_is_back_first() -> None:
    found = plan(RUNNING, fleet(synapse_extra_config={"max_avatar_size": "5M"}))
    wave = next(wave for wave in found.waves if "synapse1-typing-1" in {step.name for step in wave.steps})
    names = [step.name for step in wave.steps]
    assert names.index("synapse1-typing-1") < names.index("synapse1-reader-1")


def test_a_media_worker_comes_and_goes_alone() -> None:
    more = fleet({"media": {"count": 3}})
    assert order(plan(RUNNING, more), *everything(more)) == ["start media-3"]
    assert order(plan(more, RUNNING), *everything(more)) == ["retire media-3"]


def test_the_first_media_worker_concerns_main() -> None:
    without = fleet({"media": None}, media_workers={})
    assert {"main", "media-1"} <= actions(plan(without, RUNNING), "start", "restart")


def test_a_renamed_worker_is_a_removal_and_an_addition() -> None:
    after = fleet({"sync": None, "syncs": {"count": 2, "duties": ["sync"], "port_slot": 150}})
    found = plan(RUNNING, after)
    assert order(found, *everything(RUNNING), *everything(after)) == [
        "start syncs-1",
        "start syncs-2",
        "retire sync-1",
        "retire sync-2",
    ]


@pytest.mark.parametrize("secret", ["worker_replication_secret", "macaroon_secret_key", "redis_password"])
def test_a_shared_secret_stops_everything_before_anything_starts(secret: str) -> None:
    found = plan(RUNNING, RUNNING, {f"{layout.SECRETS_DIR}/{secret}": "new"})
    stops = [index for index, step in enumerate(found.steps) if step.action == "stop"]
    starts = [index for index, step in enumerate(found.steps) if step.action in ("start", "restart")]
    assert len(stops) == len(RUNNING.workers)
    assert max(stops) < min(starts)


def test_a_general_option_restarts_all_main_first_and_half_of_each_pool_goes_on() -> None:
    found = plan(RUNNING, fleet(synapse_extra_config={"rc_message": {"per_second": 5}}))
    assert actions(found, "restart") == everything(RUNNING)
    main = next(index for index, wave in enumerate(found.waves) if "main" in {step.name for step in wave.steps})
    second = next(
        index for index, wave in enumerate(found.waves) if "synapse1-sync-2" in {step.name for step in wave.steps}
    )
    assert main < second
    assert {step.reason for step in found.steps if step.action == "restart"} == {
        "rc_message changes in homeserver.yaml"
    }


def test_caches_are_read_anew_without_a_restart() -> None:
    after = fleet(synapse_extra_config={"caches": {"global_factor": 2}})
    found = plan(fleet(synapse_extra_config={"caches": {"global_factor": 1}}), after)
    assert actions(found, "reload") == everything(after)
    assert {step.action for step in found.steps} == {"reload"}


def test_logging_is_read_anew_without_a_restart() -> None:
    found = plan(RUNNING, RUNNING, {layout.LOG_CONFIG: "new"})
    assert {step.action for step in found.steps} == {"reload"}


def test_a_release_whose_reload_hangs_restarts_instead() -> None:
    before, after = (
        fleet(synapse_version="1.138.2", synapse_extra_config={"caches": {"global_factor": factor}})
        for factor in (1, 2)
    )
    assert {step.action for step in plan(before, after).steps} <= {"restart", "drain"}


def test_an_upgrade_begins_with_main_alone() -> None:
    before, after = fleet(synapse_version="1.152.1"), fleet(synapse_version="1.163.2")
    found = plan(before, after)
    assert actions(found, "restart") == everything(after)
    first = next(wave for wave in found.waves if any(step.action == "restart" for step in wave.steps))
    assert [step.name for step in first.steps] == ["main"]


def test_a_monolith_gets_workers_and_goes_back() -> None:
    monolith = fleet(generic_workers={}, media_workers={}, background_workers={})
    there, back = plan(monolith, RUNNING), plan(RUNNING, monolith)
    assert order(there, "main", "sync-1", "events-1", "pusher-1") == [
        "restart main",
        "start events-1",
        "start sync-1",
        "start pusher-1",
    ]
    # The fewer start at once, the sooner they serve: beside the persisters those whose requests nobody else answers.
    urgent = next(wave for wave in there.waves if any(step.name == "synapse1-typing-1" for step in wave.steps))
    assert actions(Plan(waves=(urgent,)), "start") == {"events-1", "events-2", "typing-1", "media-1"}
    told = order(back, "main", "sync-1", "events-1", "typing-1", "pusher-1", "background-1", "federation_sender-1")
    assert told[-2:] == ["restart main", "retire sync-1"]
    assert set(told[:-2]) == {
        f"retire {name}-1" for name in ("events", "typing", "pusher", "background", "federation_sender")
    }


def test_a_first_run_starts_main_alone_for_the_schema() -> None:
    found = make_plan(RUNNING, [], RUNNING.addresses, True)
    assert [step.name for step in found.waves[0].steps] == ["main"]
    assert actions(found, "start") == everything(RUNNING)


def test_main_on_another_host_stops_on_the_old_one_first() -> None:
    before = several_hosts(
        generic_workers={}, media_workers={}, background_workers={"pusher": {"count": 1, "port_slot": 150}}
    )
    groups = {"postgres": ["db1"], "redis": ["cache1"], "synapse_main": ["background1"], "nginx": ["proxy1"]}
    workers = {"generic_workers": ["main1", "generic1", "generic2"], "media_workers": ["media1"]}
    after = several_hosts(
        groups={**groups, **workers, "background_workers": ["background1"]},
        generic_workers={},
        media_workers={},
        background_workers={},
    )
    observed = observe(before, after)
    found = make_plan(after, observed, after.addresses, True)
    told = [(step.action, step.host) for step in found.steps if step.name == "main"]
    assert told == [("retire", "main1"), ("start", "background1")]


def test_a_process_that_is_down_starts_and_a_failed_one_too() -> None:
    observed = [
        replace(entry, active="failed") if entry.name == "synapse1-sync-1" else entry
        for entry in observe(RUNNING, RUNNING)
    ]
    found = make_plan(RUNNING, observed, RUNNING.addresses, False)
    assert [(step.action, step.name, step.reason) for step in found.steps] == [
        ("start", "synapse1-sync-1", "it is failed")
    ]


def test_a_process_of_which_nothing_is_known_restarts() -> None:
    observed = [
        replace(entry, known=False) if entry.name == "synapse1-sync-1" else entry for entry in observe(RUNNING, RUNNING)
    ]
    found = make_plan(RUNNING, observed, RUNNING.addresses, False)
    assert order(found, *everything(RUNNING)) == ["restart sync-1"]


def test_a_unit_file_that_systemd_has_not_read_restarts_its_process() -> None:
    observed = [
        replace(entry, unread=True) if entry.name == "synapse1-sync-1" else entry for entry in observe(RUNNING, RUNNING)
    ]
    assert order(make_plan(RUNNING, observed, RUNNING.addresses, False), "sync-1") == ["restart sync-1"]


def test_what_would_not_start_at_boot_is_enabled() -> None:
    observed = [
        replace(entry, enabled=False) if entry.name == "synapse1-sync-1" else entry
        for entry in observe(RUNNING, RUNNING)
    ]
    assert order(make_plan(RUNNING, observed, RUNNING.addresses, False), "sync-1") == ["enable sync-1"]


def test_a_run_that_was_cut_off_after_the_persisters_stopped_goes_on_in_the_same_order() -> None:
    after = fleet({"events": {"count": 3}})
    cut_off = [
        replace(entry, active="inactive", known=False) if "events" in entry.name else entry
        for entry in observe(RUNNING, after)
    ]
    found = make_plan(after, cut_off, after.addresses, True)
    told = order(found, "main", "events-1", "events-2", "events-3")
    assert told == ["restart main", "start events-1", "start events-2", "start events-3"]


def test_hosts_that_are_not_asked_are_left_alone_and_nginx_too() -> None:
    after = fleet({"sync": {"count": 3}})
    assert make_plan(after, observe(RUNNING, after), [], None).waves == ()
    changed = fleet({"sync": {"cache_factor": 2.0}})
    found = make_plan(changed, observe(RUNNING, changed), changed.addresses, None)
    assert {wave.proxy for wave in found.waves} == {None}
    assert not any(step.drain for step in found.steps)


def test_pools_with_the_same_name_on_two_hosts_take_turns() -> None:
    before, after = (
        several_hosts(generic_workers={"sync": {"count": 1, **more}}, media_workers={}, background_workers={})
        for more in ({}, {"cache_factor": 2.0})
    )
    found = make_plan(after, observe(before, after), after.addresses, False)
    assert [[step.host for step in wave.steps] for wave in found.waves if wave.steps] == [["generic1"], ["generic2"]]


def test_users_are_told_what_they_notice() -> None:
    assert "Sending waits" in " ".join(plan(RUNNING, fleet({"events": {"count": 1}})).effects)
    assert "typing" in " ".join(plan(RUNNING, fleet({"typing": {"cache_factor": 2.0}})).effects)
    assert plan(RUNNING, fleet({"sync": {"count": 3}})).effects == ()
    assert plan(fleet(synapse_transport="unix"), fleet(synapse_transport="tcp")).effects == (
        "Everything is unavailable for some seconds.",
    )


NEEDS = [
    ServiceNeed(
        service="postgres", title="PostgreSQL", host="synapse1", unit="postgresql.service", reason="new", effect="E."
    ),
    ServiceNeed(service="redis", title="Redis", host="synapse1", unit="redis.service", reason="new"),
]


def test_services_restart_before_processes_do() -> None:
    after = fleet({"reader": {"cache_factor": 2.0}})
    found = make_plan(after, observe(RUNNING, after), after.addresses, False, NEEDS)
    assert [step.name for step in found.waves[0].steps] == ["postgres", "redis"]
    assert {step.name for wave in found.waves[1:] for step in wave.steps} == {"synapse1-reader-1", "synapse1-reader-2"}
    assert found.effects[0] == "E."


def test_services_restart_while_all_processes_are_down_if_all_have_to_stop() -> None:
    after = fleet(synapse_transport="tcp")
    found = make_plan(after, observe(fleet(synapse_transport="unix"), after), after.addresses, True, NEEDS)
    assert [{step.action for step in wave.steps} for wave in found.waves[:3]] == [{"stop"}, {"restart"}, {"restart"}]
    assert [[step.name for step in wave.steps] for wave in found.waves[1:3]] == [["postgres", "redis"], ["main"]]


def test_all_processes_stop_while_a_service_moves_to_where_none_of_them_would_find_it() -> None:
    after = fleet(postgres_port=5433)
    moving = [replace(NEEDS[0], moves="port"), NEEDS[1]]
    found = make_plan(after, observe(RUNNING, after), after.addresses, False, moving)
    assert [{step.action for step in wave.steps} for wave in found.waves[:3]] == [{"stop"}, {"restart"}, {"restart"}]
    assert [[step.name for step in wave.steps] for wave in found.waves[1:3]] == [["postgres", "redis"], ["main"]]
    assert "Everything is unavailable for some seconds." in found.effects
    # With their own settings unchanged, processes go on to reach it.
    calm = make_plan(RUNNING, observe(RUNNING, RUNNING), RUNNING.addresses, False, moving)
    assert {step.name for step in calm.steps} == {"postgres", "redis"}


def test_services_are_steps_of_a_run_that_leaves_processes_alone() -> None:
    found = make_plan(RUNNING, [], [], None, NEEDS)
    assert [[step.name for step in wave.steps] for wave in found.waves] == [["postgres", "redis"]]
    assert {step.unit for step in found.steps} == {"postgresql.service", "redis.service"}


def test_the_order_is_told_with_its_reasons() -> None:
    found = plan(RUNNING, fleet({"sync": {"count": 3}}))
    assert found.order[0] == "start synapse1-sync-3 before nginx has its new configuration: nginx sends them requests"
    assert plan(RUNNING, fleet()).order == ()


def test_edges_that_form_a_cycle_are_an_error() -> None:
    graph = Graph()
    one, two = (graph.add(Step(action="start", host="a", name=name, unit=name, reason="new")) for name in ("x", "y"))
    graph.before([one], [two], "first")
    assert graph.levels()[two] == graph.levels()[one] + 1
    graph.before([two], [one], "second")
    with pytest.raises(ValueError, match="cycle"):
        graph.levels()
