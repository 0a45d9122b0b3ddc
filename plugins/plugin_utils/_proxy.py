# SPDX-License-Identifier: GPL-3.0-or-later
"""What nginx has to know: maps that choose an upstream by method and raw path, upstreams, and locations.

nginx matches locations on the decoded, normalised path but forwards the raw one, and Synapse dispatches on the raw one.
So everything here decides on ``$request_uri``.
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlsplit

from . import _layout as layout
from ._duties import DUTIES
from ._process import Process
from ._routes import ROUTES, Route
from ._synapse_config import public_baseurl
from ._topology import Topology

MAIN_UPSTREAM = "synapse_main"
_KEEPALIVE = 32
_BALANCE = {
    "user": "hash $synapse_user consistent",
    "room": "hash $synapse_room consistent",
    "source": "hash $remote_addr consistent",
    "least_conn": "least_conn",
    "round_robin": None,
}
# A segment '.' or '..', however it is written, would let nginx and Synapse see different paths.
_DOT_SEGMENT = r"~^[^?]*(?:/|%2[fF])(?:\.|%2[eE]){1,2}(?:/|%2[fF]|\?|$)"
_PUBLIC = (
    r"~^/_matrix/(?:client|federation|key|media|static|consent)(?:/|\?|$)",
    r"~^/_synapse/(?:client|admin)/",
    r"~^/\.well-known/(?:matrix|acme-challenge)/",
    r"~^/(?:\?|$)",
)


def serving_duty(topology: Topology, route: Route) -> str | None:
    """Returns the duty whose workers serve the route, None for the main process."""
    candidates = (route.duty,) if route.writer_only else (route.duty, *DUTIES[route.duty].fallback)
    return next((name for name in candidates if topology.with_duty(name)), None)


def proxy_maps(topology: Topology) -> list[dict[str, Any]]:
    """Returns nginx's maps, in the order in which they build on each other."""
    return [
        _map("$request_uri", "$synapse_path", "", [(r"~^(?<synapse_raw_path>[^?]*)", "$synapse_raw_path", None)]),
        _map(
            "$request_uri",
            "$synapse_refused",
            "1",
            [
                (_DOT_SEGMENT, "1", "walks out of a public path"),
                *((pattern, "", None) for pattern in _PUBLIC),
            ],
        ),
        _map(
            "$synapse_path",
            "$synapse_room",
            "$remote_addr",
            [
                (
                    r"~^/_matrix/client/[^!]*?(?:!|%21)(?<synapse_room_id>[^:%/]+)",
                    "$synapse_room_id",
                    "the same key for every encoding of a room id",
                )
            ],
        ),
        _map(
            "$http_authorization:$arg_access_token",
            "$synapse_user",
            "$http_authorization$arg_access_token",
            [
                (
                    r"~syt_(?<synapse_token_user>[A-Za-z0-9+/=]+)_",
                    "$synapse_token_user",
                    "Synapse's own tokens name it",
                ),
                ("~^:$", "$remote_addr", "no token"),
            ],
        ),
        _map("$request_method:$synapse_path", "$synapse_upstream", MAIN_UPSTREAM, _route_entries(topology)),
    ]


def proxy_upstreams(topology: Topology) -> list[dict[str, Any]]:
    """Returns nginx's upstreams: main, and one for each duty that workers serve."""
    upstreams = [_upstream(topology, MAIN_UPSTREAM, "all that no worker serves", None, (topology.main,))]
    seen: set[str] = set()
    for route in ROUTES:
        serving = serving_duty(topology, route)
        if serving is None or route.duty in seen or not route.serves(topology.release):
            continue
        seen.add(route.duty)
        duty = DUTIES[route.duty]
        comment = duty.about if serving == duty.name else f"{duty.about}; no pool has it, so {serving} serves it"
        workers = topology.with_duty(serving)
        balance = _BALANCE[duty.balance] if len(workers) > 1 else None
        upstreams.append(_upstream(topology, f"synapse_{duty.name}", comment, balance, workers))
    return upstreams


def proxy_locations(topology: Topology) -> list[dict[str, str]]:
    """Returns nginx's locations; the maps have chosen the upstream, so there are few."""
    del topology  # the same for every fleet
    return [
        {"match": "/_synapse/admin/", "kind": "admin", "upstream": "$synapse_upstream"},
        {"match": "/_matrix/", "kind": "proxy", "upstream": "$synapse_upstream"},
        {"match": "/_synapse/client/", "kind": "proxy", "upstream": "$synapse_upstream"},
        {"match": "= /", "kind": "proxy", "upstream": MAIN_UPSTREAM},
        {"match": "/", "kind": "refuse", "upstream": ""},
    ]


def proxy_server(topology: Topology) -> dict[str, Any]:
    """Returns what nginx's server blocks need: names, size of uploads, and the two .well-known answers."""
    base = public_baseurl(topology)
    url = urlsplit(base)
    public_name = _host_of(url.netloc)
    more = topology.options["synapse_extra_config"].get("extra_well_known_client_content") or {}
    port = url.port or (443 if url.scheme == "https" else 80)
    return {
        "server_name": topology.server_name,
        "public_name": public_name,
        "server_names": list(dict.fromkeys([_host_of(topology.server_name), public_name])),
        "max_body": str(topology.options["synapse_max_upload_size"]).lower(),
        "well_known_server": json.dumps({"m.server": f"{public_name}:{port}"}),
        "well_known_client": json.dumps({**more, "m.homeserver": {"base_url": base.rstrip("/")}}),
    }


def _host_of(address: str) -> str:
    """Returns a host without its port; an IPv6 address keeps its brackets, as nginx and Matrix write it."""
    return re.sub(r":[0-9]+$", "", address)


def _map(source: str, variable: str, default: str | None, entries: list[tuple[str, str, str | None]]) -> dict[str, Any]:
    return {
        "source": source,
        "variable": variable,
        "default": default,
        "entries": [{"key": key, "value": value, "comment": comment} for key, value, comment in entries],
    }


def _route_entries(topology: Topology) -> list[tuple[str, str, str | None]]:
    entries: list[tuple[str, str, str | None]] = []
    for route in ROUTES:
        if route.serves(topology.release) and serving_duty(topology, route) is not None:
            entries.append((f"~^(?:{_methods(route)}):{route.pattern}$", f"synapse_{route.duty}", None))
    return entries


def _methods(route: Route) -> str:
    methods = [*route.methods, "OPTIONS"]
    if "GET" in methods:
        methods.insert(methods.index("GET") + 1, "HEAD")
    return "|".join(methods)


def _upstream(
    topology: Topology, name: str, comment: str, balance: str | None, processes: tuple[Process, ...]
) -> dict[str, Any]:
    return {
        "name": name,
        "comment": comment,
        "balance": balance,
        "keepalive": _KEEPALIVE,
        "servers": [{"address": _address(topology, process), "process": process.name} for process in processes],
    }


def _address(topology: Topology, process: Process) -> str:
    if topology.unix:
        return f"unix:{layout.http_socket(process.name)}"
    return layout.in_address(process.address, process.http_port)
