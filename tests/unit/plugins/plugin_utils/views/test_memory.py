# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that has promised away more memory than it has is refused."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.budgets import shared_buffers
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.errors import TopologyError
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.sizes import postgres_size_in_mib
from ansible_collections.baremetal.synapse.plugins.plugin_utils.views.memory import check_memory, host_memory
from ansible_collections.baremetal.synapse.plugins.plugin_utils.views.postgres import postgresql_settings

from tests.unit.fleets import one_host, several_hosts

LIMITED: dict[str, Any] = {
    "generic_workers": {"sync": {"count": 2, "memory_max": "2G"}},
    "synapse_main_settings": {"memory_max": "1G"},
}
VARIABLES: dict[str, Any] = {"postgres_settings": {"shared_buffers": "1GB"}, "redis_maxmemory_mib": 256}


@pytest.mark.parametrize(
    ("variables", "mib"),
    [
        ({}, 1024),
        ({"postgres_memory_mib": "4096"}, 512),
        ({"postgres_memory_mib": None, "postgres_settings": {}}, 1024),
        ({"postgres_settings": {"shared_buffers": "3GB"}}, 3072),
    ],
)
def test_what_postgresql_takes_follows_from_the_variables_of_its_host(variables: dict[str, Any], mib: int) -> None:
    assert host_memory(one_host(), "synapse1", 8192, variables)["parts"] == [{"name": "PostgreSQL", "mib": mib}]


def test_the_budget_is_the_sum_of_all_limits_that_are_known() -> None:
    found = host_memory(one_host(**LIMITED), "synapse1", 8192, VARIABLES)
    assert found == {
        "parts": [
            {"name": "PostgreSQL", "mib": 1024},
            {"name": "Redis", "mib": 256},
            {"name": "main", "mib": 1024},
            {"name": "synapse1-sync-1", "mib": 2048},
            {"name": "synapse1-sync-2", "mib": 2048},
        ],
        "sum": 6400,
        "memory_mib": 8192,
    }
    check_memory("synapse1", found)


def test_each_host_answers_for_what_it_has() -> None:
    topology = several_hosts(**LIMITED)
    sums = {host: host_memory(topology, host, 8192, VARIABLES)["sum"] for host in topology.addresses}
    assert sums == {
        "db1": 1024,
        "cache1": 256,
        "main1": 1024,
        "generic1": 4096,
        "generic2": 4096,
        "media1": 0,
        "background1": 0,
        "proxy1": 0,
    }


@pytest.mark.parametrize(("memory_mib", "fits"), [(6400, True), (6399, False)])
def test_more_than_the_host_has_is_refused(memory_mib: int, fits: bool) -> None:
    budget = host_memory(one_host(**LIMITED), "synapse1", memory_mib, VARIABLES)
    if fits:
        check_memory("synapse1", budget)
        return
    with pytest.raises(TopologyError) as caught:
        check_memory("synapse1", budget)
    assert str(caught.value) == (
        "memory_max on host synapse1 is '6400 MiB': its processes and servers may take that much (PostgreSQL 1024 MiB, "
        "Redis 256 MiB, main 1024 MiB, synapse1-sync-1 2048 MiB, synapse1-sync-2 2048 MiB), and the host has "
        "6399 MiB. Set memory_max of a pool lower, or move a pool to another host."
    )


@pytest.mark.parametrize(
    ("written", "mib"),
    [
        ("512M", 512),
        ("1.5G", 1536),
        ("2T", 2097152),
        ("524288K", 512),
        ("25%", 2048),
        ("infinity", None),
    ],
)
def test_every_way_to_write_a_limit(written: str, mib: int | None) -> None:
    settings: dict[str, Any] = {"memory_max": written}
    found = host_memory(one_host(synapse_main_settings=settings), "synapse1", 8192, {})
    parts = {part["name"]: part["mib"] for part in found["parts"]}
    assert parts.get("main") == mib


@pytest.mark.parametrize(
    ("written", "mib"), [("2GB", 2048), ("128 MB", 128), ("16384", 128), (16384, 128), ("65536kB", 64)]
)
def test_every_way_to_write_a_size_of_postgresql(written: str | int, mib: int) -> None:
    assert postgres_size_in_mib(written) == mib


def test_what_is_no_size_of_postgresql() -> None:
    with pytest.raises(
        TopologyError, match=r"postgres_settings.shared_buffers is '2 gigs': it is a size in PostgreSQL's"
    ):
        postgres_size_in_mib("2 gigs")


@pytest.mark.parametrize("shared", [True, False])
def test_postgresql_gets_the_buffers_that_are_counted(shared: bool) -> None:
    settings = postgresql_settings(
        memory_mib=8192, cpus=4, shared=shared, max_connections=100, transport="unix", listen_address=None, port=5432
    )
    assert settings["shared_buffers"] == shared_buffers(8192, shared=shared)
