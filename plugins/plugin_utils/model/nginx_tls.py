# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the certificate of nginx comes from, and whether it fits; or that a proxy in front of nginx ends TLS."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from .errors import TopologyError
from .values import Problem

if TYPE_CHECKING:
    from .topology import Topology

FILES, SELF_SIGNED, OFF = "files", "self_signed", "off"
MODES = (FILES, SELF_SIGNED, OFF)

_OLD = "nginx_tls_self_signed"
_CERTIFICATE, _KEY = "nginx_tls_certificate", "nginx_tls_certificate_key"
_FIX = "Put the certificate and its key there, or, for a first try, set nginx_tls: self_signed."


def mode_of(variables: Mapping[str, Any]) -> str:
    """Returns where the certificate comes from; inventories without ``nginx_tls`` have the variable before it."""
    return str(variables.get("nginx_tls") or (SELF_SIGNED if variables.get(_OLD) else FILES))


def ends_elsewhere(variables: Mapping[str, Any]) -> bool:
    """Returns whether a proxy in front of nginx ends TLS."""
    return mode_of(variables) == OFF


def listen_address(value: Any) -> Problem | None:
    """Checks for an address with a port."""
    fix = "Write 192.0.2.10:8008, [2001:db8::1]:8008 or 127.0.0.1:8008."
    host, _, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    try:
        address = ip_address(host[1:-1] if host.startswith("[") and host.endswith("]") else host)
    except ValueError:
        return "it is an address of the host with a port", fix
    good = port.isascii() and port.isdigit() and 0 < int(port) < 65536 and (address.version == 6) == ("[" in host)
    return None if good else ("it is an address of the host with a port", fix)


def paths(_topology: Topology, _host: str, variables: Mapping[str, Any]) -> Iterator[str]:
    """Returns the certificate and its key."""
    if mode_of(variables) == FILES:
        yield from (str(variables[name]) for name in (_CERTIFICATE, _KEY) if variables.get(name))


def check(
    topology: Topology, host: str, found: Mapping[str, Any], variables: Mapping[str, Any]
) -> Iterator[TopologyError]:
    """Refuses a host whose certificate is not there or does not fit, or that would trust nobody in front of it."""
    mode = mode_of(variables)
    if variables.get(_OLD) and mode != SELF_SIGNED:
        yield TopologyError(_OLD, True, f"nginx_tls is {mode}", f"Remove {_OLD}: nginx_tls replaces it.", host)
    if mode == OFF:
        yield from _in_front(host, variables)
    elif variables.get("nginx_listen"):
        yield TopologyError(
            "nginx_listen",
            variables["nginx_listen"],
            "nginx listens with TLS, on ports that clients and other servers know",
            "Remove it, or set nginx_tls: 'off' if a proxy in front of nginx ends TLS.",
            host,
        )
    if mode == FILES:
        missing = list(_missing(host, found, variables))
        yield from missing or _not_fitting(topology, host, found, variables)


def _in_front(host: str, variables: Mapping[str, Any]) -> Iterator[TopologyError]:
    if not variables.get("nginx_trusted_proxies"):
        yield TopologyError(
            "nginx_trusted_proxies",
            None,
            "with nginx_tls: 'off' all requests come from the proxy in front, and the limits of Synapse count by the"
            " address of the client, which nginx believes only proxies of this list",
            "Write the addresses of the proxies that end TLS.",
            host,
        )


def _missing(host: str, found: Mapping[str, Any], variables: Mapping[str, Any]) -> Iterator[TopologyError]:
    for name in (_CERTIFICATE, _KEY):
        path = variables.get(name)
        if not path:
            yield TopologyError(
                name,
                None,
                "nginx serves Matrix over TLS only",
                "Set nginx_tls_certificate and nginx_tls_certificate_key to files on the host, nginx_tls: self_signed"
                " for a first try, or nginx_tls: 'off' if a proxy in front of nginx ends TLS.",
                host,
            )
        elif not found.get("paths", {}).get(str(path), True):
            yield TopologyError(name, path, "there is no such file on the host", _FIX, host)


def _not_fitting(
    topology: Topology, host: str, found: Mapping[str, Any], variables: Mapping[str, Any]
) -> Iterator[TopologyError]:
    """Refuses files that clients, or nginx, would refuse; what could not be read is left to the test of nginx."""
    known = found.get("certificates", {})
    path, key_path = str(variables[_CERTIFICATE]), str(variables[_KEY])
    certificate, key = known.get(path), known.get(key_path)
    if certificate is None:
        return
    if certificate["expired"]:
        yield TopologyError(_CERTIFICATE, path, "the certificate has expired", "Renew it, then run again.", host)
    if key is not None and key["public_key"] != certificate["public_key"]:
        yield TopologyError(
            _KEY,
            key_path,
            f"the key does not fit the certificate {path}",
            "Put the key of the certificate there.",
            host,
        )
    names = certificate["names"]
    if names and not any(_covers(name, topology.public_name) for name in names):
        yield TopologyError(
            _CERTIFICATE,
            path,
            f"the certificate is for {', '.join(names[:3])}, and clients come to {topology.public_name}",
            "Get a certificate with this name, or correct synapse_public_baseurl.",
            host,
        )


def _covers(name: str, wanted: str) -> bool:
    bare = wanted[1:-1] if wanted.startswith("[") else wanted
    try:
        return ip_address(name) == ip_address(bare)
    except ValueError:
        lower, wanted = name.lower(), wanted.lower()
    return lower == wanted or (lower.startswith("*.") and wanted.partition(".")[2] == lower[2:])


__all__ = ("FILES", "MODES", "OFF", "SELF_SIGNED", "check", "ends_elsewhere", "listen_address", "mode_of", "paths")
