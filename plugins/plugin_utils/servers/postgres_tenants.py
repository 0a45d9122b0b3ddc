# SPDX-License-Identifier: GPL-3.0-or-later
"""What the clusters of a host hold and how they run.

Refused before the first change is what keeps Synapse from working, and what would harm those who use a cluster as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..model import layout
from ..model.errors import TopologyError
from ..model.ports_in_use import holders, named
from ..model.service import POSTGRES
from .postgres import postgres_server
from .postgres_inputs import Clusters, read_clusters, shared_with
from .postgres_state import Answers, refused
from .problems import refusals

if TYPE_CHECKING:
    from ..model.topology import Topology

Found = Mapping[str, Any]
Variables = Mapping[str, Any]

_OWN_DATABASES = ("postgres", layout.DATABASE)
"""The databases that every cluster has, and Synapse's."""


def check_tenants(topology: Topology, host: str, found: Found, variables: Variables) -> Iterator[TopologyError]:
    """Returns why the clusters of a host, as they are, keep PostgreSQL from serving Synapse.

    Args:
        topology: the fleet.
        host: the inventory name of the host.
        found: what the module host_survey returned for the host.
        variables: the variables of the host, by their names.
    """
    clusters = read_clusters(found, variables)
    if clusters.found is None or clusters.distribution is None:
        return
    port = int(topology.options["postgres_port"])
    yield from _port_of_another_cluster(host, port, clusters, found)
    if not topology.unix:
        yield from _port_of_another_program(topology, host, port, found)
    if clusters.current is None:
        yield from _database_elsewhere(host, clusters, variables)
    elif not clusters.current["ours"]:
        yield from _cluster_of_others(host, port, clusters.current, variables)


def check_running(topology: Topology, host: str, found: Found, variables: Variables) -> list[TopologyError]:
    """Returns why a cluster that runs already cannot serve Synapse: collation, files, what ALTER SYSTEM says."""
    current = read_clusters(found, variables).current
    if current is None or not current["content"]:
        return []
    problems: list[TopologyError] = []

    def ask() -> None:
        server = postgres_server(topology, host, found, variables, "check")
        problems.extend(_ToldError(sentence) for sentence in refused(server, _as_answers(current["content"])))

    return [*refusals(ask), *problems]


class _ToldError(TopologyError):
    """A refusal that is a whole sentence already."""

    def __init__(self, sentence: str) -> None:
        super().__init__(POSTGRES, None, sentence, "")
        self._sentence = sentence

    def __str__(self) -> str:
        return self._sentence


def _as_answers(content: Mapping[str, Any]) -> Answers:
    files = [row for row in content["files"] if str(row["name"]).lower() != "listen_addresses" or row["error"]]
    row = {**content, "database": content["databases"].get(layout.DATABASE)}
    return [files, [row]]


def _port_of_another_cluster(host: str, port: int, clusters: Clusters, found: Found) -> Iterator[TopologyError]:
    for other in clusters.others:
        # A cluster of Synapse that exists keeps its port, as long as no other one has it.
        if other["port"] == port and (clusters.current is None or other["running"]):
            yield TopologyError(
                "postgres_port",
                port,
                f"{_shown(other)} has it, and both would use the same socket",
                f"Set it to {_free_port(clusters, found)} in group_vars/all"
                + (
                    "."
                    if other["name"] == clusters.name
                    else f", or postgres_cluster to {other['name']} for Synapse to use this cluster."
                ),
                host,
            )


def _free_port(clusters: Clusters, found: Found) -> int:
    taken = {int(entry["port"]) for entry in (*(clusters.found or ()), *found.get("ports", ()))}
    return next(port for port in range(layout.POSTGRES_PORT + 1, 1 << 16) if port not in taken)


def _shown(cluster: Mapping[str, Any]) -> str:
    databases = _foreign(cluster)
    held = f" with {_listed(databases)}" if databases else ""
    return f"the cluster {cluster['version']}/{cluster['name']}{held}"


def _listed(databases: list[str]) -> str:
    return f"the {'database' if len(databases) == 1 else 'databases'} {', '.join(databases)}"


def _foreign(cluster: Mapping[str, Any]) -> list[str]:
    """Returns the names of the databases of others in a cluster, as far as it was asked."""
    content = cluster["content"] or {"databases": ()}
    return sorted(name for name in content["databases"] or () if name not in _OWN_DATABASES)


def _port_of_another_program(topology: Topology, host: str, port: int, found: Found) -> Iterator[TopologyError]:
    for holder in holders(found, topology.addresses[host], port, ("postgresql@*.service",)):
        yield TopologyError(
            "postgres_port",
            port,
            f"{named(holder)} listens on it",
            "Stop that program, or choose another port in group_vars/all.",
            host,
        )


def _database_elsewhere(host: str, clusters: Clusters, variables: Variables) -> Iterator[TopologyError]:
    """Refuses an empty database beside one that looks like Synapse's, unless the inventory names the new cluster."""
    for other in clusters.others:
        held = (other["content"] or {}).get("databases") or {}
        if layout.DATABASE in held and not variables.get("postgres_cluster"):
            yield TopologyError(
                "postgres_cluster",
                None,
                f"the cluster {other['version']}/{other['name']} has a database {layout.DATABASE}, and Synapse would"
                " get a new, empty one",
                f"Set it to {other['name']} for Synapse to use that one, or to {layout.INSTANCE} for a new one.",
                host,
            )


def _cluster_of_others(
    host: str, port: int, cluster: Mapping[str, Any], variables: Variables
) -> Iterator[TopologyError]:
    """Refuses to change a cluster that this collection has not made, as long as it is unclear or unconfirmed."""
    label = f"{cluster['version']}/{cluster['name']}"
    if cluster["content"] is None:
        yield TopologyError(
            "postgres_cluster",
            cluster["name"],
            f"the cluster {label} does not {'answer' if cluster['running'] else 'run'}, so it is unknown what is in it",
            f"Start it (systemctl start postgresql@{label.replace('/', '-')}), or leave the variable out for a cluster"
            " of Synapse's own.",
            host,
        )
        return
    missing = [name for name in _foreign(cluster) if name not in shared_with(variables)]
    if missing:
        yield TopologyError(
            "postgres_shared_with",
            variables.get("postgres_shared_with") or None,
            f"the cluster {label} also has {_listed(missing)}, whose clients notice when it restarts",
            f"Set it to [{', '.join(_foreign(cluster))}] to confirm this, or leave postgres_cluster out for a cluster"
            " of Synapse's own.",
            host,
        )
    if cluster["port"] != port:
        yield TopologyError(
            "postgres_port",
            port,
            f"the cluster {label} listens on {cluster['port']}, and its other clients would lose it",
            f"Set it to {cluster['port']} in group_vars/all.",
            host,
        )


__all__ = ("check_running", "check_tenants")
