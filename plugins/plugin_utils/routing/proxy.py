# SPDX-License-Identifier: GPL-3.0-or-later
"""What nginx has to know: maps that choose an upstream by method and raw path, upstreams, and locations.

nginx matches locations on the decoded, normalised path but forwards the raw one, and Synapse dispatches on the raw one.
So everything here decides on ``$request_uri``: its first words name a table of a few patterns, which nginx evaluates
only then, so a fleet with more routes or workers costs a request nothing.
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlsplit

from ..model import layout
from ..model.duties import DUTIES
from ..model.process import Process
from ..model.topology import Topology
from ..synapse.config import public_baseurl
from .decisions import MAIN_UPSTREAM, Entry, in_use, serving_duty, stand_in, stand_in_duty, tables, upstream_of

# Idle connections for each server of an upstream: a pool shares them, and a miss costs as much as a request.
_KEEPALIVE = 32
_BALANCE = {
    "user": "hash $synapse_user consistent",
    "room": "hash $synapse_room consistent",
    "source": "hash $remote_addr consistent",
    "least_conn": "least_conn",
    "round_robin": None,
}
# A connection to a socket is refused at once, so nothing is gained by leaving a process out for a while.
_SERVER_OPTIONS = {True: "max_fails=0", False: "max_fails=1 fail_timeout=5s"}
_REFUSED = "refused"
# A segment '.' or '..', however it is written, would let nginx and Synapse see different paths; so would a '#'.
_DOT_SEGMENT = r"[^?]*(?:(?:/|%2[fF])(?:\.|%2[eE]){1,2}(?:(?:/|%2[fF])[^?]*)?(?=\?|$)|#[^?]*)"
# nginx tries these in turn. All of them note the raw path, without the query, which may hold a token.
_FAMILIES = (
    (_DOT_SEGMENT, _REFUSED, "walks out of a public path"),
    (
        r"/_matrix/client/(?:(?:api/v1|r0|v[0-9]+|unstable)/)?(?<synapse_word>[^/?]+)[^?]*",
        "client/$synapse_word",
        None,
    ),
    (r"/_matrix/(?<synapse_word>federation|key|media|saml2)/[^?]*", "$synapse_word", None),
    (r"/_synapse/admin/(?:v[0-9]+/)?(?<synapse_word>[^/?]+)[^?]*", "admin/$synapse_word", None),
    (r"/_synapse/client/(?<synapse_word>[^/?]+)[^?]*", "synapse/$synapse_word", None),
    (r"/_synapse/(?<synapse_word>mas(?=/)|jwks(?=\?|$))[^?]*", "$synapse_word", None),
    (r"/(?:(?:_matrix/(?:client|media|static|consent)|\.well-known)(?=/|\?|$)[^?]*)?(?=\?|$)", "others", None),
    ("[^?]*", _REFUSED, "not public"),
)


def proxy_maps(topology: Topology) -> list[dict[str, Any]]:
    """Returns nginx's maps, in the order in which they build on each other."""
    used = tables(topology)
    initial = sorted({(entry.upstream, entry.initial) for table in used for entry in table.entries if entry.initial})
    return [
        _map(
            "the raw path, which is what Synapse dispatches on, and its family: its first words, or what becomes of it",
            "$request_uri",
            "$synapse_family",
            _REFUSED,
            [(f"~^(?<synapse_path>{pattern})", family, comment) for pattern, family, comment in _FAMILIES],
        ),
        _map(
            "the room that a path names, for the pools that are balanced by it",
            "$synapse_path",
            "$synapse_room",
            "$remote_addr",
            [
                (
                    r"~^/_matrix/client/[^!%]*(?:%(?!21)[^!%]*)*(?:!|%21)(?<synapse_room_id>[^:%/]+)",
                    "$synapse_room_id",
                    "the same key for every encoding of a room id",
                )
            ],
        ),
        _map(
            "the user, for the pools that are balanced by it",
            "$http_authorization $arg_access_token",
            "$synapse_user",
            "$remote_addr",
            [
                (
                    r"~syt_(?<synapse_token_user>[A-Za-z0-9+/=]+)_",
                    "$synapse_token_user",
                    "Synapse's own tokens name it",
                ),
                (
                    r"~^[Bb]earer +(?<synapse_header_token>[^ ]+)",
                    "$synapse_header_token",
                    "another token is the same in the header and in the query",
                ),
                (r"~^[^ ]* *(?<synapse_query_token>[^ ]+)$", "$synapse_query_token", None),
            ],
        ),
        *(
            _map(
                "a sync without a token of where it was begins anew, and that takes longest",
                "$arg_since",
                _initial_variable(upstream),
                upstream,
                [("", first, None)],
            )
            for upstream, first in initial
        ),
        *(
            _map(
                f"{table.family}",
                "$request_method $synapse_path",
                _table_variable(table.family),
                table.default,
                [(_key(entry), _value(entry), None) for entry in table.entries],
            )
            for table in used
            if table.entries
        ),
        _map(
            "the table of a family, or where all of it goes; what has no table is for main",
            "$synapse_family",
            "$synapse_upstream",
            MAIN_UPSTREAM,
            [
                (_REFUSED, _REFUSED, "no upstream has this name"),
                *(
                    (table.family, _table_variable(table.family) if table.entries else table.default, None)
                    for table in used
                ),
            ],
        ),
        _map(
            "who stands in while a whole pool is away; nobody for the writer of a stream, which others cannot replace",
            "$synapse_upstream",
            "$synapse_fallback",
            "",
            [
                (upstream_of(duty), fallback, None)
                for duty in in_use(topology)
                if (fallback := stand_in(topology, duty)) is not None
            ],
        ),
        _map(
            "what must not be sent a second time, and what is answered instead: nobody knows what became of it",
            "$upstream_status $request_method $upstream_bytes_sent",
            "$synapse_sent",
            "",
            [
                (r"~^[^A-Z]*504[^A-Z]* [A-Z]+ .*[1-9]", "504", "a process has it and did not answer in time"),
                (r"~ (?:POST|PATCH) .*[1-9]", "502", "a process has seen it"),
            ],
        ),
    ]


