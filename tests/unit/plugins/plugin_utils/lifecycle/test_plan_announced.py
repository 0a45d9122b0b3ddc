# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes whose interruption was longer than needed, or not announced: one test for each kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from ansible_collections.baremetal.synapse.plugins.plugin_utils.lifecycle.plan import make_plan
from ansible_collections.baremetal.synapse.plugins.plugin_utils.lifecycle.steps import Plan
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.topology import Topology

from tests.unit.fleets import one_host
from tests.unit.simulated_fleet import SimulatedFleet, named_by

READER: dict[str, Any] = {"count": 2, "duties": ["client_reader", "federation_reader", "room"]}
OPTION = {"synapse_extra_config": {"max_avatar_size": "5M"}}
NOTHING = "Users notice nothing: other processes answer while one restarts."


def fleet(generic: Mapping[str, Any], media: Mapping[str, Any] | None = None, **options: Any) -> Topology:
    return one_host(generic_workers=dict(generic), media_workers=dict(media or {}), **options)


def carried_out(before: Topology, after: Topology) -> Plan:
    """Returns the plan, after a simulated fleet has found it safe and its effects exact."""
    simulated = SimulatedFleet(before, after)
    found = make_plan(after, simulated.observed(), after.addresses, simulated.proxies)
    simulated.carry_out(found)
    simulated.finish()
    assert named_by(found.effects) == simulated.noticed, simulated.log
    return found


def waves_of(found: Plan, *names: str) -> list[int]:
    """Returns in which waves processes start or restart."""
    return [
        next(
            number
            for number, wave in enumerate(found.waves)
            for step in wave.steps
            if step.name == f"synapse1-{name}" and step.action in ("start", "restart")
        )
        for name in names
    ]


def drained(found: Plan, name: str) -> bool:
    return any(step.drain for step in found.steps if step.name == f"synapse1-{name}")


@pytest.mark.parametrize("pools", [("typing", "writer"), ("writer", "other")])
def test_two_pools_of_one_that_share_a_duty_take_turns(pools: tuple[str, str]) -> None:
    generic = {"reader": READER, pools[0]: {"duties": ["typing", "receipts"]}, pools[1]: {"duties": ["receipts"]}}
    found = carried_out(fleet(generic), fleet(generic, **OPTION))
    first, second = waves_of(found, f"{pools[0]}-1", f"{pools[1]}-1")
    assert first != second
    assert "receipts" not in named_by(found.effects)
    assert "typing" in named_by(found.effects)


def test_two_media_pools_of_one_take_turns() -> None:
    media = {"media": {"duties": ["media"]}, "media2": {"duties": ["media", "quarantined_media_changes"]}}
    faster = {pool: {**settings, "cache_factor": 2.0} for pool, settings in media.items()}
    for after in (fleet({}, media, **OPTION), fleet({}, faster)):
        found = carried_out(fleet({}, media), after)
        first, second = waves_of(found, "media-1", "media2-1")
        assert first != second
        assert "media" not in named_by(found.effects)
        assert drained(found, "media-1")
        assert drained(found, "media2-1")


def test_a_pool_of_media_workers_takes_over_from_two_without_an_interruption_of_uploads() -> None:
    before = fleet({}, {"media": {}, "media2": {"duties": ["media"]}})
    after = fleet({}, {"media": {"count": 2}, "media_background": {}})
    found = carried_out(before, after)
    assert "media" not in named_by(found.effects)
    assert {"quarantined_media_changes", "media_background"} <= named_by(found.effects)


def test_persisters_that_main_gives_way_to_are_announced_and_no_old_reader_sends_to_main() -> None:
    for readers in ({"reader": READER}, {"reader": {**READER, "count": 1}}):
        found = carried_out(fleet(readers), fleet({**readers, "events": {"count": 2}}))
        assert "Sending waits for some seconds; acknowledged messages are kept." in found.effects


def test_a_stream_that_moves_to_a_process_of_its_own_is_named() -> None:
    before = fleet({"reader": READER, "writer": {"duties": ["receipts", "typing"]}})
    after = fleet({"reader": READER, "writer": {"duties": ["receipts"]}, "typing": {}})
    found = carried_out(before, after)
    assert {"receipts", "typing"} <= named_by(found.effects)


def test_a_stream_that_many_running_readers_get_comes_to_one_after_the_other() -> None:
    before = fleet({"reader": READER})
    after = fleet({"reader": {**READER, "duties": [*READER["duties"], "device_lists"]}})
    found = carried_out(before, after)
    first, second = waves_of(found, "reader-1", "reader-2")
    assert first < second
    assert drained(found, "reader-1")
    assert drained(found, "reader-2")
    assert "client_reader" not in named_by(found.effects)


def test_that_users_notice_nothing_is_said_alone() -> None:
    readers = {"reader": READER, "typing": {}}
    faster = {"reader": {**READER, "cache_factor": 2.0}, "typing": {}}
    assert carried_out(fleet(readers), fleet(faster)).effects == (NOTHING,)
    all_faster = {pool: {**settings, "cache_factor": 2.0} for pool, settings in faster.items()}
    assert carried_out(fleet(readers), fleet(all_faster)).effects == (
        "Requests for typing fail for some seconds; clients retry.",
    )


