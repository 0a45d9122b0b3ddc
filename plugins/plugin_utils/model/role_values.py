# SPDX-License-Identifier: GPL-3.0-or-later
"""What the variables of roles may say, where a value is printed into a file of another program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .addresses import certificate_names, networks
from .errors import TopologyError
from .paths import absolute, read_by_nginx, webroot
from .texts import environment, loggers
from .values import Check, plain

if TYPE_CHECKING:
    from .service import HostCheck
    from .topology import Topology


def _or_none(check: Check) -> Check:
    return lambda value: None if value in (None, "") else check(value)


_of_nginx = networks("nginx")

NGINX: Mapping[str, Check] = {
    "nginx_tls_certificate": _or_none(read_by_nginx("/etc/ssl/matrix/fullchain.pem")),
    "nginx_tls_certificate_key": _or_none(read_by_nginx("/etc/ssl/matrix/privkey.pem")),
    "nginx_tls_self_signed_names": certificate_names,
    "nginx_server_names": certificate_names,
    # The inventory was checked; these may come from a play.
    "nginx_admin_allowed": _of_nginx,
    "nginx_trusted_proxies": _of_nginx,
    "nginx_acme_webroot": webroot("/var/www/matrix-acme"),
}
POSTGRES: Mapping[str, Check] = {
    "postgres_server_certificate": _or_none(absolute("/etc/ssl/certs/postgres.pem")),
    "postgres_server_certificate_key": _or_none(absolute("/etc/ssl/private/postgres.key")),
}
SYNAPSE: Mapping[str, Check] = {
    "synapse_loggers": loggers,
    "synapse_install_environment": environment,
}

_SECRET = ("synapse_install_environment",)


def check_values(checks: Mapping[str, Check]) -> HostCheck:
    """Returns a check of the variables of a host.

    Args:
        checks: the checks by the names of the variables; one that is not set is left out.
    """

    def check(
        _topology: Topology, host: str, _found: Mapping[str, Any], variables: Mapping[str, Any]
    ) -> Iterator[TopologyError]:
        for name, checked in checks.items():
            if name not in variables:
                continue
            value = plain(variables[name])
            problem = checked(value)
            if problem is not None:
                yield TopologyError(name, "(not shown)" if name in _SECRET else value, *problem, host=host)

    return check


__all__ = ("NGINX", "POSTGRES", "SYNAPSE", "check_values")
