# SPDX-License-Identifier: GPL-3.0-or-later
"""nginx's upstreams, locations and server blocks; ``maps.py`` has the maps that choose between the upstreams."""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.baremetal.synapse.plugins.module_utils.routes.families import is_internal

from ..model import layout
from ..model.duties import DUTIES
from ..model.process import Process
from ..model.topology import Topology
from .decisions import MAIN_UPSTREAM, fallback_duty, fallback_upstream, in_use, serving_duty, upstream_of
from .well_known import answers, client_upstream

# Idle connections for each server of an upstream: a pool shares them, and a miss costs as much as a request.
_KEEPALIVE = 32
_BALANCE = {
    "user": "hash $synapse_user consistent",
    "room": "hash $synapse_room consistent",
    "source": "hash $remote_addr consistent",
    "least_conn": "least_conn",
    "round_robin": None,
}
# A connection to a socket is refused at once, so marking a process as failed for some time has no advantage.
_SERVER_OPTIONS = {True: "max_fails=0", False: "max_fails=1 fail_timeout=5s"}


def proxy_upstreams(topology: Topology) -> list[dict[str, Any]]:
    """Returns nginx's upstreams: main, one for each duty that workers serve, and their fallbacks."""
    upstreams = [_upstream(topology, MAIN_UPSTREAM, "all requests that no worker serves", None, (topology.main,))]
    fallbacks: dict[str, dict[str, Any]] = {}
    for name in in_use(topology):
        duty = DUTIES[name]
        serving = serving_duty(topology, name)
        comment = duty.about if serving == name else f"{duty.about}; no pool has it, so {serving} serves it"
        workers = topology.with_duty(serving or name)
        balance = _BALANCE[duty.balance] if len(workers) > 1 else None
        upstreams.append(_upstream(topology, upstream_of(name), comment, balance, workers, exclusive=duty.exclusive))
        other = fallback_duty(topology, name)
        if other is not None and (fallback := fallback_upstream(topology, name)) is not None:
            comment = f"fallback of unavailable pools: {other} and, while that is unavailable too, main"
            fallbacks[fallback] = _upstream(
                topology, fallback, comment, None, topology.with_duty(other), (topology.main,)
            )
    return [*upstreams, *fallbacks.values()]


def proxy_locations(topology: Topology) -> list[dict[str, str]]:
    """Returns nginx's locations; the maps have chosen the upstream, so there are few."""
    del topology  # the same for every fleet
    return [
        *(
            {
                "match": match,
                "kind": "admin" if is_internal(match) else "proxy",
                "upstream": "$synapse_upstream",
            }
            for match in ("/_synapse/admin/", "/_matrix/", "/_synapse/client/", "/_synapse/mas/", "= /_synapse/jwks")
        ),
        {"match": "= /", "kind": "proxy", "upstream": MAIN_UPSTREAM},
        {"match": "/", "kind": "refuse", "upstream": ""},
    ]


# What nginx itself may answer. It answers 400 and 414 before it knows a path.
_ERRORS = {
    403: ("M_FORBIDDEN", "This address may not use this path."),
    404: ("M_UNRECOGNIZED", "Unrecognized request"),
    405: ("M_UNRECOGNIZED", "Unrecognized request"),
    413: ("M_TOO_LARGE", "The request is too large."),
    421: ("M_UNRECOGNIZED", "This server does not serve the name in the request."),
    429: ("M_LIMIT_EXCEEDED", "Too many requests."),
    500: ("M_UNKNOWN", "Internal error of the proxy."),
    502: ("M_UNKNOWN", "No process of the server can answer at the moment."),
    503: ("M_UNKNOWN", "The server is not available at the moment."),
    504: ("M_UNKNOWN", "The server did not answer in time."),
}

# As Synapse sends them.
_CORS_HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "X-Requested-With, Content-Type, Authorization, Date",
}


def _error(status: int) -> str:
    """Returns the body of an error that nginx makes."""
    errcode, error = _ERRORS[status]
    return json.dumps({"errcode": errcode, "error": error})


def proxy_server(topology: Topology) -> dict[str, Any]:
    """Returns what nginx's server blocks need: names, size of uploads, the answers of .well-known, and errors."""
    return {
        "server_name": topology.server_name,
        "public_name": topology.public_name,
        "server_names": list(dict.fromkeys([topology.base_domain, topology.public_name])),
        "max_body": str(topology.options["synapse_max_upload_size"]).lower(),
        "well_known": answers(topology),
        "well_known_upstream": client_upstream(topology),
        "errors": [{"status": status, "body": _error(status)} for status in _ERRORS],
        "cors_headers": [{"name": name, "value": value} for name, value in _CORS_HEADERS.items()],
        "misdirected": _error(421),
    }


def _zone_kib(servers: int) -> int:
    """Returns the memory that the processes of nginx share for an upstream: a server takes less than 1 KiB of it."""
    return max(128, 2 * servers)


def _upstream(
    topology: Topology,
    name: str,
    comment: str,
    balance: str | None,
    processes: tuple[Process, ...],
    backups: tuple[Process, ...] = (),
    *,
    exclusive: bool = False,
) -> dict[str, Any]:
    options = _SERVER_OPTIONS[topology.unix]
    return {
        "name": name,
        "comment": comment,
        "balance": balance,
        # Only this one needs to know what the other processes of nginx are doing.
        "zone_kib": _zone_kib(len(processes) + len(backups)) if balance == _BALANCE["least_conn"] else None,
        # No other process can serve its requests: they fail while it restarts. So nginx never holds it back.
        "alone": exclusive and len(processes) == 1,
        "keepalive": _KEEPALIVE * (len(processes) + len(backups)),
        "servers": [
            {
                "address": _address(topology, process),
                "process": process.name,
                "options": f"{options} backup" if process in backups else options,
            }
            for process in (*processes, *backups)
        ],
    }


def _address(topology: Topology, process: Process) -> str:
    if topology.unix:
        return f"unix:{layout.http_socket(process.name)}"
    return layout.in_address(process.address, process.http_port)
