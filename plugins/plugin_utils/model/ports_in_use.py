# SPDX-License-Identifier: GPL-3.0-or-later
"""The TCP ports of a host that other programs have, compared with those that the services of the fleet need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Any

from .errors import TopologyError
from .service import Listener, Service

if TYPE_CHECKING:
    from .topology import Topology

Holder = Mapping[str, Any]
"""A listener that was found on a host: ``address``, ``port``, ``program``, ``unit``."""


def check_ports_in_use(topology: Topology, host: str, found: Mapping[str, Any]) -> Iterator[TopologyError]:
    """Returns a refusal for each port of the fleet on which another program of the host listens.

    Args:
        topology: the fleet.
        host: the inventory name of the host.
        found: what the module host_survey has found on it.
    """
    for service in topology.services_of(host):
        for listener in service.listeners if service.units else ():
            for address, port, variable in _wanted(topology, host, listener):
                for holder in holders(found, address, port, service.units):
                    yield _refusal(host, service, port, variable, holder)


def holders(found: Mapping[str, Any], address: str | None, port: int, units: Iterable[str]) -> list[Holder]:
    """Returns who keeps a service from listening.

    Args:
        found: what the module host_survey has found on the host.
        address: the address on which the service listens; None for all addresses.
        port: the port.
        units: patterns of the units that are the service itself.
    """
    return [
        holder
        for holder in found.get("ports", ())
        if holder["port"] == port
        and (address is None or _overlap(address, str(holder["address"])))
        and not any(fnmatchcase(str(holder["unit"]), unit) for unit in units)
    ]


def named(holder: Holder) -> str:
    """Returns the program that holds a port, for messages."""
    program, unit = holder["program"] or "a program of a container", holder["unit"]
    return f"{program} ({unit})" if unit else str(program)


def _overlap(ours: str, theirs: str) -> bool:
    one, other = _unmapped(ours), _unmapped(theirs)
    return bool(one == other or other.is_unspecified or one.is_unspecified)


def _unmapped(text: str) -> Any:
    address = ip_address(text)
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _wanted(topology: Topology, host: str, listener: Listener) -> Iterator[tuple[str | None, int, str | None]]:
    """Returns address and port of what a service listens on, and the variable that decides the port."""
    if listener.unless is not None and listener.unless(topology.host_options.get(host, {})):
        return
    first = listener.first_port(topology.options)
    if listener.of_processes:
        # With sockets, only metrics are on TCP.
        if topology.unix and not listener.metrics:
            return
        for process in topology.processes:
            if process.host == host:
                variable = None if process.is_main else f"{process.group}.{process.pool}.port_slot"
                yield topology.listen_address(host), process.port_in(first), variable
    elif listener.public or not topology.unix:
        variable = listener.port if isinstance(listener.port, str) else None
        address = None if listener.public else topology.addresses[host]
        for port in range(first, first + listener.count):
            yield address, port, variable


def _refusal(host: str, service: Service, port: int, variable: str | None, holder: Holder) -> TopologyError:
    fix = f"Stop {holder['program'] or 'it'} there, or run {service.title} on another host."
    if variable is not None:
        fix = f"Stop {holder['program'] or 'it'} there, or set {variable} so that it does not take this port."
    return TopologyError(
        variable or "inventory", port, f"{named(holder)} listens on this port, which {service.title} needs", fix, host
    )


__all__ = ("check_ports_in_use", "holders", "named")
