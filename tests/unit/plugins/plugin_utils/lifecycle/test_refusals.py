# SPDX-License-Identifier: GPL-3.0-or-later
"""What a change must not do unasked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from ansible_collections.baremetal.synapse.plugins.plugin_utils.lifecycle import replication
from ansible_collections.baremetal.synapse.plugins.plugin_utils.lifecycle.refusals import check_changes, fleet_record
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.errors import TopologyError
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.topology import Topology

from tests.support.observed import running
from tests.unit.fleets import SEVERAL_HOSTS, one_host, several_hosts

EVENTS = {"events": {"count": 1}}
SYNC = {"sync": {"count": 1}}


def two_hosts(pools: Mapping[str, object]) -> Topology:
    return several_hosts(generic_workers=pools, media_workers={}, background_workers={})


def one_host_of_two(pools: Mapping[str, object]) -> Topology:
    groups = {**SEVERAL_HOSTS, "generic_workers": ["generic1"]}
    return several_hosts(groups=groups, generic_workers=pools, media_workers={}, background_workers={})


def refusal(after: Topology, before: Topology, *confirmed: str) -> str:
    """Returns why the change is refused, or nothing."""
    try:
        check_changes(
            after,
            [entry for entry in running(before) if entry.host in after.addresses],
            fleet_record(before),
            confirmed,
        )
    except TopologyError as error:
        return str(error)
    return ""


def test_a_host_that_holds_a_stream_must_not_just_vanish() -> None:
    told = refusal(one_host_of_two(EVENTS), two_hosts(EVENTS))
    assert told.startswith(
        "inventory is 'generic2': the host is no longer in it, but generic2-events-1 was not stopped"
    )
    assert "plan_confirmed: [generic2-events-1]" in told


def test_a_host_that_is_gone_for_good_is_confirmed_by_the_name_of_the_process() -> None:
    assert refusal(one_host_of_two(EVENTS), two_hosts(EVENTS), "generic2-events-1") == ""
    assert refusal(one_host_of_two(EVENTS), two_hosts(EVENTS), "generic1-events-1") != ""


def test_a_host_with_readers_alone_may_leave() -> None:
    assert refusal(one_host_of_two(SYNC), two_hosts(SYNC)) == ""


def test_a_host_whose_workers_were_stopped_before_may_leave() -> None:
    emptied = several_hosts(
        {"generic2": {"generic_workers": {}}}, generic_workers=EVENTS, media_workers={}, background_workers={}
    )
    assert refusal(one_host_of_two(EVENTS), emptied) == ""


def test_the_host_of_main_must_not_just_vanish() -> None:
    groups = {**SEVERAL_HOSTS, "synapse_main": ["generic1"]}
    after = several_hosts(groups=groups, generic_workers={}, media_workers={}, background_workers={})
    assert "main was not stopped there, and is the main process" in refusal(after, two_hosts({}))


def test_main_does_not_leave_its_secrets_behind() -> None:
    groups = {**SEVERAL_HOSTS, "synapse_main": ["generic1"]}
    after = several_hosts(groups=groups, generic_workers=SYNC, media_workers={}, background_workers={})
    before = two_hosts(SYNC)
    seen = running(before)
    with pytest.raises(TopologyError) as told:
        check_changes(after, seen, None, ())
    assert str(told.value).startswith("groups.synapse_main is 'generic1': the main process runs on main1, and the")
    assert "plan_confirmed: [main]" in str(told.value)
    check_changes(after, seen, None, ("main",))
    check_changes(before, seen, None, ())


def test_a_first_run_has_nothing_to_lose() -> None:
    check_changes(two_hosts(EVENTS), [], None, ())


def test_a_running_writer_is_not_renamed_by_a_label() -> None:
    before, after = one_host(generic_workers=EVENTS), one_host(generic_workers=EVENTS, synapse_host_label="a")
    told = refusal(after, before)
    assert (
        "generic_workers.events on host synapse1 is 'a-events-1': it would be the new name of synapse1-events-1" in told
    )
    assert refusal(after, before, "synapse1-events-1") == ""


def test_a_running_writer_is_not_renamed_by_its_pool() -> None:
    before = one_host(generic_workers=EVENTS)
    after = one_host(generic_workers={"persisters": {"count": 1, "duties": ["events"]}})
    assert "synapse1-persisters-1" in refusal(after, before)


def test_a_reader_may_be_renamed() -> None:
    assert refusal(one_host(generic_workers=SYNC, synapse_host_label="a"), one_host(generic_workers=SYNC)) == ""


def test_a_stream_may_move_to_a_pool_with_other_duties() -> None:
    before = one_host(generic_workers={"typing": {"count": 1}, "sync": {"count": 1}})
    after = one_host(generic_workers={"writers": {"count": 1, "duties": ["typing", "presence"]}, "sync": {"count": 1}})
    assert refusal(after, before) == ""


@pytest.mark.parametrize("active", ["inactive", "failed"])
def test_a_writer_that_does_not_run_may_be_renamed(active: str) -> None:
    before, after = one_host(generic_workers=EVENTS), one_host(generic_workers=EVENTS, synapse_host_label="a")
    seen = [replace(entry, active=active) for entry in running(before)]
    check_changes(after, seen, fleet_record(before), ())


NEWER, OLDER = one_host(generic_workers=SYNC), one_host(generic_workers=SYNC, synapse_version="1.152.1")


def test_an_older_release_is_named_as_a_downgrade_with_what_it_breaks_and_confirmed_by_its_number() -> None:
    told = refusal(OLDER, NEWER)
    assert told.startswith("synapse_version is '1.152.1': Synapse 1.163.2 is deployed, so this is a downgrade: clients")
    assert "get 400 for their sync tokens until they log in again" in told
    assert "plan_confirmed: [1.152.1]" in told
    assert refusal(OLDER, NEWER, "1.152.1") == ""
    assert refusal(OLDER, NEWER, "1.163.2") != ""
    assert refusal(NEWER, OLDER) == ""


def test_a_downgrade_of_releases_with_the_same_tokens_says_that_they_stay() -> None:
    told = refusal(one_host(generic_workers=SYNC, synapse_version="1.162.0"), NEWER)
    assert "this is a downgrade: clients keep their sync tokens" in told


def test_a_downgrade_is_seen_by_the_record_if_nothing_runs() -> None:
    with pytest.raises(TopologyError, match="downgrade"):
        check_changes(OLDER, [], fleet_record(NEWER), ())
    before = {name: value for name, value in fleet_record(NEWER).items() if name != "release"}
    check_changes(OLDER, [], before, ())


def test_a_release_that_would_not_start_on_the_database_cannot_be_confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    known = replication.known_releases()
    newest = replace(known[-1], schema=96, compat=95)
    monkeypatch.setattr(replication, "known_releases", lambda: (*known[:-1], newest))
    replication.facts_of.cache_clear()
    try:
        told = refusal(OLDER, NEWER, "1.152.1")
    finally:
        monkeypatch.undo()
        replication.facts_of.cache_clear()
    assert "only releases that know schema 95 start on it; 1.152.1 knows 94" in told
    assert "restore a backup" in told
