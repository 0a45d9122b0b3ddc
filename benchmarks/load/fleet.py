# SPDX-License-Identifier: GPL-3.0-or-later
"""A load on a fleet of disposable hosts."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.routing.proxy import proxy_server

from tools.inventory import load_topology
from tools.runs import Fleet

from . import RunningLoad, load_running

_CERTIFICATE = "/etc/ssl/certs/matrix-synapse.pem"
_UNLIMITED = {"per_second": 1000, "burst_count": 1000}

LET_IN: dict[str, Any] = {
    "enable_registration": True,
    "enable_registration_without_verification": True,
    # Hashing passwords is not what is measured.
    "bcrypt_rounds": 4,
    "rc_message": _UNLIMITED,
    "rc_registration": _UNLIMITED,
    "rc_login": {"address": _UNLIMITED, "account": _UNLIMITED, "failed_attempts": _UNLIMITED},
    "rc_joins": {"local": _UNLIMITED, "remote": _UNLIMITED},
    "rc_joins_per_room": _UNLIMITED,
    "rc_room_creation": _UNLIMITED,
    "rc_media_create": _UNLIMITED,
}
"""``synapse_extra_config`` of a server that a load may enter: open registration and no limits."""


def load_on(fleet: Fleet, *, edges: Sequence[str] = (), **options: Any) -> AbstractContextManager[RunningLoad]:
    """Returns a load on a fleet with self-signed certificates and ``LET_IN``.

    Args:
        fleet: the fleet, deployed.
        edges: its hosts with nginx; by default its first host.
        options: further arguments of ``Load``.
    """
    topology = load_topology(fleet.inventory, fleet.override)
    names = edges or [fleet.host]
    certificates = "".join(fleet.shell(f"cat {_CERTIFICATE}", host=name) for name in names)
    trust = ssl.create_default_context(cadata=certificates)
    trust.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    urls = [f"https://{fleet.addresses[name]}" for name in names]
    return load_running(urls, host=str(proxy_server(topology)["public_name"]), trust=trust, **options)
