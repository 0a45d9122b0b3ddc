# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses, networks, names of servers and URLs: what nginx, nftables, PostgreSQL, Redis and Synapse all accept."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

from .values import Check, Problem

_MAPPED = IPv6Network("::ffff:0:0/96")
_LINK_LOCAL = IPv6Network("fe80::/10")
_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DNS_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_NAME_MAXIMUM = 230
_PRIVATE = "10.0.0.11 or fd00::11"
_HOST_AND_PORT = re.compile(r"(?P<host>\[[^\]]*\]|[^:\[\]]+)(?::(?P<port>[0-9]{1,5}))?")
_URL = re.compile(r"https?://(?P<server>[^/]+)(?P<path>(?:/[A-Za-z0-9._~-]+)*/?)")


def parsed_address(value: Any) -> IPv4Address | IPv6Address | None:
    """Returns an IP address without a zone, None for anything else."""
    if not isinstance(value, str) or "%" in value:
        return None
    try:
        return ip_address(value)
    except ValueError:
        return None


def is_dns_name(value: str) -> bool:
    """Returns whether a text is a DNS name, in upper or lower case."""
    return len(value) <= _NAME_MAXIMUM and _DNS_NAME.fullmatch(value) is not None


def host_address(value: Any) -> Problem | None:
    """Checks for the address of one host."""
    if isinstance(value, str) and "%" in value:
        return "a zone is known to one host only, and the others need the address", f"Write {_PRIVATE}."
    found = parsed_address(value)
    if found is None:
        return "it is an IP address, because PostgreSQL and the firewall admit hosts by address", "Write 10.0.0.11."
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        return "it is an IPv4 address in IPv6's form, which the firewall would never see", f"Write {found.ipv4_mapped}."
    reason = _not_of_one_host(found)
    return None if reason is None else (reason, f"Set it to the host's private address, such as {_PRIVATE}.")


def _not_of_one_host(found: IPv4Address | IPv6Address) -> str | None:
    if found.is_unspecified:
        return "other hosts cannot reach this one at this address, and processes would listen on all networks"
    if found.is_multicast or found == IPv4Address("255.255.255.255"):
        return "it is an address of many hosts"
    if found in _LINK_LOCAL:
        return "a link-local address needs a zone, which only one host knows"
    return None


def networks(reader: str) -> Check:
    """Returns a check that a value is a list of networks; the reader is what would look names up."""
    fix = "Write a list of networks, such as [192.0.2.0/24, 2001:db8::/32]; one address is a network as well."

    def check(value: Any) -> Problem | None:
        if not isinstance(value, list):
            return "it is a list of networks", fix
        return next(_network_problems(value, reader, fix), None)

    return check


def _network_problems(entries: list[Any], reader: str, fix: str) -> Iterator[Problem]:
    for entry in entries:
        try:
            network = ip_network(entry if isinstance(entry, str) else "", strict=False)
        except ValueError:
            yield f"{entry!r} in it is no network, and {reader} looks names up only when it starts", fix
            continue
        if "%" in entry:
            yield f"{entry!r} in it has a zone, which {reader} does not read", "Write the network without the zone."
        elif isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
            plain = network.network_address.ipv4_mapped
            yield (
                f"{entry!r} in it is IPv4 in IPv6's form, and {reader} would never see such a client",
                (f"Write {plain}/{network.prefixlen - 96}."),
            )


def server_name(value: Any) -> Problem | None:
    """Checks for the name of a Matrix server."""
    if value is None:
        return (
            "every Matrix id of this server ends in it, and it can never be changed",
            "Set synapse_server_name: example.org in group_vars/all.",
        )
    if isinstance(value, str) and value == value.lower() and is_host_and_port(value):
        return None
    return "a server name is a DNS name in lower case, or an address, with an optional port", (
        "Write it without https:// and without a path, for example example.org."
    )


def url(value: Any) -> Problem | None:
    """Checks for the URL that clients use."""
    found = _URL.fullmatch(value) if isinstance(value, str) else None
    if found is not None and is_host_and_port(found["server"]) and urlsplit(value).hostname:
        return None
    return "it is a URL", "Write https://matrix.example.org/."


def is_host_and_port(value: str) -> bool:
    """Returns whether a text is a DNS name or an address, IPv6 in brackets, with an optional port."""
    found = _HOST_AND_PORT.fullmatch(value)
    if found is None or (found["port"] is not None and not 1 <= int(found["port"]) <= 65535):
        return False
    host = found["host"]
    if host.startswith("["):
        return isinstance(parsed_address(host[1:-1]), IPv6Address)
    # What looks like an address is one: 192.0.2.999 is no name.
    if re.fullmatch(r"[0-9.]+", host):
        return isinstance(parsed_address(host), IPv4Address)
    return is_dns_name(host)


def certificate_names(value: Any) -> Problem | None:
    """Checks for names and addresses of a certificate."""
    fix = "Write a list of DNS names and addresses, such as [matrix.lan, 192.0.2.10]."
    if not isinstance(value, list):
        return "it is a list of names and addresses", fix
    for entry in value:
        if not isinstance(entry, str) or not _is_certificate_name(entry):
            return f"{entry!r} in it is neither a DNS name nor an address", fix
    return None


def _is_certificate_name(value: str) -> bool:
    bare = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    return parsed_address(bare) is not None or is_dns_name(value.removeprefix("*."))


def inventory_name(value: str) -> bool:
    """Returns whether the name of a host in the inventory can be the name of a directory and stand in a line."""
    return re.fullmatch(r"[^/\x00-\x1f\x7f]+", value) is not None and value not in (".", "..")


__all__ = (
    "certificate_names",
    "host_address",
    "inventory_name",
    "is_dns_name",
    "is_host_and_port",
    "networks",
    "parsed_address",
    "server_name",
    "url",
)
