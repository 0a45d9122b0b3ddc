# SPDX-License-Identifier: GPL-3.0-or-later
"""The inputs of PostgreSQL."""

from __future__ import annotations

from functools import partial
from typing import Any

from ..kinds import boolean, list_of_texts, mapping, matching, name_in_unit, number, port, text
from ..layout import POSTGRES_PORT
from ..paths import absolute, seen_by_units
from ..schema import Input
from ..service import POSTGRES
from ..sizes import POSTGRES_LEAST_MIB
from ..values import Problem


def _memory(value: Any) -> Problem | None:
    # 0 stands for "not set".
    if value == 0 or value >= POSTGRES_LEAST_MIB:
        return None
    return (
        f"it is memory in MiB, a whole number from {POSTGRES_LEAST_MIB} on",
        "Set it higher, or leave it out to plan with the memory of the host.",
    )


_postgres = partial(Input, role=POSTGRES, per_host=True)

INPUTS = (
    Input(
        name="postgres_port",
        about="PostgreSQL's port.",
        kind=port,
        default=POSTGRES_PORT,
    ),
    Input(
        name="postgres_tls",
        about="Whether Synapse's connections to PostgreSQL are encrypted; used with V(tcp).",
        kind=boolean,
        default=False,
    ),
    Input(
        name="postgres_tls_root_certificate",
        about="Where the hosts of Synapse have the certificate that signs PostgreSQL's, which is then verified.",
        kind=text(seen_by_units("/etc/ssl/matrix/root.pem"), type="path"),
    ),
    _postgres(
        name="postgres_cluster",
        about=(
            "The name of the cluster that serves Synapse; if not set, the one that Synapse uses already, else"
            " C(synapse)."
        ),
        more=(
            "It is created if it does not exist. If it is not set, it is V(main) on hosts where an earlier release of"
            " this collection has used that cluster. A cluster V(main) of others is left alone then.",
        ),
        kind=name_in_unit,
        since="0.2.0",
    ),
    _postgres(
        name="postgres_shared_with",
        about="Databases of others in that cluster, which you confirm: their clients notice when it restarts.",
        more=("In such a cluster only C(max_connections), an address to listen on and C(postgres_settings) are set.",),
        kind=list_of_texts("names of databases", "Write [shop, wiki]."),
        default=[],
        since="0.2.0",
    ),
    _postgres(
        name="postgres_version",
        about=(
            "The major version of PostgreSQL; that of the cluster that the host already has if not set, else the"
            " distribution's."
        ),
        more=(
            "It must be the distribution's (15 on Debian 12, 17 on Debian 13) or that of a cluster that the host"
            " already has.",
        ),
        kind=matching(
            r"[0-9]{1,3}(\.[0-9]{1,3})?", "it is a major version of PostgreSQL", 'Write "17", or leave it out.'
        ),
    ),
    _postgres(
        name="postgres_memory_mib",
        about=(
            "The memory on which the settings are based, in MiB; all memory of the host if not set, or half of"
            " it if Synapse"
            " runs on the same host."
        ),
        kind=number(0, 1 << 30, "MiB").limited(_memory),
    ),
    _postgres(
        name="postgres_server_certificate",
        about=(
            "Path, on the host, of the server's certificate, where C(postgres_tls) is set; the one of Debian's package"
            " C(ssl-cert) if not set."
        ),
        more=("With C(postgres_tls_root_certificate) it must name the host's C(synapse_address).",),
        kind=text(absolute("/etc/ssl/certs/postgres.pem"), type="path"),
    ),
    _postgres(
        name="postgres_server_certificate_key",
        about="Path of the certificate's key. The user C(postgres) must be able to read it, other users must not.",
        kind=text(absolute("/etc/ssl/private/postgres.key"), type="path"),
    ),
    _postgres(
        name="postgres_settings",
        about="Further settings for C(postgresql.conf), by name. They override what the role computes.",
        more=(
            "See P(baremetal.synapse.postgres_settings#filter). PostgreSQL tries them before they are written.",
            "Not C(port), C(listen_addresses) and C(unix_socket_directories), which follow from C(postgres_port) and"
            " C(synapse_transport).",
        ),
        kind=mapping,
        default={},
        secret=True,
    ),
)

__all__ = ("INPUTS",)
