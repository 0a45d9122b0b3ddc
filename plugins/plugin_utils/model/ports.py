# SPDX-License-Identifier: GPL-3.0-or-later
"""The check that no two things listen on the same TCP port of a host."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import layout
from .errors import TopologyError
from .process import Process
from .service import Listener, Service

_SSH = "SSH"


@dataclass(frozen=True, kw_only=True)
class _Claim:
    """A port of a host that something takes.

    Attributes:
        host: the host.
        port: the port.
        owner: what takes it.
        variable: the variable that decides the port; None if it is fixed.
    """

    host: str
    port: int
    owner: str
    variable: str | None = None


def check_ports(
    processes: Sequence[Process],
    groups: Mapping[str, Sequence[str]],
    options: Mapping[str, Any],
    services: Sequence[Service],
) -> None:
    """Refuses two owners of a port.

    Args:
        processes: all processes of Synapse.
        groups: the hosts of each group of the fleet.
        options: the values of the inputs.
        services: the table of services.

    Raises:
        TopologyError: two of them would listen on the same port of a host.
    """
    hosts = list(dict.fromkeys(host for members in groups.values() for host in members))
    first: dict[tuple[str, int], _Claim] = {}
    # Fixed ports first: an error names what can be changed.
    for claim in sorted(_claims(processes, groups, options, services, hosts), key=_freedom):
        other = first.setdefault((claim.host, claim.port), claim)
        if other.owner != claim.owner:
            raise _clash(other, claim)


def _claims(
    processes: Sequence[Process],
    groups: Mapping[str, Sequence[str]],
    options: Mapping[str, Any],
    services: Iterable[Service],
    hosts: Sequence[str],
) -> Iterator[_Claim]:
    for host in hosts:
        yield _Claim(host=host, port=layout.SSH_PORT, owner=_SSH)
    for service in services:
        members = [host for group in service.groups for host in groups[group]] if service.groups else hosts
        for listener in service.listeners:
            if listener.of_processes:
                yield from _claims_of_processes(processes, listener.first_port(options))
            else:
                yield from _claims_of(service, listener, members, options)


def _claims_of(
    service: Service, listener: Listener, hosts: Iterable[str], options: Mapping[str, Any]
) -> Iterator[_Claim]:
    variable = listener.port if isinstance(listener.port, str) else None
    start = listener.first_port(options)
    for host in hosts:
        for port in range(start, start + listener.count):
            yield _Claim(host=host, port=port, owner=service.name, variable=variable)


def _claims_of_processes(processes: Iterable[Process], base: int) -> Iterator[_Claim]:
    for process in processes:
        variable = f"{process.group}.{process.pool}.port_slot"
        yield _Claim(host=process.host, port=process.port_in(base), owner=process.name, variable=variable)


def _freedom(claim: _Claim) -> int:
    if claim.variable is None:
        return 0
    return 2 if claim.variable.endswith(".port_slot") else 1


def _clash(first: _Claim, second: _Claim) -> TopologyError:
    if second.variable is None:
        variable, fix = "inventory", f"Run {first.owner} and {second.owner} on different hosts."
    elif _freedom(second) == 1:
        variable, fix = second.variable, "Choose another port."
    else:
        variable = second.variable
        fix = f"Set {variable} to a free slot ({layout.FIRST_FREE_SLOT} to {layout.SLOTS - 1}), or rename the pool."
    reason = f"{first.owner} and {second.owner} would both use this port"
    return TopologyError(variable, second.port, reason, fix, second.host)
