# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks that may reach the private listeners of a host: the content of the nftables table of role firewall.

The rules name whole bands of ports, so that a worker more on a host changes none of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address, ip_network
from typing import Any

from ..model.errors import TopologyError, did_you_mean
from ..model.service import Listener
from ..model.topology import Topology


def firewall_rules(topology: Topology, host: str) -> dict[str, Any]:
    """Returns the address of a host, and for each kind of listener there the ports and the networks that need it.

    Without listeners that others could reach, there is nothing to close: the list is empty.

    Args:
        topology: the fleet.
        host: the inventory name of a host of the fleet.

    Raises:
        TopologyError: the fleet has no such host.
    """
    if host not in topology.addresses:
        raise TopologyError("host", host, "the topology has no such host", did_you_mean(host, topology.addresses))
    address = ip_address(topology.addresses[host])
    family = "ip6" if address.version == 6 else "ip"
    found: dict[str, Any] = {"family": family, "address": str(address), "listeners": []}
    if topology.unix or address.is_loopback:
        return found
    found["listeners"] = [
        _rule(topology, listener, address.version)
        for service in topology.services
        if host in topology.running(service)
        for listener in service.listeners
        if not listener.public
    ]
    return found


def _rule(topology: Topology, listener: Listener, version: int) -> dict[str, Any]:
    """Returns the ports of a listener, and the networks that need it: the hosts of its clients, and its own input."""
    first = listener.first_port(topology.options)
    clients = {host for client in listener.clients for host in topology.running(client)}
    written = [topology.addresses[host] for host in clients]
    written += [] if listener.networks is None else topology.options[listener.networks]
    return {
        "name": listener.name,
        "about": listener.about,
        "ports": str(first) if listener.count == 1 else f"{first}-{first + listener.count - 1}",
        "sources": _networks(written, version),
    }


def _networks(written: Iterable[str], version: int) -> list[str]:
    """Returns networks in the order of their numbers, a single address without its prefix length.

    Args:
        written: networks or addresses.
        version: 4 or 6, to leave out the others, which cannot reach an address of that version.
    """
    networks = {ip_network(entry, strict=False) for entry in written}
    wanted = sorted(
        (n for n in networks if n.version == version),
        key=lambda n: (int(n.network_address), n.prefixlen),
    )
    return [str(n.network_address) if n.prefixlen == n.max_prefixlen else str(n) for n in wanted]
