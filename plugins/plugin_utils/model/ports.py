# SPDX-License-Identifier: GPL-3.0-or-later
"""The check that no two things listen on the same TCP port of a host."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import layout
from .errors import TopologyError
from .inputs import INPUTS
from .process import Process
from .service import Listener, Service

_SSH = "SSH"
# How easily a port can be another one.
_DEFAULT, _POOL, _WRITTEN = 1, 2, 3


@dataclass(frozen=True, kw_only=True)
class _Claim:
    """A port of a host that something takes.

    Attributes:
        host: the host.
        port: the port.
        owner: what takes it.
        variable: the variable that decides the port; None if it is fixed.
        freedom: how easily the port can be another one: what is written in the inventory can, what is fixed cannot.
    """

    host: str
    port: int
    owner: str
    variable: str | None = None
    freedom: int = 0

    @property
    def source(self) -> str:
        """What decides the port."""
        return self.variable or self.owner


def check_ports(
    processes: Sequence[Process],
    groups: Mapping[str, Sequence[str]],
    options: Mapping[str, Any],
    services: Sequence[Service],
) -> Iterator[TopologyError]:
    """Refuses two owners of a port.

    Args:
        processes: all processes of Synapse.
        groups: the hosts of each group of the fleet.
        options: the values of the inputs.
        services: the table of services.
    """
    hosts = list(dict.fromkeys(host for members in groups.values() for host in members))
    first: dict[tuple[str, int], _Claim] = {}
    told: set[tuple[str, str, str]] = set()
    # Fixed ports first: an error names what can be changed.
    for claim in sorted(_claims(processes, groups, options, services, hosts), key=lambda claim: claim.freedom):
        other = first.setdefault((claim.host, claim.port), claim)
        pair = (claim.host, other.source, claim.source)
        # Two pools may share many ports; one of them says enough.
        if other.owner != claim.owner and pair not in told:
            told.add(pair)
            yield _clash(other, claim)


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
    start = listener.first_port(options)
    variable, freedom = None, 0
    if isinstance(listener.port, str):
        variable = listener.port
        freedom = _DEFAULT if start == INPUTS[variable].default else _WRITTEN
    for host in hosts:
        for port in range(start, start + listener.count):
            yield _Claim(host=host, port=port, owner=service.name, variable=variable, freedom=freedom)


def _claims_of_processes(processes: Iterable[Process], base: int) -> Iterator[_Claim]:
    for process in processes:
        # The slot of the main process is fixed.
        variable = None if process.is_main else f"{process.group}.{process.pool}.port_slot"
        yield _Claim(
            host=process.host,
            port=process.port_in(base),
            owner="the main process" if process.is_main else process.name,
            variable=variable,
            freedom=0 if process.is_main else _POOL,
        )


def _clash(first: _Claim, second: _Claim) -> TopologyError:
    if second.variable is None:
        variable, fix = "inventory", f"Run {first.owner} and {second.owner} on different hosts."
    elif second.freedom != _POOL:
        variable, fix = second.variable, "Choose another port."
    else:
        variable = second.variable
        fix = f"Set {variable} to a free slot ({layout.FIRST_FREE_SLOT} to {layout.SLOTS - 1}), or rename the pool."
    reason = f"{first.owner} and {second.owner} would both use this port"
    return TopologyError(variable, second.port, reason, fix, second.host)
