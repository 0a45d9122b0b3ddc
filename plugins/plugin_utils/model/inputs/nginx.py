# SPDX-License-Identifier: GPL-3.0-or-later
"""The inputs of nginx."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from ..addresses import certificate_names, networks
from ..kinds import boolean, list_of, number, one_of, port, text, to_text
from ..layout import HTTP_PORT
from ..nginx_tls import MODES, OFF, listen_address
from ..paths import read_by_nginx, webroot
from ..schema import Input
from ..service import NGINX


def _off(value: Any) -> Any:
    """Reads the word off, which YAML reads as false."""
    return OFF if value is False else to_text(value)


_nginx = partial(Input, role=NGINX, per_host=True)

INPUTS = (
    _nginx(
        name="nginx_tls",
        about="Where the certificate comes from; V(off) if a proxy in front of nginx ends TLS.",
        more=(
            "With V(files), which is meant if it is not set, it is C(nginx_tls_certificate). With V(self_signed) the"
            " host makes it, for a first try.",
            "With V(off), nginx serves plain HTTP, and C(nginx_trusted_proxies) has the proxies in front.",
        ),
        kind=replace(one_of(MODES), convert=_off),
        since="0.2.0",
    ),
    _nginx(
        name="nginx_listen",
        about="Address and port of plain HTTP with C(nginx_tls) off; C(nginx_http_port) on all addresses if not set.",
        kind=text(listen_address),
        since="0.2.0",
    ),
    _nginx(
        name="nginx_tls_certificate",
        about="Path on the host of the certificate with its chain; needed with C(nginx_tls) set to V(files).",
        kind=text(read_by_nginx("/etc/ssl/matrix/fullchain.pem")),
    ),
    _nginx(
        name="nginx_tls_certificate_key",
        about="Path on the host of the certificate's key; needed with C(nginx_tls) set to V(files).",
        kind=text(read_by_nginx("/etc/ssl/matrix/privkey.pem")),
    ),
    _nginx(
        name="nginx_tls_self_signed",
        about="The same as V(self_signed) for C(nginx_tls), which replaces it.",
        kind=boolean,
        default=False,
    ),
    _nginx(
        name="nginx_tls_self_signed_names",
        about="Names and addresses in the self-signed certificate, besides the names of the server.",
        kind=list_of(certificate_names),
        default=[],
    ),
    _nginx(
        name="nginx_server_names",
        about=(
            "Further names and addresses under which clients come; those of the self-signed certificate are among them."
        ),
        more=(
            "Requests for other names than these, the base domain and the name in C(synapse_public_baseurl) are"
            " answered with 421.",
        ),
        kind=list_of(certificate_names),
        default=[],
        since="0.2.0",
    ),
    _nginx(
        name="nginx_base_domain",
        about="What nginx does for the base domain, the server name.",
        more=(
            "With V(serve) it has a site for that name.",
            "With V(include) a website of the host has that name. Its server block for TLS includes"
            " C(snippets/matrix-synapse-well-known*.conf), which has the answers below C(/.well-known/matrix/).",
        ),
        kind=one_of(["serve", "include"]),
        default="serve",
        since="0.2.0",
    ),
    _nginx(
        name="nginx_hsts",
        about="Whether nginx tells browsers to use its names only with TLS, for a year (C(Strict-Transport-Security)).",
        kind=boolean,
        default=True,
        since="0.2.0",
    ),
    _nginx(
        name="nginx_sandbox",
        about="Whether nginx's unit lacks rights that a web server does not need.",
        more=(
            "Sites can still be anywhere on the host, and nginx can write to all directories but C(/usr), C(/boot) and"
            " C(/etc). A change is in force after the next restart of nginx.",
        ),
        kind=boolean,
        default=True,
        since="0.2.0",
    ),
    _nginx(
        name="nginx_admin_allowed",
        about=(
            "Networks from which nginx lets the admin API be used, such as V(192.0.2.0/24), and the internal API"
            " that Matrix"
            " Authentication Service uses; none if it is empty."
        ),
        more=("Names are refused.",),
        kind=list_of(networks("nginx")),
        default=[],
    ),
    _nginx(
        name="nginx_trusted_proxies",
        about="Networks of proxies in front of nginx. Only from them, C(X-Forwarded-For) sets the client's address.",
        more=("Names are refused.",),
        kind=list_of(networks("nginx")),
        default=[],
    ),
    _nginx(
        name="nginx_http_port",
        about="The port that redirects to https and answers ACME challenges.",
        kind=port,
        default=HTTP_PORT,
    ),
    _nginx(
        name="nginx_acme_webroot",
        about="The directory in which an ACME client puts its challenges (C(--webroot) of certbot).",
        kind=text(webroot("/var/www/matrix-acme"), type="path"),
        default="/var/www/matrix-acme",
    ),
    _nginx(
        name="nginx_ipv6",
        about="Whether to listen on IPv6 too. Set it to false if the kernel has no IPv6.",
        kind=boolean,
        default=True,
    ),
    _nginx(
        name="nginx_worker_connections",
        about="Connections of each nginx process. A client that waits for events uses two, one of them to Synapse.",
        more=("It is set in Debian's C(nginx.conf), because nginx allows it only once, in the block C(events).",),
        kind=number(16, 1 << 20, "connections"),
        default=8192,
    ),
    _nginx(
        name="nginx_error_log_level",
        about="The least severe kind of message in the error log of the sites.",
        more=(
            "What nginx logs of a request has its whole request line, with the access token in the query string, at"
            " every level. With V(none) nothing is logged of requests; nginx's other messages are in"
            " C(/var/log/nginx/error.log).",
        ),
        kind=one_of(["none", "debug", "info", "notice", "warn", "error", "crit", "alert", "emerg"]),
        default="none",
    ),
)

__all__ = ("INPUTS",)
