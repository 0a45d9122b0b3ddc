# SPDX-License-Identifier: GPL-3.0-or-later
"""What PostgreSQL is given on small and on large machines."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.baremetal.synapse.plugins.plugin_utils.views.postgres import postgresql_settings


def settings(**changes: Any) -> dict[str, int | str]:
    arguments: dict[str, Any] = {
        "memory_mib": 8192,
        "cpus": 4,
        "shared": True,
        "max_connections": 120,
        "transport": "unix",
        "listen_address": None,
        "port": 5432,
    }
    return postgresql_settings(**{**arguments, **changes})


def mib(value: int | str) -> int:
    match = re.fullmatch(r"(\d+)MB", str(value))
    assert match, value
    return int(match[1])


def test_one_host_listens_on_no_address() -> None:
    assert settings()["listen_addresses"] == ""


def test_several_hosts_listen_on_the_private_address_only() -> None:
    assert settings(transport="tcp", listen_address="192.0.2.5")["listen_addresses"] == "192.0.2.5"


def test_passwords_are_stored_as_scram() -> None:
    assert settings()["password_encryption"] == "scram-sha-256"


def test_connections_come_from_the_budget() -> None:
    assert settings(max_connections=431)["max_connections"] == 431


def test_a_host_of_its_own_gives_postgresql_more_memory() -> None:
    assert mib(settings(shared=False)["shared_buffers"]) == 2 * mib(settings(shared=True)["shared_buffers"])


@pytest.mark.parametrize("memory", [1024, 2048, 4096, 24105, 65536, 262144])
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("connections", [30, 120, 1000])
def test_what_is_asked_for_fits_into_the_memory(memory: int, shared: bool, connections: int) -> None:
    found = settings(memory_mib=memory, shared=shared, max_connections=connections)
    usable = memory // 2 if shared else memory
    buffers = mib(found["shared_buffers"])
    assert 128 <= buffers <= max(128, usable // 4)
    assert mib(found["effective_cache_size"]) <= usable * 3 // 4
    assert mib(found["min_wal_size"]) < mib(found["max_wal_size"])
    # 4 MB is PostgreSQL's own default: below it nothing is won.
    assert mib(found["work_mem"]) == 4 or mib(found["work_mem"]) * connections <= usable // 4
    # Three autovacuum workers and one operator's VACUUM at the same time.
    assert 3 * mib(found["autovacuum_work_mem"]) + mib(found["maintenance_work_mem"]) <= max(160, usable // 3)


def test_one_gib_beside_synapse_is_modest() -> None:
    found = settings(memory_mib=1024, cpus=1, max_connections=60)
    assert (found["shared_buffers"], found["work_mem"], found["maintenance_work_mem"]) == ("128MB", "4MB", "64MB")
    assert found["max_parallel_workers_per_gather"] == 0


def test_large_machines_stop_at_what_postgresql_can_use() -> None:
    found = settings(memory_mib=262144, cpus=64, shared=False, max_connections=1000)
    assert (found["shared_buffers"], found["maintenance_work_mem"], found["work_mem"]) == ("32768MB", "1024MB", "64MB")


def test_a_few_mib_more_or_less_change_nothing() -> None:
    assert settings(memory_mib=24105) == settings(memory_mib=24090)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"memory_mib": 100}, "memory_mib is 100: it is outside of the possible range"),
        ({"memory_mib": "8 GB"}, "memory_mib is '8 GB': it must be a whole number"),
        ({"cpus": 0}, "cpus is 0"),
        ({"cpus": True}, "cpus is True: it must be a whole number"),
        ({"max_connections": 3}, "max_connections is 3"),
        ({"port": 70000}, "port is 70000"),
        ({"transport": "carrier pigeon"}, "transport is 'carrier pigeon'"),
        ({"transport": "tcp"}, "listen_address is not set"),
    ],
)
def test_bad_input_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        settings(**changes)


def test_tls_is_the_distributions_unless_it_is_asked_for() -> None:
    assert not [name for name in settings() if name.startswith("ssl")]
    found = settings(transport="tcp", listen_address="192.0.2.5", tls=("/etc/ssl/a.pem", "/etc/ssl/a.key"))
    assert {name: value for name, value in found.items() if name.startswith("ssl")} == {
        "ssl": "on",
        "ssl_cert_file": "/etc/ssl/a.pem",
        "ssl_key_file": "/etc/ssl/a.key",
    }
