# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles need to know of the whole fleet."""

from __future__ import annotations

from typing import Any

from ..lifecycle.dependencies import reloads
from ..model import layout
from ..model.services import NGINX, POSTGRES, REDIS
from ..model.topology import Topology
from ..routing.registry import registry
from ..routing.rules import kept_on_main
from ..servers.redis import instance_of
from ..synapse.options import option_notices


def fleet(topology: Topology) -> dict[str, Any]:
    """Returns server name, release, routes, notices, transport, hosts, and the connections to PostgreSQL and Redis."""
    options = topology.options
    synapse_hosts = sorted(topology.process_hosts)
    return {
        "server_name": topology.server_name,
        "release": str(topology.release),
        "routes": {
            "release": str(registry().known(topology.release)),
            "known": registry().is_known(topology.release),
            "kept_on_main": [{"path": path, "reason": reason} for path, reason in sorted(kept_on_main().items())],
        },
        "notices": [*_routes_of_another_release(topology), *option_notices(topology)],
        "reloads": reloads(topology.release),
        "transport": "unix" if topology.unix else "tcp",
        "hosts": list(topology.addresses),
        "main_host": topology.main.host,
        "synapse_hosts": synapse_hosts,
        "nginx_hosts": list(topology.hosts_of(NGINX)),
        "tls_ports": [layout.HTTPS_PORT, layout.FEDERATION_PORT],
        "has_workers": bool(topology.workers),
        "synapse_addresses": [topology.addresses[host] for host in synapse_hosts],
        "media_store_path": options["synapse_media_store_path"],
        "jemalloc": options["synapse_jemalloc"],
        "database": _database(topology),
        "redis": _redis(topology),
    }


def _routes_of_another_release(topology: Topology) -> list[str]:
    if registry().is_known(topology.release):
        return []
    return [
        f"synapse_version is {topology.release}: this collection does not know its routes and uses those of the"
        f" nearest older release, {registry().known(topology.release)}. What came later stays on the main process. In a"
        f" checkout, `make routes RELEASE={topology.release}` reads them."
    ]


def _database(topology: Topology) -> dict[str, Any]:
    options = topology.options
    return {
        "name": layout.DATABASE,
        "user": layout.USER,
        "port": options["postgres_port"],
        "host": topology.host_of(POSTGRES),
        "address": topology.address_of(POSTGRES),
        "socket_dir": layout.POSTGRES_SOCKET_DIR,
        "tls": options["postgres_tls"] and not topology.unix,
        "tls_root_certificate": None if topology.unix else options["postgres_tls_root_certificate"],
    }


def _redis(topology: Topology) -> dict[str, Any] | None:
    options = topology.options
    if topology.host_of(REDIS) is None:
        return None
    instance = instance_of(topology)
    return {
        "package": options["redis_package"],
        "group": instance.group,
        "socket": instance.path,
        "host": topology.host_of(REDIS),
        "address": topology.address_of(REDIS),
        "port": options["redis_port"],
    }
