# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests that show what single routes do not: leaks, and whether what belongs together meets one process."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network
from typing import Iterator, List, Optional, Tuple

from ..replay.configuration import directives
from ..replay.messages import Request
from ..routes.families import is_internal

_SPREAD = 24
# A network for documentation (RFC 5737).
_STRANGERS = ("203.0.113.9", "198.51.100.9", "192.0.2.9")

LEAKS: Tuple[str, ...] = (
    "/_synapse/replication/fed_send_edu/x",
    "/_synapse/metrics",
    "/_matrix/client/..%2f..%2f_synapse/replication/x",
    "/_matrix/client/..%2F..%2F_synapse/metrics",
    "/_matrix/client/%2e%2e/%2e%2e/_synapse/replication/x",
    "/_matrix/client/%2E%2E%2f%2E%2E%2f_synapse/admin/v1/users",
    "/_matrix/client/x%2F..%2F..%2F_synapse/admin/v1/users",
    "/_matrix/client/../../_synapse/admin/v1/users",
    "/_matrix/media/v3/download/..%2f..%2f..%2f..%2f_synapse/admin/v1/users",
    "/_matrix/federation/v1/..%2f..%2f..%2f_synapse/replication/x",
    "/_synapse/client/..%2freplication/x",
    "/_synapse/client/../admin/v1/users",
    "/%5fsynapse/admin/v1/users",
    "/_synapse/%61dmin/v1/users",
    "/_synapse/%72eplication/x",
    "/_matrix%2fclient/v3/sync",
    "//_synapse/admin/v1/users",
    "//_matrix/client/v3/sync",
    "/_matrix/../_synapse/admin/v1/users",
    "/_matrix/client/.%2e/%2e./_synapse/metrics",
    "/_matrix/client/..;/..;/_synapse/../../_synapse/metrics",
    "/health",
    "/_synapse",
    "/_matrix",
    "/x/_matrix/client/v3/sync",
)
"""Raw paths that no process may ever see."""

Keyed = Tuple[str, Request]
"""A request, and the key that it shares with those that have to meet the same process."""


@dataclass(frozen=True)
class AdminAccess:
    """The clients that may use the admin API.

    Attributes:
        inside: an address that may; None if none may.
        outside: an address that may not; None if all may.
    """

    inside: Optional[str]
    outside: Optional[str]

    def admit(self, request: Request) -> Request:
        """Returns a request as a client with access sends it."""
        return self._from(request, self.inside)

    def intrude(self, request: Request) -> Request:
        """Returns a request as a client without access sends it."""
        return self._from(request, self.outside)

    def allows(self, path: str) -> bool:
        """Returns whether any client may request a path."""
        return self.inside is not None or not is_internal(path)

    def _from(self, request: Request, source: Optional[str]) -> Request:
        return replace(request, source=source) if source is not None and is_internal(request.path) else request


def admin_access_of(site_conf: str) -> AdminAccess:
    """Returns the clients that may use the admin API, by the allow directives of nginx's server blocks."""
    words = [item.words[1] for item in directives(site_conf) if item.words[0] == "allow" and len(item.words) == 2]
    if "all" in words:
        return AdminAccess("127.0.0.1", None)
    allowed = [ip_network(word, strict=False) for word in words]
    outside = next((a for a in _STRANGERS if not any(ip_address(a) in network for network in allowed)), None)
    inside = min(allowed, key=lambda network: network.version, default=None)
    return AdminAccess(None if inside is None else str(inside.network_address), outside)


def affinities() -> Iterator[Tuple[str, List[Keyed]]]:
    """Returns groups of requests; within a group, those with the same key have to meet the same process."""
    yield "room", _rooms()
    for kind, tokens in (
        ("user", ("syt_dXNlcj{}_abcdefghij_0abcde", "syt_dXNlcj{}_klmnopqrst_1fghij")),
        ("token", ("mat_opaque{}Token",)),
    ):
        for method, path, more in (
            ("GET", "/_matrix/client/v3/sync", "since=s1&"),
            ("GET", "/_matrix/client/v3/sync", ""),
            ("GET", "/_matrix/client/v3/initialSync", ""),
            ("POST", "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync", ""),
        ):
            yield f"{path.rsplit('/', 1)[1]}?{more}", _users(kind, tokens, method, path, more)
    yield "/send/ of one server", _servers()


def _rooms() -> List[Keyed]:
    """Returns requests for rooms, by several users and with each way to write the id."""
    return [
        (
            f"!room{number}",
            Request(
                method,
                f"/_matrix/client/{version}/rooms/{written.format(number)}/{rest}",
                (("Authorization", f"Bearer syt_dXNlcj{who}_abcdefghij_0abcde"),),
                f"127.0.2.{who}",
            ),
        )
        for number in range(_SPREAD)
        for who, written in enumerate(("!room{}:example.org", "%21room{}%3Aexample.org", "!room{}%3aexample.org"), 1)
        for method, version, rest in (
            ("GET", "v3", "messages?dir=b"),
            ("GET", "r0", "members"),
            ("PUT", "v3", "send/m.room.message/1"),
            ("GET", "v1", "hierarchy"),
        )
    ]


def _users(kind: str, tokens: Tuple[str, ...], method: str, path: str, more: str) -> List[Keyed]:
    """Returns requests of users, with each of their tokens, in the header and in the query."""
    return [
        (f"{kind} {number}", request)
        for number in range(_SPREAD)
        for token in (template.format(number) for template in tokens)
        for request in (
            Request(method, f"{path}?{more}timeout=0", (("Authorization", f"Bearer {token}"),)),
            Request(method, f"{path}?{more}access_token={token}"),
            Request(method, f"{path}?access_token={token}&{more}timeout=0"),
        )
    ]


def _servers() -> List[Keyed]:
    """Returns transactions of other servers."""
    sources = [f"127.0.1.{number + 1}" for number in range(_SPREAD)]
    return [
        (source, Request("PUT", f"/_matrix/federation/v1/send/{number}", source=source))
        for number in range(2)
        for source in sources
    ]


__all__ = ("LEAKS", "AdminAccess", "Keyed", "admin_access_of", "affinities")
