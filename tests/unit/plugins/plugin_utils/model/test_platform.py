# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs between distributions is a column of one table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.baremetal.synapse.plugins.plugin_utils.lifecycle.host_checks import host_problems
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.errors import TopologyError
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.platform import (
    PLATFORMS,
    REDIS_PACKAGES,
    Platform,
    RedisInstance,
    find_platform,
    platform_of,
    redis_instance,
    supported,
)
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.releases import (
    NEWEST,
    postgres_minimum,
    python_minimum,
)
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.services import SERVICES
from ansible_collections.baremetal.synapse.plugins.plugin_utils.views.platform import platform

from tests.unit.fleets import ROOT, one_host

OWN = {"nginx_tls_self_signed": True}


def survey(known: Platform) -> dict[str, Any]:
    """Returns what a survey finds on a host of a platform."""
    return {
        "distribution": known.distribution,
        "distribution_major_version": known.major_version,
        "python_version": known.python,
        "memtotal_mb": 4096,
        "processor_vcpus": 2,
        "architecture": "x86_64",
    }


def seen(major_version: str) -> dict[str, Any]:
    """Returns what a survey finds on a host of this Debian."""
    found = find_platform("Debian", major_version)
    assert found is not None
    return survey(found)


@pytest.mark.parametrize("known", PLATFORMS, ids=[known.name for known in PLATFORMS])
def test_the_newest_release_runs_on_every_platform(known: Platform) -> None:
    assert known.postgres >= postgres_minimum(NEWEST)
    assert tuple(int(part) for part in known.python.split(".")[:2]) >= python_minimum(NEWEST)
    assert set(known.redis_packages) <= set(REDIS_PACKAGES)
    assert host_problems(one_host(), {"synapse1": {"seen": survey(known), **OWN}}, surveyed="seen") == []


@pytest.mark.parametrize("known", PLATFORMS, ids=[known.name for known in PLATFORMS])
def test_every_service_that_installs_packages_has_some(known: Platform) -> None:
    # The package of Redis is an input.
    installing = {service.name for service in SERVICES if "install" in service.verbs} - {"redis"}
    found = platform(one_host(), "synapse1", survey(known))["packages"]
    assert set(found) == installing
    assert all(packages and all("{" not in package for package in packages) for packages in found.values())


@pytest.mark.parametrize("path", sorted((ROOT / "roles").glob("*/meta/main.yml")), ids=lambda path: path.parts[-3])
def test_roles_say_that_they_are_for_these_platforms(path: Path) -> None:
    (entry,) = yaml.safe_load(path.read_text())["galaxy_info"]["platforms"]
    assert entry["versions"] == [known.codename for known in PLATFORMS]


def test_a_platform_that_is_not_in_the_table() -> None:
    assert supported() == "Debian 12 and 13"
    found = {"distribution": "Debian", "distribution_major_version": "11"}
    with pytest.raises(TopologyError, match=r"on host a is 'Debian 11': this collection supports Debian 12 and 13"):
        platform_of("a", found)


def test_what_depends_on_the_release_of_debian() -> None:
    old, new = (platform(one_host(), "synapse1", seen(version)) for version in ("12", "13"))
    assert (old["nginx_http2_directive"], new["nginx_http2_directive"]) == (False, True)
    assert old["packages"]["postgres"][0] == "postgresql-15"
    assert new["packages"]["postgres"][0] == "postgresql-17"
    assert new["jemalloc_library"] == "/usr/lib/x86_64-linux-gnu/libjemalloc.so.2"


def test_a_cluster_of_another_version_has_packages_of_its_own() -> None:
    known = find_platform("Debian", "13")
    assert known is not None
    assert known.packages_of("postgres", "15")[0] == "postgresql-15"


def test_jemalloc_is_installed_where_it_is_used() -> None:
    packages = [platform(one_host(synapse_jemalloc=used), "synapse1", seen("13")) for used in (True, False)]
    assert ["libjemalloc2" in entry["packages"]["synapse"] for entry in packages] == [True, False]


def test_valkey_has_names_of_its_own() -> None:
    assert redis_instance("valkey-server", "default") == RedisInstance(
        name="default",
        unit="valkey-server.service",
        path="/run/valkey/valkey-server.sock",
        group="valkey",
        config_file="/etc/valkey/matrix-synapse.conf",
        data_dir=None,
        include="/etc/valkey/valkey.conf",
        program="/usr/bin/valkey-server",
        client="valkey-cli",
    )


def test_an_instance_has_names_of_its_own() -> None:
    assert redis_instance("redis-server", "synapse") == RedisInstance(
        name="synapse",
        unit="redis-server@synapse.service",
        path="/run/redis-synapse/redis-server.sock",
        group="redis",
        config_file="/etc/redis/redis-synapse.conf",
        data_dir="/var/lib/redis-synapse",
        include=None,
        program="/usr/bin/redis-server",
        client="redis-cli",
    )


def test_a_package_that_the_platform_has_not_got_is_refused() -> None:
    def problems(version: str) -> list[str]:
        hosts = {"synapse1": {"seen": seen(version), **OWN}}
        return host_problems(one_host(redis_package="valkey-server"), hosts, surveyed="seen")

    assert problems("13") == []
    assert problems("12") == [
        "redis_package on host synapse1 is 'valkey-server': Debian 12 does not have this package. Leave it out, or set "
        "it to redis-server."
    ]
