# SPDX-License-Identifier: GPL-3.0-or-later
"""The answers below ``/.well-known/matrix/``, as Synapse itself would give them (Synapse: rest/well_known.py).

They differ in one thing: ``m.server`` names the host of the public URL, because the base domain may be elsewhere. So it
is answered unless ``serve_server_wellknown`` is false. Only Synapse knows the issuer of Matrix Authentication Service,
which it asks for it: then it answers clients itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ..model.topology import Topology
from ..model.well_known import VARIABLE
from .decisions import serving_duty, upstream_of, uses_mas

_HTTPS = 443


def answers(topology: Topology) -> dict[str, str | None]:
    """Returns the answer to each question as JSON that nginx can print, None where nginx has none."""
    added = topology.options[VARIABLE]
    found = {"server": _server(topology), "client": _client(topology), "support": added.get("support")}
    return {name: None if answer is None else _json_for_nginx(answer) for name, answer in found.items()}


def client_upstream(topology: Topology) -> str | None:
    """Returns the upstream that answers clients; None if nginx does."""
    return upstream_of(serving_duty(topology, "client_reader")) if uses_mas(topology) else None


def _server(topology: Topology) -> dict[str, Any] | None:
    if topology.options["synapse_extra_config"].get("serve_server_wellknown") is False:
        return None
    url = urlsplit(topology.public_baseurl)
    port = url.port or (_HTTPS if url.scheme == "https" else 80)
    return {"m.server": f"{topology.public_name}:{port}", **topology.options[VARIABLE].get("server", {})}


def _client(topology: Topology) -> dict[str, Any] | None:
    if uses_mas(topology):
        return None
    config = topology.options["synapse_extra_config"]
    computed: dict[str, Any] = {"m.homeserver": {"base_url": f"{topology.public_baseurl.rstrip('/')}/"}}
    if config.get("default_identity_server"):
        computed["m.identity_server"] = {"base_url": config["default_identity_server"]}
    return {**(config.get("extra_well_known_client_content") or {}), **computed}


def _json_for_nginx(value: Mapping[str, Any]) -> str:
    """Returns JSON in which nginx finds no variables: it cannot escape a ``$``, and JSON can."""
    return json.dumps(value).replace("$", "\\u0024")


__all__ = ("answers", "client_upstream")
