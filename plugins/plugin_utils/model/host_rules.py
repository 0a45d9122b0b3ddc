# SPDX-License-Identifier: GPL-3.0-or-later
"""What hosts must be for the services that they run: the checks of their rows.

A check returns what is wrong; variables of roles that are not set are None or missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .errors import TopologyError
from .platform import platform_of
from .releases import python_problem
from .values import counting_number

if TYPE_CHECKING:
    from .topology import Topology

Found = Mapping[str, Any]
Variables = Mapping[str, Any]

WATCHDOG_NUMBERS = ("watchdog_interval", "watchdog_checks", "watchdog_grace")


def check_python(topology: Topology, host: str, found: Found, _variables: Variables) -> Iterator[TopologyError]:
    """Compares Python with what the release of Synapse needs."""
    problem = python_problem(topology.release, host, str(found["python_version"]))
    if problem is not None:
        yield problem


def check_redis_package(topology: Topology, host: str, found: Found, _variables: Variables) -> Iterator[TopologyError]:
    """Refuses a package that the platform has not got."""
    package, platform = topology.options["redis_package"], platform_of(host, found)
    if package not in platform.redis_packages:
        yield TopologyError(
            "redis_package",
            package,
            f"{platform.name} does not have this package",
            f"Leave it out, or set it to {' or '.join(platform.redis_packages)}.",
            host,
        )


def check_redis_memory(_topology: Topology, host: str, _found: Found, variables: Variables) -> Iterator[TopologyError]:
    """Refuses a limit that is no number of MiB."""
    limit = variables.get("redis_maxmemory_mib")
    if limit is not None and str(limit) != "0" and counting_number(limit) is None:
        yield TopologyError(
            "redis_maxmemory_mib",
            limit,
            "it is a whole number of MiB from 0 on",
            "Set it to 0 for no limit, or leave it out.",
            host,
        )


def check_watchdog_numbers(
    _topology: Topology, host: str, _found: Found, variables: Variables
) -> Iterator[TopologyError]:
    """Refuses numbers of the watchdog that it cannot count with."""
    for name in WATCHDOG_NUMBERS:
        value = variables.get(name)
        if value is not None and counting_number(value) is None:
            yield TopologyError(
                name,
                value,
                "the watchdog counts in whole seconds and checks from 1 on",
                "Set it to 1 or more, or watchdog_enabled to false.",
                host,
            )
