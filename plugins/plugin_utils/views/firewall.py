# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may reach the private listeners of a fleet: the content of the nftables table of role firewall.

Other hosts are sorted out where they arrive, and accounts where they send: only their own host knows them. The rules
name whole bands of ports, so that a worker more on a host changes none of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address, ip_network
from typing import Any

from ..model.errors import TopologyError, did_you_mean
from ..model.service import Listener, Service
from ..model.topology import Topology


def firewall_rules(topology: Topology, host: str) -> dict[str, Any]:
    """Returns the address of a host, and what is to be closed there.

    Args:
        topology: the fleet.
        host: the inventory name of a host of the fleet.

    Returns:
        ``family`` and ``address`` of the host; ``listeners``, for each kind of them there the ports and the networks
        that need it; and ``users``, for each kind that trusts every client, the ports, the addresses of the hosts
        that have it, and the accounts of this host that may reach them. Both are empty where there is nothing to close.

    Raises:
        TopologyError: the fleet has no such host.
    """
    if host not in topology.addresses:
        raise TopologyError("host", host, "the topology has no such host", did_you_mean(host, topology.addresses))
    address = ip_address(topology.addresses[host])
    found: dict[str, Any] = {"family": _family(address.version), "address": str(address), "listeners": [], "users": []}
    if topology.unix:
        return found
    found["users"] = [
        rule
        for service in topology.services
        for listener in service.listeners
        if listener.users
        for rule in _users(topology, service, listener, host)
    ]
    if not address.is_loopback:
        found["listeners"] = [
            _rule(topology, listener, address.version)
            for service in topology.services
            if host in topology.running(service)
            for listener in service.listeners
            if not listener.public
        ]
    return found


def _family(version: int) -> str:
    return "ip6" if version == 6 else "ip"


def _users(topology: Topology, service: Service, listener: Listener, host: str) -> list[dict[str, Any]]:
    """Returns which accounts of a host may reach a listener: one rule for each family of addresses.

    On a host that the listener is closed to anyway, there is nothing to sort out.
    """
    open_to = {*topology.running(service), *(h for client in listener.clients for h in topology.running(client))}
    if host not in open_to:
        return []
    written = [topology.addresses[other] for other in topology.running(service)]
    return [
        {
            "about": listener.about,
            "family": _family(version),
            "addresses": addresses,
            "ports": listener.ports(topology.options),
            "users": list(listener.users),
        }
        for version in (4, 6)
        if (addresses := _networks(written, version))
    ]


def _rule(topology: Topology, listener: Listener, version: int) -> dict[str, Any]:
    """Returns the ports of a listener, and the networks that need it: the hosts of its clients, and its own input."""
    clients = {host for client in listener.clients for host in topology.running(client)}
    written = [topology.addresses[host] for host in clients]
    written += [] if listener.networks is None else topology.options[listener.networks]
    return {
        "name": listener.name,
        "about": listener.about,
        "ports": listener.ports(topology.options),
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
