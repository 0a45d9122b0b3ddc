# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles need to know of the whole fleet."""

from __future__ import annotations

from typing import Any

from . import _layout as layout
from ._releases import postgres_minimum, python_minimum
from ._synapse_config import public_baseurl
from ._topology import Topology


def fleet(topology: Topology) -> dict[str, Any]:
    """Returns server name, release and transport, who does what, and how PostgreSQL and Redis are reached."""
    options = topology.options
    redis_package = layout.REDIS_PACKAGES[options["redis_package"]]
    synapse_hosts = sorted({process.host for process in topology.processes})
    return {
        "server_name": topology.server_name,
        "public_baseurl": public_baseurl(topology),
        "release": str(topology.release),
        "transport": "unix" if topology.unix else "tcp",
        "hosts": list(topology.addresses),
        "main_host": topology.main.host,
        "synapse_hosts": synapse_hosts,
        "synapse_addresses": [topology.addresses[host] for host in synapse_hosts],
        "max_upload_size": options["synapse_max_upload_size"],
        "media_store_path": options["synapse_media_store_path"],
        "jemalloc": options["synapse_jemalloc"],
        "database": {
            "name": layout.DATABASE,
            "user": layout.USER,
            "port": options["postgres_port"],
            "host": topology.postgres_host,
            "address": topology.addresses[topology.postgres_host],
            "socket_dir": layout.POSTGRES_SOCKET_DIR,
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


def release_needs(topology: Topology) -> dict[str, Any]:
    """Returns the oldest PostgreSQL and Python with which the release starts."""
    python = python_minimum(topology.release)
    return {"postgres": postgres_minimum(topology.release), "python": f"{python[0]}.{python[1]}"}
