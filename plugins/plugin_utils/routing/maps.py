# SPDX-License-Identifier: GPL-3.0-or-later
"""nginx's maps, which choose an upstream by method and raw path.

nginx matches locations on the decoded, normalised path but forwards the raw one, and Synapse dispatches on the raw one.
So everything here decides on ``$request_uri``: its first words name a table of a few patterns, which nginx evaluates
only then, so a fleet with more routes or workers costs a request nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ..model.topology import Topology
from .decisions import MAIN_UPSTREAM, Entry, Table, fallback_upstream, in_use, tables, upstream_of
from .family_patterns import REFUSED, family_patterns


def proxy_maps(topology: Topology) -> list[dict[str, Any]]:
    """Returns nginx's maps, in the order in which they build on each other."""
    used = tables(topology)
    return [
        _families(),
        _rooms(),
        _users(),
        *_initial_syncs(used),
        *(_table(table) for table in used if table.entries),
        _upstreams(used),
        _fallbacks(topology),
        _sent_once(),
    ]


def _families() -> dict[str, Any]:
    """Returns the map of raw paths to families."""
    return _map(
        "the raw path, by which Synapse dispatches, and its family: its first words, or refused",
        "$request_uri",
        "$synapse_family",
        REFUSED,
        [(f"~^(?<synapse_path>{pattern})", family, comment) for pattern, family, comment in family_patterns()],
    )


def _rooms() -> dict[str, Any]:
    """Returns the map of raw paths to rooms."""
    return _map(
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
    )


def _users() -> dict[str, Any]:
    """Returns the map of tokens to users."""
    return _map(
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
    )


def _initial_syncs(used: Sequence[Table]) -> list[dict[str, Any]]:
    """Returns the maps of initial syncs, one for each upstream that leaves them to another upstream."""
    initial = sorted({(entry.upstream, entry.initial) for table in used for entry in table.entries if entry.initial})
    return [
        _map(
            "a sync without the token of an earlier one is an initial sync, which takes longest",
            "$arg_since",
            _initial_variable(upstream),
            upstream,
            [("", first, None)],
        )
        for upstream, first in initial
    ]


def _table(table: Table) -> dict[str, Any]:
    """Returns the map of methods and raw paths of one family to upstreams."""
    return _map(
        f"{table.family}",
        "$request_method $synapse_path",
        _table_variable(table.family),
        table.default,
        [(_key(entry), _value(entry), None) for entry in table.entries],
    )


def _upstreams(used: Sequence[Table]) -> dict[str, Any]:
    """Returns the map of families to upstreams."""
    return _map(
        "the table of a family, or the upstream of all its paths; main by default",
        "$synapse_family",
        "$synapse_upstream",
        MAIN_UPSTREAM,
        [
            (REFUSED, REFUSED, "no upstream has this name"),
            *(
                (table.family, _table_variable(table.family) if table.entries else table.default, None)
                for table in used
            ),
        ],
    )


def _fallbacks(topology: Topology) -> dict[str, Any]:
    """Returns the map of upstreams to their fallbacks."""
    return _map(
        "the fallback of an unavailable upstream; none for writers of streams, which no other process replaces",
        "$synapse_upstream",
        "$synapse_fallback",
        "",
        [
            (upstream_of(duty), fallback, None)
            for duty in in_use(topology)
            if (fallback := fallback_upstream(topology, duty)) is not None
        ],
    )


def _sent_once() -> dict[str, Any]:
    """Returns the map of failed requests that must not be sent again to the status that they get."""
    return _map(
        "requests that must not be sent a second time, and the answer instead: a process may have handled them already",
        "$upstream_status $request_method $upstream_bytes_sent",
        "$synapse_sent",
        "",
        [
            (r"~^[^A-Z]*504[^A-Z]* [A-Z]+ .*[1-9]", "504", "a process has it and did not answer in time"),
            (r"~ (?:POST|PATCH) .*[1-9]", "502", "a process has seen it"),
        ],
    )


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


__all__ = ("proxy_maps",)
