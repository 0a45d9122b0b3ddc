# SPDX-License-Identifier: GPL-3.0-or-later
"""Does with the proxy's views what nginx does with them: finds out which processes a request may reach.

``tests/proxy`` asks a real nginx; this one needs none, so it can be asked in every unit test.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.topology import Topology
from ansible_collections.baremetal.synapse.plugins.plugin_utils.routing.maps import proxy_maps
from ansible_collections.baremetal.synapse.plugins.plugin_utils.routing.proxy import proxy_locations, proxy_upstreams

_VARIABLE = re.compile(r"\$(\w+)")
REMOTE = "192.0.2.1"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What becomes of a request: ``upstream`` is None if nginx refuses it."""

    upstream: str | None
    processes: frozenset[str] = frozenset()
    admin: bool = False
    room: str = ""
    user: str = ""
    fallback: str = ""


def as_python(key: str) -> re.Pattern[str]:
    """Compiles the regular expression of a map's key, which is in PCRE's dialect."""
    assert key.startswith("~"), key
    assert not key.startswith("~*"), key
    return re.compile(key[1:].replace("(?<", "(?P<").replace("(?P<!", "(?<!").replace("(?P<=", "(?<="))


class Request:
    """The variables of one request, evaluated when they are asked for, as nginx does."""

    def __init__(self, maps: dict[str, dict[str, Any]], given: dict[str, str]) -> None:
        self._maps = maps
        self._values = dict(given)

    def value(self, variable: str) -> str:
        """Returns the value of a variable, given without its dollar."""
        if variable not in self._values:
            table = self._maps.get(f"${variable}")
            self._values[variable] = "" if table is None else self._look_up(table)
        return self._values[variable]

    def text(self, template: str) -> str:
        """Returns a text with the values of its variables."""
        return _VARIABLE.sub(lambda match: self.value(match[1]), template)

    def _look_up(self, table: dict[str, Any]) -> str:
        """Returns what nginx's map gives: exact keys first, then the first regex that matches."""
        source = self.text(table["source"])
        for entry in table["entries"]:
            if entry["key"] == source:
                return self.text(entry["value"])
        for entry in table["entries"]:
            match = as_python(entry["key"]).search(source) if entry["key"].startswith("~") else None
            if match:
                self._values.update({name: text or "" for name, text in match.groupdict().items()})
                return self.text(entry["value"])
        return self.text(table["default"])


class Proxy:
    """nginx, set up for a topology."""

    def __init__(self, topology: Topology) -> None:
        self.maps = {table["variable"]: table for table in proxy_maps(topology)}
        self.upstreams = {upstream["name"]: upstream for upstream in proxy_upstreams(topology)}
        self.locations = proxy_locations(topology)

    def serve(self, method: str, uri: str, authorization: str = "") -> Outcome:
        """Returns what becomes of a request, given with its raw URI."""
        arguments = parse_qs(urlsplit(uri).query)
        request = Request(
            self.maps,
            {
                "request_uri": uri,
                "request_method": method,
                "http_authorization": authorization,
                "remote_addr": REMOTE,
                **{f"arg_{name}": values[0] for name, values in arguments.items()},
            },
        )
        # The site asks for it first, so the path that its patterns capture is known to all others.
        if request.value("synapse_family") == "refused":
            return Outcome(upstream=None)
        location = self._location(request.value("synapse_path"))
        if location["kind"] == "refuse":
            return Outcome(upstream=None)
        upstream = request.text(location["upstream"])
        return Outcome(
            upstream=upstream,
            processes=frozenset(server["process"] for server in self.upstreams[upstream]["servers"]),
            admin=location["kind"] == "admin",
            room=request.value("synapse_room"),
            user=request.value("synapse_user"),
            fallback=request.value("synapse_fallback"),
        )

    def _location(self, path: str) -> dict[str, str]:
        decoded = unquote(path)
        for location in self.locations:
            if location["match"] == f"= {decoded}":
                return location
        prefixes = [entry for entry in self.locations if decoded.startswith(entry["match"])]
        return max(prefixes, key=lambda entry: len(entry["match"]))
