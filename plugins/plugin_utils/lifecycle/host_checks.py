# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host must be, and what its own variables may say, before anything is deployed to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..model.errors import TopologyError
from ..model.inventory import counting_number
from ..model.releases import check_host_versions
from ..model.topology import Topology
from ..views.memory import check_memory, host_memory

DEBIAN_PYTHONS = {"12": "3.11.2", "13": "3.13.5"}
"""The releases of Debian that are supported, and the Python of each."""

_WATCHDOG = ("watchdog_interval", "watchdog_checks", "watchdog_grace")


def host_problems(
    topology: Topology, variables: Mapping[str, Mapping[str, Any]], *, surveyed: str, with_memory: bool = True
) -> list[str]:
    """Returns why hosts cannot be deployed to, one sentence a host, none if all can.

    Args:
        topology: the fleet.
        variables: of each host to check, by its inventory name.
        surveyed: the variable with what the module host_survey has found on the host.
        with_memory: also compare what is promised of the host's memory with what it has.
    """
    checks: list[Callable[[Topology, str, Mapping[str, Any], Mapping[str, Any]], None]] = [
        _check_debian,
        _check_python,
        *([_check_memory] if with_memory else []),
        _check_watchdog,
    ]
    problems = []
    for host, own in variables.items():
        try:
            found = own[surveyed]
            for check in checks:
                check(topology, host, found, own)
        except TopologyError as error:
            problems.append(str(error))
    return problems


def _check_debian(_topology: Topology, host: str, found: Mapping[str, Any], _own: Mapping[str, Any]) -> None:
    name, version = str(found["distribution"]), str(found["distribution_major_version"])
    if name != "Debian" or version not in DEBIAN_PYTHONS:
        raise TopologyError(
            "The operating system",
            f"{name} {version}",
            f"this collection supports Debian {' and '.join(DEBIAN_PYTHONS)}",
            "Install one of them, or take the host out of the inventory.",
            host,
        )


def _check_python(topology: Topology, host: str, found: Mapping[str, Any], _own: Mapping[str, Any]) -> None:
    # The role postgres checks PostgreSQL: it knows the clusters of the host.
    check_host_versions(topology.release, host, str(found["python_version"]), postgres=None)


def _check_memory(topology: Topology, host: str, found: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    check_memory(host, host_memory(topology, host, int(found["memtotal_mb"]), own))


def _check_watchdog(_topology: Topology, host: str, _found: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    for name in _WATCHDOG:
        value = own.get(name, 1)
        if counting_number(value) is None:
            raise TopologyError(
                name,
                value,
                "the watchdog counts in whole seconds and checks from 1 on",
                "Set it to 1 or more, or watchdog_enabled to false.",
                host,
            )


__all__ = ("DEBIAN_PYTHONS", "host_problems")