def proxy_upstreams(topology: Topology) -> list[dict[str, Any]]:
    """Returns nginx's upstreams: main, one for each duty that workers serve, and who stands in for them."""
    upstreams = [_upstream(topology, MAIN_UPSTREAM, "all that no worker serves", None, (topology.main,))]
    stand_ins: dict[str, dict[str, Any]] = {}
    for name in in_use(topology):
        duty = DUTIES[name]
        serving = serving_duty(topology, name)
        comment = duty.about if serving == name else f"{duty.about}; no pool has it, so {serving} serves it"
        workers = topology.with_duty(serving or name)
        balance = _BALANCE[duty.balance] if len(workers) > 1 else None
        upstreams.append(_upstream(topology, upstream_of(name), comment, balance, workers, exclusive=duty.exclusive))
        other = stand_in_duty(topology, name)
        if other is not None and (fallback := stand_in(topology, name)) is not None:
            comment = f"{other} and, while that is away too, main: they stand in for pools that are away"
            stand_ins[fallback] = _upstream(
                topology, fallback, comment, None, topology.with_duty(other), (topology.main,)
            )
    return [*upstreams, *stand_ins.values()]


def proxy_locations(topology: Topology) -> list[dict[str, str]]:
    """Returns nginx's locations; the maps have chosen the upstream, so there are few."""
    del topology  # the same for every fleet
    return [
        {"match": "/_synapse/admin/", "kind": "admin", "upstream": "$synapse_upstream"},
        {"match": "/_matrix/", "kind": "proxy", "upstream": "$synapse_upstream"},
        {"match": "/_synapse/client/", "kind": "proxy", "upstream": "$synapse_upstream"},
        {"match": "/_synapse/mas/", "kind": "admin", "upstream": "$synapse_upstream"},
        {"match": "= /_synapse/jwks", "kind": "proxy", "upstream": "$synapse_upstream"},
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


def _map(
    comment: str, source: str, variable: str, default: str, entries: list[tuple[str, str, str | None]]
) -> dict[str, Any]:
    return {
        "comment": comment,
        "source": source,
        "variable": variable,
        "default": default,
        "entries": [{"key": key, "value": value, "comment": comment} for key, value, comment in entries],
    }


def _table_variable(name: str) -> str:
    return f"$synapse_{re.sub('[^a-z0-9]+', '_', name.lower())}"


def _initial_variable(upstream: str) -> str:
    return f"${upstream}_or_initial"


def _key(entry: Entry) -> str:
    return f"~^(?:{'|'.join(entry.methods)}) {entry.regex}$"


def _value(entry: Entry) -> str:
    return entry.upstream if entry.initial is None else _initial_variable(entry.upstream)


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
        "shared": balance == _BALANCE["least_conn"],
        # While it restarts, its requests fail: nobody else can serve them. So nginx never leaves it out before.
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
