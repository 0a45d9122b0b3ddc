# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles need to know of the whole fleet."""

from __future__ import annotations

from typing import Any

from ..lifecycle.dependencies import reloads
from ..model import layout
from ..model.topology import Topology
from ..routing.registry import registry
from ..routing.rules import kept_on_main


def fleet(topology: Topology) -> dict[str, Any]:
    """Returns server name, release, routes, transport, who does what, and how PostgreSQL and Redis are reached."""
    options = topology.options
    redis_package = layout.REDIS_PACKAGES[options["redis_package"]]
    synapse_hosts = sorted({process.host for process in topology.processes})
    return {
        "server_name": topology.server_name,
        "release": str(topology.release),
        "routes": {
            "release": str(registry().known(topology.release)),
            "known": registry().is_known(topology.release),
            "kept_on_main": [{"path": path, "reason": reason} for path, reason in sorted(kept_on_main().items())],
        },
        "reloads": reloads(topology.release),
        "transport": "unix" if topology.unix else "tcp",
        "hosts": list(topology.addresses),
        "main_host": topology.main.host,
        "synapse_hosts": synapse_hosts,
        "nginx_hosts": list(topology.nginx_hosts),
        "has_workers": bool(topology.workers),
        "synapse_addresses": [topology.addresses[host] for host in synapse_hosts],
        "media_store_path": options["synapse_media_store_path"],
        "jemalloc": options["synapse_jemalloc"],
        "database": {
            "name": layout.DATABASE,
            "user": layout.USER,
            "port": options["postgres_port"],
            "host": topology.postgres_host,
            "address": topology.addresses[topology.postgres_host],
            "socket_dir": layout.POSTGRES_SOCKET_DIR,
            "tls": options["postgres_tls"] and not topology.unix,
            "tls_root_certificate": None if topology.unix else options["postgres_tls_root_certificate"],
        },
        "redis": None
        if topology.redis_host is None
        else {
            "package": options["redis_package"],
            "group": redis_package["group"],
            "socket": redis_package["path"],
            "host": topology.redis_host,
            "address": topology.addresses[topology.redis_host],
            "port": options["redis_port"],
        },
    }
