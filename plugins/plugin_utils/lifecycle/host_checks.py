# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host must be, and what its own variables may say, before anything is deployed to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..model.errors import Problems, TopologyError, joined
from ..model.inputs import INPUTS
from ..model.inventory import Unreadable
from ..model.platform import platform_of
from ..model.ports_in_use import check_ports_in_use
from ..model.schema import Input, read_all
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
    problems = Problems()
    for host, own in variables.items():
        problems.add(_problems_of_host(topology, host, own, surveyed=surveyed, with_memory=with_memory))
    return [str(problem) for problem in joined(problems.found)]


def _problems_of_host(
    topology: Topology, host: str, own: Mapping[str, Any], *, surveyed: str, with_memory: bool
) -> list[TopologyError]:
    written = {name: own[name] for name in host_inputs(topology, host) if name in own}
    wrong = [problem for name, value in written.items() for problem in _wrong_value(INPUTS[name], value, host)]
    # One that cannot be has its default in the other checks, whose findings about it say nothing.
    typed = read_all(INPUTS, written)
    problems = Problems()
    problems.add(wrong)
    names = {problem.variable.partition(".")[0] for problem in wrong}
    with problems.caught():
        found = list(_problems(topology, host, own[surveyed], typed))
        problems.add(problem for problem in found if problem.variable.partition(".")[0] not in names)
    if with_memory and not problems.found:
        with problems.caught():
            check_memory(host, host_memory(topology, host, int(own[surveyed]["memtotal_mb"]), typed))
    return problems.found


def _wrong_value(entry: Input, value: Any, host: str) -> list[TopologyError]:
    if isinstance(value, Unreadable):
        return value.errors(host)
    problem = entry.problem(value, host)
    return [] if problem is None else [problem]


def host_inputs(topology: Topology, host: str) -> dict[str, Input]:
    """Returns the inputs that count on a host besides those of the topology, by their names.

    Args:
        topology: the fleet.
        host: the inventory name of the host.
    """
    services = {service.name for service in topology.services}
    here = {service.name for service in topology.services_of(host)}
    return {
        name: entry
        for name, entry in INPUTS.items()
        if entry.per_host and not entry.internal and (entry.service in here or entry.service not in services)
    }


def host_paths(topology: Topology, host: str, variables: Mapping[str, Any]) -> list[str]:
    """Returns the paths on a host whose existence the checks of its services ask for.

    Args:
        topology: the fleet.
        host: the inventory name of the host.
        variables: of the host, as far as they are set.
    """
    typed = read_all(INPUTS, variables)
    asking = (service.paths for service in topology.services_of(host))
    return sorted({path for paths in asking if paths is not None for path in paths(topology, host, typed)})


def _problems(
    topology: Topology, host: str, found: Mapping[str, Any], own: Mapping[str, Any]
) -> Iterator[TopologyError]:
    platform_of(host, found)
    for service in topology.services_of(host):
        for check in service.checks:
            yield from check(topology, host, found, own)
    yield from check_ports_in_use(topology, host, found)


__all__ = ("host_inputs", "host_paths", "host_problems")
