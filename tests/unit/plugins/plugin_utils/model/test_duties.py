# SPDX-License-Identifier: GPL-3.0-or-later
"""Each duty alone in a pool: what Synapse and nginx are told then."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.duties import DUTIES
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.topology import Topology
from ansible_collections.baremetal.synapse.plugins.plugin_utils.routing.proxy import proxy_upstreams
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.config import (
    instance_map,
    shared_config,
    stream_writers,
    worker_config,
)

from tests.unit.fleets import names, one_host
from tests.unit.nginx_maps import Proxy

# Written down anew from Synapse's documentation, not taken from the table of the model.
SINGLE_WRITERS = ("typing", "to_device", "account_data", "presence", "push_rules")
MANY_WRITERS = ("receipts", "device_lists", "thread_subscriptions")
ONE_NAME_OPTIONS = {
    "background_tasks": "run_background_tasks_on",
    "user_directory": "update_user_directory_from_worker",
    "appservices": "notify_appservices_from_worker",
}
LIST_OPTIONS = {"pusher": "pusher_instances", "federation_sender": "federation_sender_instances"}
READERS = {
    "room": ("client", "hash $synapse_room consistent"),
    "sync": ("client", "hash $synapse_user consistent"),
    "initial_sync": ("client", "hash $synapse_user consistent"),
    "sliding_sync": ("client", "hash $synapse_user consistent"),
    "federation_reader": ("federation", "hash $remote_addr consistent"),
    "federation_inbound": ("federation", "hash $remote_addr consistent"),
    "client_reader": ("client", "least_conn"),
    "login": ("client", "least_conn"),
}
SINGLE = (*SINGLE_WRITERS, "sso", *ONE_NAME_OPTIONS)
MEDIA = ("media", "media_background", "quarantined_media_changes")


def group_of(duty: str) -> str:
    return "media_workers" if duty in MEDIA else "generic_workers"


def with_duty(duty: str, count: int = 1, transport: str = "unix") -> Topology:
    pools: dict[str, Any] = {duty: {"count": count}}
    if duty == "quarantined_media_changes":
        pools = {"media": {"count": count, "duties": ["media", duty]}}
    variables: dict[str, Any] = {group_of(duty): pools, "synapse_transport": transport}
    return one_host(**variables)


def upstream(topology: Topology, name: str) -> dict[str, Any] | None:
    return next((entry for entry in proxy_upstreams(topology) if entry["name"] == name), None)


def listeners(topology: Topology, name: str) -> dict[str, list[str]]:
    """Returns the resources of each listener of a worker, by replication, metrics or http."""
    found = {}
    for listener in worker_config(topology, topology.worker(name))["worker_listeners"]:
        resources = [name for entry in listener.get("resources", []) for name in entry["names"]]
        found["replication" if resources == ["replication"] else listener["type"]] = resources
    return found


def test_the_duties_are_those_of_the_design() -> None:
    assert set(DUTIES) == {
        *SINGLE_WRITERS,
        *MANY_WRITERS,
        *ONE_NAME_OPTIONS,
        *LIST_OPTIONS,
        *READERS,
        *MEDIA,
        "events",
        "sso",
    }


@pytest.mark.parametrize("transport", ["unix", "tcp"])
@pytest.mark.parametrize("duty", [*SINGLE_WRITERS, *MANY_WRITERS])
def test_a_writer_of_a_stream_owns_it_listens_for_its_siblings_and_gets_its_requests(duty: str, transport: str) -> None:
    topology = with_duty(duty, transport=transport)
    name = f"synapse1-{duty}-1"
    assert stream_writers(topology) == {duty: [name]}
    assert set(instance_map(topology)) == {"main", name}
    assert listeners(topology, name) == {"http": ["client"], "replication": ["replication"], "metrics": []}
    serving = upstream(topology, f"synapse_{duty}")
    assert serving is not None
    assert [server["process"] for server in serving["servers"]] == [name]
    assert serving["balance"] is None


@pytest.mark.parametrize(
    ("duty", "balance"), [("receipts", None), ("thread_subscriptions", None), ("device_lists", "least_conn")]
)
def test_several_writers_of_a_stream_share_its_requests(duty: str, balance: str | None) -> None:
    topology = with_duty(duty, count=3)
    expected = [f"synapse1-{duty}-{index}" for index in (1, 2, 3)]
    assert stream_writers(topology)[duty] == expected
    assert set(instance_map(topology)) == {"main", *expected}
    serving = upstream(topology, f"synapse_{duty}")
    assert serving is not None
    assert [server["process"] for server in serving["servers"]] == expected
    assert serving["balance"] == balance


def test_event_persisters_are_called_by_their_siblings_only() -> None:
    topology = with_duty("events", count=2)
    expected = ["synapse1-events-1", "synapse1-events-2"]
    assert stream_writers(topology) == {"events": expected}
    assert set(instance_map(topology)) == {"main", *expected}
    assert listeners(topology, expected[0]) == {"http": [], "replication": ["replication"], "metrics": []}
    assert [entry["name"] for entry in proxy_upstreams(topology)] == ["synapse_main"]


@pytest.mark.parametrize(("duty", "option"), ONE_NAME_OPTIONS.items())
def test_a_job_of_one_worker_is_an_option_with_its_name(duty: str, option: str) -> None:
    topology = with_duty(duty)
    assert shared_config(topology)[option] == f"synapse1-{duty}-1"
    assert option not in shared_config(one_host())
    assert set(instance_map(topology)) == {"main"}


@pytest.mark.parametrize("duty", ["appservices", "background_tasks", "pusher", "federation_sender", "events"])
def test_duties_without_http_get_no_requests(duty: str) -> None:
    topology = with_duty(duty)
    assert listeners(topology, f"synapse1-{duty}-1")["http"] == []
    assert [entry["name"] for entry in proxy_upstreams(topology)] == ["synapse_main"]


@pytest.mark.parametrize(("duty", "option"), LIST_OPTIONS.items())
def test_a_job_that_shards_is_an_option_with_a_list_of_names(duty: str, option: str) -> None:
    assert shared_config(with_duty(duty))[option] == [f"synapse1-{duty}-1"]
    assert shared_config(with_duty(duty, 3))[option] == [f"synapse1-{duty}-{index}" for index in (1, 2, 3)]
    assert option not in shared_config(one_host())


@pytest.mark.parametrize(("duty", "resource", "balance"), [(duty, *rest) for duty, rest in READERS.items()])
def test_a_reader_has_one_resource_and_a_balance_for_many(duty: str, resource: str, balance: str) -> None:
    topology = with_duty(duty, count=2)
    assert listeners(topology, f"synapse1-{duty}-1") == {"http": [resource], "metrics": []}
    assert stream_writers(topology) == {}
    assert set(instance_map(topology)) == {"main"}
    serving = upstream(topology, f"synapse_{duty}")
    assert serving is not None
    assert [server["process"] for server in serving["servers"]] == [f"synapse1-{duty}-1", f"synapse1-{duty}-2"]
    assert serving["balance"] == balance


def test_single_sign_on_goes_to_its_one_process() -> None:
    serving = upstream(with_duty("sso"), "synapse_sso")
    assert serving is not None
    assert [server["process"] for server in serving["servers"]] == ["synapse1-sso-1"]


def test_user_directory_also_gets_its_searches() -> None:
    topology = with_duty("user_directory")
    serving = upstream(topology, "synapse_user_directory")
    assert serving is not None
    assert listeners(topology, "synapse1-user_directory-1")["http"] == ["client"]


def test_media_leave_every_other_process() -> None:
    topology = with_duty("media", count=2)
    shared = shared_config(topology)
    assert shared["enable_media_repo"] is False
    assert shared["media_instance_running_background_jobs"] == "synapse1-media-1"
    assert shared["stream_writers"] == {"quarantined_media_changes": ["synapse1-media-1"]}
    own = worker_config(topology, topology.worker("synapse1-media-2"))
    assert own["enable_media_repo"] is True
    assert listeners(topology, "synapse1-media-2")["http"] == ["client", "federation", "media"]
    serving = upstream(topology, "synapse_media")
    assert serving is not None
    assert serving["balance"] == "least_conn"


def test_a_pool_of_its_own_may_run_the_background_jobs_of_media() -> None:
    topology = one_host(media_workers={"media": {"count": 2}, "jobs": {"duties": ["media_background"]}})
    assert shared_config(topology)["media_instance_running_background_jobs"] == "synapse1-jobs-1"
    assert names(topology.with_duty("media_background")) == ["synapse1-jobs-1"]
    serving = upstream(topology, "synapse_media")
    assert serving is not None
    assert "synapse1-jobs-1" not in [server["process"] for server in serving["servers"]]


def test_media_workers_write_quarantine_only_where_synapse_knows_that_stream() -> None:
    before = one_host(synapse_version="1.151.0", media_workers={"media": {}})
    after = one_host(synapse_version="1.152.0", media_workers={"media": {}})
    assert stream_writers(before) == {}
    assert set(instance_map(before)) == {"main"}
    assert Proxy(before).serve("POST", "/_synapse/admin/v1/quarantine_media/x").processes == {"synapse1-media-1"}
    assert stream_writers(after) == {"quarantined_media_changes": ["synapse1-media-1"]}
    assert upstream(after, "synapse_quarantined_media_changes") is not None


@pytest.mark.parametrize("duty", sorted(DUTIES))
def test_only_the_duties_of_one_worker_are_single(duty: str) -> None:
    assert DUTIES[duty].single == (duty in (*SINGLE, "media_background"))


def test_a_pool_with_several_duties_has_all_of_them() -> None:
    topology = one_host(generic_workers={"all": {"duties": ["typing", "sync", "federation_reader", "pusher"]}})
    name = "synapse1-all-1"
    assert stream_writers(topology) == {"typing": [name]}
    assert shared_config(topology)["pusher_instances"] == [name]
    assert listeners(topology, name)["http"] == ["client", "federation"]
    for duty in ("typing", "sync", "federation_reader"):
        serving = upstream(topology, f"synapse_{duty}")
        assert serving is not None
        assert [server["process"] for server in serving["servers"]] == [name]


@pytest.mark.parametrize("duty", sorted(DUTIES))
def test_every_fallback_is_a_duty_with_the_same_resources(duty: str) -> None:
    for fallback in DUTIES[duty].fallback:
        assert set(DUTIES[duty].resources) <= set(DUTIES[fallback].resources)


def test_a_worker_for_media_jobs_alone_has_a_media_listener_that_nginx_does_not_use() -> None:
    """Synapse makes its media repository, whose jobs they are, only for a process with media routes."""
    topology = one_host(media_workers={"media": {}, "media_background": {}})
    worker = topology.with_duty("media_background")[0]
    assert worker_config(topology, worker)["worker_listeners"][0]["resources"] == [{"names": ["media"]}]
    assert worker.name not in json.dumps(proxy_upstreams(topology))
