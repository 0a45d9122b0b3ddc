# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may reach the private listeners of a host: what the role firewall makes an nftables table of.

The rules name whole bands of ports, so that a worker more on a host changes none of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address, ip_network
from typing import Any

from ..model import layout
from ..model.errors import TopologyError, did_you_mean
from ..model.topology import Topology

_BAND = layout.SLOTS * layout.SLOT_SIZE


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
    synapse_hosts = {process.host for process in topology.processes}
    synapse = _networks(topology.addresses[name] for name in synapse_hosts)
    options = topology.options
    if host == topology.postgres_host:
        found["listeners"].append(_listener("postgresql", "PostgreSQL, for Synapse", options["postgres_port"], synapse))
    if host == topology.redis_host:
        found["listeners"].append(_listener("redis", "Redis, for Synapse", options["redis_port"], synapse))
    if host in synapse_hosts:
        nginx = _networks(topology.addresses[name] for name in topology.nginx_hosts)
        metrics = _networks(options["synapse_metrics_allowed"], version=address.version)
        found["listeners"] += [
            _listener("http", "HTTP of Synapse's processes, for nginx", layout.HTTP_BASE, nginx, _BAND),
            _listener("replication", "what they ask each other", layout.REPLICATION_BASE, synapse, _BAND),
            _listener("metrics", "their metrics, for synapse_metrics_allowed", layout.METRICS_BASE, metrics, _BAND),
        ]
    return found


def _listener(name: str, about: str, first: int, sources: list[str], count: int = 1) -> dict[str, Any]:
    ports = str(first) if count == 1 else f"{first}-{first + count - 1}"
    return {"name": name, "about": about, "ports": ports, "sources": sources}


def _networks(written: Iterable[str], version: int | None = None) -> list[str]:
    """Returns networks in the order of their numbers, a single address without its prefix length.

    Args:
        written: networks or addresses.
        version: 4 or 6, to leave out the others, which cannot reach an address of that version.
    """
    networks = {ip_network(entry, strict=False) for entry in written}
    wanted = sorted(
        (n for n in networks if version in (None, n.version)),
        key=lambda n: (n.version, int(n.network_address), n.prefixlen),
    )
    return [str(n.network_address) if n.prefixlen == n.max_prefixlen else str(n) for n in wanted]
