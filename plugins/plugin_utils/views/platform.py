# SPDX-License-Identifier: GPL-3.0-or-later
"""What roles have to know of the distribution of a host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..model.platform import REDIS_PACKAGES, platform_of
from ..model.topology import Topology


def platform(topology: Topology, host: str, found: Mapping[str, Any], postgres: str | None = None) -> dict[str, Any]:
    """Returns packages, versions and paths, as the distribution of a host has them.

    Args:
        topology: the fleet.
        host: the inventory name of the host.
        found: what the module host_survey has found on it.
        postgres: the major version of PostgreSQL; the distribution's if it is None.

    Raises:
        TopologyError: the distribution is not supported.
    """
    known = platform_of(host, found)
    version = postgres or str(known.postgres)
    redis = REDIS_PACKAGES[topology.options["redis_package"]]
    packages = {
        name: [package.format(postgres=version) for package in listed] for name, listed in known.packages.items()
    }
    packages["redis"] = [topology.options["redis_package"]]
    packages["synapse"] += [known.jemalloc] if topology.options["synapse_jemalloc"] else []
    return {
        "name": known.name,
        "packages": packages,
        "self_signed_packages": list(known.self_signed_packages),
        "postgres": {
            "version": version,
            "distribution_version": str(known.postgres),
            "config_dir": known.postgres_config_dir.format(postgres=version),
            "program": known.postgres_program.format(postgres=version),
            "unit": known.postgres_unit.format(postgres=version),
        },
        "redis": {
            "available": topology.options["redis_package"] in known.redis_packages,
            "unit": redis.unit,
            "user": redis.group,
            "config_dir": redis.config_dir,
            "program": redis.program,
            "client": redis.client,
        },
        "nginx": {"http2_directive": known.nginx_http2_directive},
        "jemalloc_library": known.jemalloc_library.format(architecture=found["architecture"]),
        "certificate": {"path": known.certificate[0], "key": known.certificate[1]},
    }


__all__ = ("platform",)
