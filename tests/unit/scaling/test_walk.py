# SPDX-License-Identifier: GPL-3.0-or-later
"""The walk of tests/scaling: its inventories are legal, and it knows which requests a plan has announced."""

from __future__ import annotations

import random

import pytest
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.topology import Topology, build_topology

from benchmarks.load.user import ACTIONS
from tests.scaling.announced import REQUESTS, duty_of_kind, may_fail, shown_plan
from tests.scaling.wishes import Wishes, changed, first_wishes, grown
from tests.unit.fleets import inventory, one_host

ONE, TWO = ("synapse1",), ("synapse1", "app2")


def topology(wishes: Wishes) -> Topology:
    first, many = [wishes.hosts[0]], list(wishes.hosts)
    groups = dict.fromkeys(("postgres", "redis", "synapse_main", "media_workers", "nginx"), first)
    groups |= dict.fromkeys(("generic_workers", "background_workers"), many)
    addresses = {} if len(many) == 1 else {host: f"10.0.0.{number}" for number, host in enumerate(many, start=1)}
    per_host = {
        host: {**wishes.of_host(host), **({"synapse_address": addresses[host]} if addresses else {})} for host in many
    }
    return build_topology(inventory(groups, {"synapse_server_name": "example.org"}, per_host))


@pytest.mark.parametrize("hosts", [ONE, TWO])
def test_every_inventory_of_a_walk_is_legal_and_differs_from_the_one_before(hosts: tuple[str, ...]) -> None:
    choice = random.Random(7)  # noqa: S311
    wishes, _ = grown(first_wishes(hosts))
    told = set()
    for _ in range(150):
        after, what = changed(wishes, choice)
        topology(after)
        told.add(what.partition(" ")[0])
        wishes = after
    assert {"cache_factor", "option", "variable", "typing", "from"} <= told


def test_a_walk_is_repeated_by_its_seed() -> None:
    def walked() -> list[str]:
        choice, wishes, told = random.Random(3), first_wishes(TWO), []  # noqa: S311
        for _ in range(20):
            wishes, what = changed(wishes, choice)
            told.append(what)
        return told

    assert walked() == walked()


def test_the_first_change_adds_workers() -> None:
    before = first_wishes(TWO)
    assert len(topology(grown(before)[0]).workers) > len(topology(before).workers)


def test_every_kind_of_the_load_has_a_request() -> None:
    # A login logs out again, account data are also read, and every user syncs.
    kinds = {action.__name__ for action, _ in ACTIONS} | {"sync", "logout", "account_data_read"}
    assert kinds == set(REQUESTS)
    fleet = topology(first_wishes(ONE))
    assert {kind: duty_of_kind(fleet, kind) for kind in ("sync", "send", "typing", "upload", "logout")} == {
        "sync": "sync",
        "send": "room",
        "typing": "typing",
        "upload": "media",
        "logout": None,
    }


@pytest.mark.parametrize(
    ("line", "kinds"),
    [
        ("1. start synapse1-sync-3 on synapse1: new", set()),
        ("Users notice nothing: other processes answer while one restarts.", set()),
        ("Other servers get messages some seconds later.", set()),
        ("Sending waits for some seconds; acknowledged messages are kept.", {"send"}),
        ("Requests for typing, media fail for some seconds; clients retry.", {"typing", "upload", "download"}),
        ("What only the main process serves is unavailable for some seconds.", {"login", "logout"}),
        ("Everything is unavailable for some seconds.", set(REQUESTS)),
        (
            "While PostgreSQL restarts, all that needs the database fails or waits for some seconds.",
            set(REQUESTS),
        ),
    ],
)
def test_what_may_fail_follows_from_the_announced_effects(line: str, kinds: set[str]) -> None:
    fleet = topology(first_wishes(ONE))
    assert may_fail([line], fleet, fleet) == kinds


def test_all_that_main_serves_before_or_after_may_fail_with_it() -> None:
    line = "What only the main process serves is unavailable for some seconds."
    fleet, monolith = topology(first_wishes(ONE)), one_host()
    assert may_fail([line], fleet, monolith) == set(REQUESTS)


def test_the_plan_is_read_from_the_output_of_a_run() -> None:
    output = """
TASK [baremetal.synapse.plan : Show the plan] **********
ok: [synapse1] => {
    "msg": [
        "1. start a: new",
        "Sending waits for some seconds; acknowledged messages are kept."
    ]
}

TASK [baremetal.synapse.rollout : Show what was done] ***
ok: [synapse1] => {
    "msg": [
        "Done as planned:"
    ]
}
"""
    assert shown_plan(output) == ["1. start a: new", "Sending waits for some seconds; acknowledged messages are kept."]
    assert shown_plan(output.replace("Show the plan", "Show nothing")) == []
