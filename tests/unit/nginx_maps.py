# SPDX-License-Identifier: GPL-3.0-or-later
"""Does with the proxy's views what nginx does with them: finds out which processes a request may reach."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from ansible_collections.baremetal.synapse.plugins.plugin_utils._proxy import (
    proxy_locations,
    proxy_maps,
    proxy_upstreams,
)
from ansible_collections.baremetal.synapse.plugins.plugin_utils._topology import Topology


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What becomes of a request: ``upstream`` is None if nginx refuses it."""

    upstream: str | None
    processes: frozenset[str] = frozenset()
    admin: bool = False
    room: str = ""
    user: str = ""


def as_python(key: str) -> re.Pattern[str]:
    """Compiles the regular expression of a map's key, which is in PCRE's dialect."""
    assert key.startswith("~"), key
    assert not key.startswith("~*"), key
    return re.compile(key[1:].replace("(?<", "(?P<"))


def look_up(table: dict[str, Any], value: str) -> str:
    """Returns what nginx's map gives for a value: exact keys first, then the first regex that matches."""
    for entry in table["entries"]:
        if entry["key"] == value:
            return str(entry["value"])
    for entry in table["entries"]:
        match = as_python(entry["key"]).search(value) if entry["key"].startswith("~") else None
        if match:
            captures = {f"${name}": text for name, text in match.groupdict().items()}
            return str(captures.get(entry["value"], entry["value"]))
    return str(table["default"])


class Proxy:
    """nginx, set up for a topology."""

    def __init__(self, topology: Topology) -> None:
        self.maps = {table["variable"]: table for table in proxy_maps(topology)}
        self.upstreams = {upstream["name"]: upstream for upstream in proxy_upstreams(topology)}
        self.locations = proxy_locations(topology)

    def serve(self, method: str, uri: str, authorization: str = "", arg_access_token: str = "") -> Outcome:
        """Returns what becomes of a request, given with its raw URI."""
        if look_up(self.maps["$synapse_refused"], uri):
            return Outcome(upstream=None)
        path = look_up(self.maps["$synapse_path"], uri)
        location = self._location(path)
        if location["kind"] == "refuse":
            return Outcome(upstream=None)
        upstream = location["upstream"]
        if upstream == "$synapse_upstream":
            upstream = look_up(self.maps["$synapse_upstream"], f"{method}:{path}")
        return Outcome(
            upstream=upstream,
            processes=frozenset(server["process"] for server in self.upstreams[upstream]["servers"]),
            admin=location["kind"] == "admin",
            room=look_up(self.maps["$synapse_room"], path),
            user=look_up(self.maps["$synapse_user"], f"{authorization}:{arg_access_token}"),
        )

    def _location(self, path: str) -> dict[str, str]:
        decoded = unquote(path)
        for location in self.locations:
            if location["match"] == f"= {decoded}":
                return location
        prefixes = [entry for entry in self.locations if decoded.startswith(entry["match"])]
        return max(prefixes, key=lambda entry: len(entry["match"]))
