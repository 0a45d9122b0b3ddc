# SPDX-License-Identifier: GPL-3.0-or-later
"""What changes of the inventory cost the users: nothing, or a moment of what has to stop."""

from __future__ import annotations

from benchmarks.load.fleet import LET_IN
from tools.runs import Fleet

from .changes import READERS, WORKERS, change, pools

# What the two pools of writers, the persister and the main process do for the load, each of which is there once.
SINGLETONS = {"send", "typing", "receipt", "account_data", "logout"}


def running(fleet: Fleet) -> set[str]:
    """Returns the units of workers that run."""
    told = fleet.shell("systemctl list-units --plain --no-legend --state=active 'matrix-synapse-worker@*'")
    return {line.split()[0].partition("@")[2].removesuffix(".service") for line in told.splitlines()}


def test_adding_a_sync_and_a_media_worker_costs_nothing(fleet: Fleet) -> None:
    more = {"generic_workers": pools(READERS, sync={"count": 3}), "media_workers": {"media": {"count": 3}}}
    change(fleet, **more).expect_none()
    assert {"synapse1-sync-3", "synapse1-media-3"} <= running(fleet)


def test_removing_them_costs_nothing(fleet: Fleet) -> None:
    change(fleet, generic_workers=READERS, media_workers=WORKERS["media_workers"]).expect_none()
    assert not {"synapse1-sync-3", "synapse1-media-3"} & running(fleet)


def test_a_changed_setting_of_two_readers_costs_nothing(fleet: Fleet) -> None:
    change(fleet, generic_workers=pools(READERS, reader={"cache_factor": 0.7})).expect_none()


def test_moving_typing_to_another_pool_costs_a_moment_of_typing(fleet: Fleet) -> None:
    moved = pools(
        READERS,
        writer={"duties": [*READERS["writer"]["duties"], "typing"]},
        writer2={"duties": ["device_lists", "thread_subscriptions"]},
    )
    # All restart, for they know the writers by a list; the pools write other streams too.
    change(fleet, generic_workers=moved).expect_only(SINGLETONS)


def test_more_persisters_senders_and_pushers_cost_a_moment_of_sending(fleet: Fleet) -> None:
    background = pools(WORKERS["background_workers"], pusher={"count": 2}, federation_sender={"count": 2})
    cost = change(fleet, generic_workers=pools(READERS, events={"count": 2}), background_workers=background)
    cost.expect_only(SINGLETONS)
    assert {"synapse1-events-2", "synapse1-pusher-2", "synapse1-federation_sender-2"} <= running(fleet)


def test_fewer_of_them_again_cost_the_same(fleet: Fleet) -> None:
    cost = change(fleet, generic_workers=READERS, background_workers=WORKERS["background_workers"])
    cost.expect_only(SINGLETONS)
    assert not {"synapse1-events-2", "synapse1-pusher-2", "synapse1-federation_sender-2"} & running(fleet)


def test_a_general_option_restarts_everything_and_loses_nothing(fleet: Fleet) -> None:
    change(fleet, synapse_extra_config={**LET_IN, "max_avatar_size": "5M"}).expect_only(SINGLETONS)


def test_going_to_a_monolith_and_back_keeps_the_data(fleet: Fleet) -> None:
    monolith = change(fleet, generic_workers={}, media_workers={}, background_workers={})
    monolith.expect_only({outcome.kind for outcome in monolith.report.outcomes})
    assert running(fleet) == set()
    back = change(fleet, generic_workers=READERS, **WORKERS)
    back.expect_only({outcome.kind for outcome in back.report.outcomes})
    assert "synapse1-sync-2" in running(fleet)
