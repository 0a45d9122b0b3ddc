# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host must be, and what its own variables may say, before anything is deployed to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..model.errors import TopologyError
from ..model.platform import platform_of
from ..model.ports_in_use import check_ports_in_use
from ..model.topology import Topology
from ..views.memory import check_memory, host_memory


def host_problems(
    topology: Topology, variables: Mapping[str, Mapping[str, Any]], *, surveyed: str, with_memory: bool = True
) -> list[str]:
    """Returns why hosts cannot be deployed to, a sentence for each problem, none if all can.

    Args:
        topology: the fleet.
        variables: of each host to check, by its inventory name.
        surveyed: the variable with what the module host_survey has found on the host.
        with_memory: also compare what is promised of the host's memory with what it has.
    """
    problems: list[str] = []
    for host, own in variables.items():
        try:
            found = [str(problem) for problem in _problems(topology, host, own[surveyed], own)]
            if with_memory and not found:
                check_memory(host, host_memory(topology, host, int(own[surveyed]["memtotal_mb"]), own))
        except TopologyError as error:
            found = [str(error)]
        problems += found
    return problems


def host_paths(topology: Topology, host: str, variables: Mapping[str, Any]) -> list[str]:
    """Returns the paths on a host whose existence the checks of its services ask for.

    Args:
        topology: the fleet.
        host: the inventory name of the host.
        variables: of the host, as far as they are set.
    """
    asking = (service.paths for service in topology.services_of(host))
    return sorted({path for paths in asking if paths is not None for path in paths(topology, host, variables)})


def _problems(
    topology: Topology, host: str, found: Mapping[str, Any], own: Mapping[str, Any]
) -> Iterator[TopologyError]:
    platform_of(host, found)
    for service in topology.services_of(host):
        for check in service.checks:
            yield from check(topology, host, found, own)
    yield from check_ports_in_use(topology, host, found)


__all__ = ("host_paths", "host_problems")
