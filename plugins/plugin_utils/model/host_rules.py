# SPDX-License-Identifier: GPL-3.0-or-later
"""What hosts must be for the services that they run: the checks of their rows.

A check returns what is wrong. Variables have their types; those that are not set are None or missing. What the module
host_survey found says in ``paths`` which of the asked paths exist; where no host was asked, it does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from . import layout
from .errors import TopologyError
from .paths import place_problem
from .releases import python_problem

if TYPE_CHECKING:
    from .topology import Topology

Found = Mapping[str, Any]
Variables = Mapping[str, Any]


def check_python(topology: Topology, host: str, found: Found, _variables: Variables) -> Iterator[TopologyError]:
    """Compares Python with what the release of Synapse needs."""
    problem = python_problem(topology.release, host, str(found["python_version"]))
    if problem is not None:
        yield problem


def synapse_paths(topology: Topology, _host: str, _variables: Variables) -> Iterator[str]:
    """Returns the unit of a packaged Synapse, the certificate that signs PostgreSQL's, and the media store."""
    yield layout.PACKAGED_UNIT
    root = topology.options["postgres_tls_root_certificate"]
    if root is not None and not topology.unix:
        yield root
    yield topology.options[_STORE]


def check_synapse_package(
    _topology: Topology, host: str, found: Found, _variables: Variables
) -> Iterator[TopologyError]:
    """Refuses a host on which a package has installed Synapse: both would use the same unit and directories."""
    if found.get("paths", {}).get(layout.PACKAGED_UNIT):
        yield TopologyError(
            layout.PACKAGED_UNIT,
            "there",
            f"a package has installed Synapse, and both would use the same unit and {layout.CONFIG_DIR}",
            "Stop matrix-synapse and remove the package, but keep its signing key and put it to"
            f" {layout.SECRETS_DIR}/signing.key; see docs/operations.md.",
            host,
        )


def check_root_certificate(
    topology: Topology, host: str, found: Found, _variables: Variables
) -> Iterator[TopologyError]:
    """Refuses a certificate that the host does not have."""
    root = topology.options["postgres_tls_root_certificate"]
    if root is not None and not found.get("paths", {}).get(root, True):
        yield TopologyError(
            "postgres_tls_root_certificate",
            root,
            "there is no such file on the host",
            "Put the certificate there, or leave the variable out.",
            host,
        )


_STORE = "synapse_media_store_path"
# What Synapse's media repository makes in its directory, and what a file system has of itself.
_MEDIA = frozenset(
    {"local_content", "local_thumbnails", "lost+found", "remote_content", "remote_thumbnail", "url_cache"}
    | {"url_cache_thumbnails"}
)


def check_media_store(topology: Topology, host: str, found: Found, _variables: Variables) -> Iterator[TopologyError]:
    """Refuses a media store that is a link, leads to a place of others, or has files of others in it."""
    store = topology.options[_STORE]
    serving = any(topology.serves_media(process) for process in topology.processes if process.host == host)
    there = found.get("directories", {}).get(store)
    if there is None or not serving:
        return
    fix = "Name a directory of its own, or empty this one."
    problem = None
    if there["link"]:
        problem = "it is a link, and a run would change the directory that it leads to", f"Write {there['real']}."
    elif there["real"] != store:
        elsewhere = place_problem(there["real"], "a directory of its own", layout.USER)
        problem = elsewhere and (f"links lead it to {there['real']}, and {elsewhere[0]}", elsewhere[1])
    elif there["owner"] != layout.USER and (foreign := sorted(set(there["names"]) - _MEDIA)):
        problem = f"it belongs to {there['owner']} and has {', '.join(foreign[:3])}, which is no medium", fix
    if problem:
        yield TopologyError(_STORE, store, *problem, host=host)