def test_a_member_that_gives_up_a_duty_for_one_restarts_in_its_turn() -> None:
    before = fleet({"a": {"duties": ["client_reader", "background_tasks"]}, "b": {"duties": ["client_reader"]}})
    after = fleet({"a": {"duties": ["client_reader"]}, "b": {"duties": ["client_reader", "background_tasks"]}})
    found = carried_out(before, after)
    assert waves_of(found, "a-1") < waves_of(found, "b-1")
    assert not [step for step in found.steps if step.action == "stop"]
    assert "client_reader" not in named_by(found.effects)


def test_main_that_persists_restarts_and_sending_waits() -> None:
    readers = {"reader": READER}
    found = carried_out(fleet(readers), fleet(readers, **OPTION))
    assert named_by(found.effects) == {"main", "events"}
    assert named_by(carried_out(fleet({}), fleet({}, **OPTION)).effects) == {"main"}


def test_an_upgrade_beside_new_persisters_lets_no_old_reader_send_to_main() -> None:
    before = fleet({"reader": READER}, synapse_version="1.152.1")
    after = fleet({"reader": READER, "events": {}}, synapse_version="1.163.2")
    found = carried_out(before, after)
    assert [step.name for step in next(wave for wave in found.waves if wave.steps).steps] == ["main"]


def test_media_that_main_takes_over_are_served_by_the_workers_until_it_can() -> None:
    writers = {"reader": READER, "a": {"duties": ["typing"]}, "b": {"duties": ["receipts"]}}
    moved = {"reader": READER, "a": {"duties": ["receipts"]}, "b": {"duties": ["typing"]}}
    found = carried_out(fleet(writers, {"media": {"count": 2}}), fleet(moved))
    assert "media" not in named_by(found.effects)


@pytest.mark.parametrize("pool", ["events", "receipts"])
def test_all_stop_if_a_writer_is_to_be_called_at_another_address(pool: str) -> None:
    before, after = (
        fleet({"reader": READER, pool: {"port_slot": slot}}, synapse_transport="tcp") for slot in (100, 101)
    )
    assert carried_out(before, after).effects == ("Everything is unavailable for some seconds.",)


def test_a_process_that_becomes_a_writer_gets_an_address_and_not_all_stop() -> None:
    before = fleet({"reader": {**READER, "count": 1}}, synapse_transport="tcp")
    after = fleet({"reader": {**READER, "count": 1, "duties": [*READER["duties"], "typing"]}}, synapse_transport="tcp")
    assert "everything" not in named_by(carried_out(before, after).effects)


UNANSWERED = (
    "Sending may be answered with an error for some seconds although the message is kept: workers of the old release do"
    " not understand the new one."
)
STALE = "Syncs show nothing new for some seconds: workers of the old release do not understand the new one."


def upgrade(generic: Mapping[str, Any], old: str = "1.152.1", new: str = "1.163.2") -> Plan:
    return carried_out(fleet(generic, synapse_version=old), fleet(generic, synapse_version=new))


def test_persisters_of_a_release_with_more_streams_restart_after_all_who_would_not_understand_them() -> None:
    found = upgrade({"reader": READER, "sync": {"count": 2}, "events": {"count": 2}})
    others = waves_of(found, "reader-1", "reader-2", "sync-1", "sync-2")
    assert max(others) < min(waves_of(found, "events-1", "events-2"))
    assert UNANSWERED not in found.effects
    assert STALE not in found.effects


def test_workers_restart_together_after_a_main_process_whose_streams_they_do_not_know() -> None:
    found = upgrade({"reader": READER, "sync": {"count": 2}})
    assert len(set(waves_of(found, "reader-1", "reader-2", "sync-1", "sync-2"))) == 1
    assert not any(step.drain for step in found.steps)
    assert UNANSWERED in found.effects
    assert STALE in found.effects


def test_an_upgrade_between_releases_with_the_same_streams_is_a_restart_like_others() -> None:
    found = upgrade({"reader": READER, "sync": {"count": 2}, "events": {}}, "1.159.0", "1.163.2")
    first, second = waves_of(found, "sync-1", "sync-2")
    assert first != second
    assert UNANSWERED not in found.effects
    assert STALE not in found.effects


def test_a_downgrade_to_a_release_with_fewer_streams_stops_everything_first_and_is_named() -> None:
    generic = {"reader": READER, "events": {}}
    found = carried_out(fleet(generic), fleet(generic, synapse_version="1.152.1"))
    assert found.effects == (
        "Synapse 1.163.2 is replaced by the older 1.152.1; clients that have synced with 1.163.2 get 400 for their sync"
        " tokens until they log in again.",
        "Everything is unavailable for some seconds.",
    )


def test_a_downgrade_between_releases_with_the_same_streams_and_tokens_is_named_and_breaks_no_token() -> None:
    generic = {"reader": READER, "events": {}}
    found = carried_out(fleet(generic), fleet(generic, synapse_version="1.159.0"))
    assert found.effects[0] == "Synapse 1.163.2 is replaced by the older 1.159.0."
    assert "Everything is unavailable for some seconds." not in found.effects
