# SPDX-License-Identifier: GPL-3.0-or-later
"""nginx of one host: the names that it serves, where it listens, and what it leaves to other sites of the host."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..model import layout
from ..model.errors import TopologyError
from ..model.inputs import INPUTS
from ..model.nginx_tls import OFF, mode_of
from ..model.platform import platform_of
from .nginx_tenants import Setting, Tenants, http_settings, is_included, left_to_us, main_settings, tenants_of

if TYPE_CHECKING:
    from ..model.topology import Topology

SERVE, INCLUDE = "serve", "include"
"""What nginx does for the base domain: a site of its own, or a file for the server block of a website."""

_READ = (
    "nginx_base_domain",
    "nginx_http_port",
    "nginx_ipv6",
    "nginx_listen",
    "nginx_server_names",
    "nginx_tls",
    "nginx_tls_self_signed",
    "nginx_tls_self_signed_names",
    "nginx_worker_connections",
)


@dataclass(frozen=True, kw_only=True)
class Edge:
    """nginx of one host.

    Attributes:
        base: the base domain.
        public: the name in the URL that clients use.
        more: further names and addresses.
        included: the base domain has a website, whose server block includes ours.
        tls: where the certificate comes from, or that there is none.
        listen: without TLS, the address and the port; None for the port of plain HTTP.
        http_port: the port of plain HTTP.
        addresses: what stands before a port: nothing for all of IPv4, ``[::]:`` for all of IPv6.
        http2_option: HTTP/2 is an option of ``listen``.
        settings: what nginx takes only once.
        tenants: what nginx serves for others.
    """

    base: str
    public: str
    more: tuple[str, ...]
    included: bool
    tls: str
    listen: str | None
    http_port: int
    addresses: tuple[str, ...]
    http2_option: bool
    settings: tuple[Setting, ...]
    tenants: Tenants

    @property
    def names(self) -> list[str]:
        """The names of our sites."""
        own = [self.public] if self.included else [self.base, self.public]
        return list(dict.fromkeys([*own, *self.more]))

    @property
    def tls_ports(self) -> tuple[int, ...]:
        """The ports with TLS."""
        return () if self.tls == OFF else (layout.HTTPS_PORT, layout.FEDERATION_PORT)

    @property
    def plain_port(self) -> int:
        """The port without TLS."""
        return self.http_port if self.listen is None else int(self.listen.rpartition(":")[2])

    @property
    def ports(self) -> tuple[int, ...]:
        """All ports."""
        return self.plain_port, *self.tls_ports

    @property
    def main(self) -> list[str]:
        """What ``listen`` gets in the block that serves Matrix."""
        ports = self.tls_ports or (self.plain_port,)
        return [listen for port in ports for listen in self.listens(port)]

    def listens(self, port: int) -> list[str]:
        """Returns what ``listen`` gets for a port."""
        if self.listen is not None:
            return [self.listen]
        tls = "" if port == self.http_port else " ssl http2" if self.http2_option else " ssl"
        return [f"{address}{port}{tls}" for address in self.addresses]

    def unclaimed(self) -> list[str]:
        """Returns what ``listen`` gets in the block for unknown names: where no other site listens."""
        return [
            listen
            for port in self.ports
            for address, listen in zip(self.addresses, self.listens(port), strict=False)
            if not self.tenants.uses("[::]" if address else "*", port)
        ]

    def includes_ours(self) -> bool:
        """Returns whether a server block for the base domain includes our file."""
        return any(
            is_included(layout.NGINX_WELL_KNOWN, pattern)
            for server in self.tenants.servers
            if self.base in server["names"] or f".{self.base}" in server["names"]
            for pattern in server["includes"]
        )


def edge_of(topology: Topology, host: str, found: Mapping[str, Any], variables: Mapping[str, Any]) -> Edge:
    """Returns nginx of one host.

    Args:
        topology: the fleet.
        host: the inventory name of the host.
        found: what the module host_survey has found on it.
        variables: of the host, as far as they are set, with their types.
    """
    said = {**{name: INPUTS[name].default for name in _READ}, **variables}
    more = [*said["nginx_server_names"], *said["nginx_tls_self_signed_names"]]
    return Edge(
        base=topology.base_domain,
        public=topology.public_name,
        more=tuple(_in_brackets(str(name).lower()) for name in more),
        included=said["nginx_base_domain"] == INCLUDE,
        tls=mode_of(said),
        listen=said["nginx_listen"] if mode_of(said) == OFF else None,
        http_port=said["nginx_http_port"],
        addresses=("", "[::]:") if said["nginx_ipv6"] else ("",),
        http2_option=not platform_of(host, found).nginx_http2_directive,
        settings=(*http_settings(), *main_settings(said["nginx_worker_connections"])),
        tenants=tenants_of(found),
    )


def _in_brackets(name: str) -> str:
    """Returns a name as it is in a Host header."""
    return f"[{name}]" if ":" in name and not name.startswith("[") else name


def proxy_edge(topology: Topology, host: str, found: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what nginx's files need to know of one host; the arguments are those of ``edge_of``."""
    edge = edge_of(topology, host, found, variables)
    settings = left_to_us(edge.tenants, edge.settings)
    return {
        "names": edge.names,
        "tls": edge.tls,
        "plain": edge.listens(edge.http_port) if edge.tls_ports else [],
        "main": edge.main,
        "catch_all": edge.unclaimed(),
        "settings": {
            block: [{"name": entry.name, "value": entry.value} for entry in settings if entry.block == block]
            for block in ("main", "http")
        },
        "disabled": [
            *([] if edge.tenants.default_site else [layout.NGINX_DEFAULT_SITE]),
            layout.NGINX_OLD_SITE_LINK,
        ],
        "alone": not edge.tenants.servers,
        "include": layout.NGINX_WELL_KNOWN_INCLUDE,
        "include_missing": edge.included and not edge.includes_ours(),
    }


def check_tenants(
    topology: Topology, host: str, found: Mapping[str, Any], variables: Mapping[str, Any]
) -> Iterator[TopologyError]:
    """Refuses a host whose nginx has sites or settings that exclude ours; the arguments are those of ``edge_of``."""
    edge = edge_of(topology, host, found, variables)
    if edge.tenants.refusal:
        yield TopologyError(
            "nginx -t",
            edge.tenants.refusal,
            "nginx refuses the configuration that is on the host already, in a file of another site",
            "Repair that file first.",
            host,
        )
    yield from _names(edge, host)
    yield from _listeners(edge, host)
    yield from _settings(edge, host)
    yield from _places(edge, host)


def _names(edge: Edge, host: str) -> Iterator[TopologyError]:
    if edge.included and edge.base == edge.public:
        yield TopologyError(
            "nginx_base_domain",
            INCLUDE,
            f"clients use the base domain {edge.base} too, so nginx has to serve all of it",
            f"Give Matrix a name of its own, such as synapse_public_baseurl: https://matrix.{edge.base}/.",
            host,
        )
    for name in edge.names:
        site = edge.tenants.serving(name, edge.ports)
        if site is None:
            continue
        variable, fix = _fix(edge, name)
        yield TopologyError(
            variable,
            name,
            f"{site['file']} has a server block for this name, and nginx would use only one of the two",
            fix,
            host,
        )


def _fix(edge: Edge, name: str) -> tuple[str, str]:
    """Returns the variable that a name comes from, and what to do if another site has the name."""
    if name not in (edge.base, edge.public):
        return "nginx_server_names", "Remove the name here or there."
    matrix = f"synapse_public_baseurl: https://matrix.{edge.base}/"
    if name != edge.base:
        return "synapse_public_baseurl", f"Remove the name there, or use another one, such as {matrix}."
    own = "" if edge.public != edge.base else f"Give Matrix a name of its own, such as {matrix}. "
    return "synapse_server_name", (
        f"{own}If it is a website that stays, set nginx_base_domain: {INCLUDE}, and write"
        f" '{layout.NGINX_WELL_KNOWN_INCLUDE}' into its server block for TLS: it then serves /.well-known/matrix/ too."
        " If it is not needed any more, remove it."
    )


def _listeners(edge: Edge, host: str) -> Iterator[TopologyError]:
    for port in edge.ports:
        for server, listen in edge.tenants.listening(port):
            if server["kind"] == "stream":
                reason = "passes this port on as a stream, so no site can have it"
                fix = f"Let it listen on another port, or, if it passes Matrix on, on another address than {host}'s."
            elif "ipv6only=off" in listen["options"]:
                reason = "listens there for IPv4 and IPv6 at once (ipv6only=off), which excludes a listener for IPv4"
                fix = f"Write 'listen {port}' and 'listen [::]:{port}' there instead."
            else:
                continue
            yield TopologyError(f"port {port}", server["file"], f"nginx's file {reason}", fix, host)


def _settings(edge: Edge, host: str) -> Iterator[TopologyError]:
    for setting in edge.settings:
        theirs = edge.tenants.value(setting)
        if theirs is None or not setting.value.isdecimal():
            continue
        value, file = theirs
        if not value.isdecimal() or int(value) < int(setting.value):
            yield TopologyError(
                f"{setting.name} in {file}",
                value,
                f"nginx takes it only once, and needs {setting.value} here",
                f"Set it to {setting.value} there, or remove it: this collection sets it then.",
                host,
            )


def _places(edge: Edge, host: str) -> Iterator[TopologyError]:
    """Refuses an nginx.conf that would not read our files."""
    if not edge.tenants.read:
        return
    for block, path in (
        ("main", layout.NGINX_MAIN_CONF),
        ("http", layout.NGINX_HTTP_CONF),
        ("http", layout.NGINX_SITE_LINK["path"]),
    ):
        if not edge.tenants.includes(block, path):
            yield TopologyError(
                "nginx.conf",
                f"without {path}",
                f"the {block} block of {layout.NGINX_ETC}/nginx.conf includes no such file, so nginx would not read it",
                f"Write 'include {path.rpartition('/')[0]}/*{'.conf' if path.endswith('.conf') else ''};' into it, as"
                " Debian's nginx.conf has it.",
                host,
            )


__all__ = ("INCLUDE", "SERVE", "check_tenants", "edge_of", "proxy_edge")
