# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role postgres deploys to a host: a pure function of the topology, the host and its variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from ..model import layout
from ..model.platform import platform_of
from ..model.service import POSTGRES
from ..rendering.context import Mode
from ..views.connections import connection_budget
from .postgres_inputs import Clusters, read_clusters, wanted_settings
from .postgres_queries import forecast_query, state_queries

_DROP_IN_DIR = f"{layout.UNIT_DIR}/postgresql@.service.d"
_DROP_IN = "matrix-synapse.conf"

if TYPE_CHECKING:
    from ..model.topology import Topology

HBA_MARKER = "# {mark} baremetal.synapse"
"""The lines around the block of pg_hba.conf; ``{mark}`` is BEGIN and END."""


@dataclass(frozen=True, kw_only=True)
class PostgresServer:
    """One server of PostgreSQL, as the role deploys it.

    Attributes:
        host: the inventory name of its host.
        version: the major version.
        packages: the packages to install; empty if all of them are there.
        unit: the unit of systemd.
        config_dir: the directory of the configuration.
        config_file: the file with the settings.
        hba_file: the file that says which clients are admitted.
        hba_marker: the lines around our block in that file.
        hba_lines: the lines of the block.
        settings: all settings.
        file_set: the files, as arguments of the module file_set.
        trial: the command that tries the operator's settings before anything is changed; empty if there is no cluster
            yet, or nothing to try.
        whole_trial: the command that tries all files of the configuration.
        existed: whether the cluster existed before this run.
        start: ``started`` or ``restarted`` if the server must start before it can be asked; empty if it runs.
        edit_hba: whether the file of the clients that are admitted is edited.
        reachable: whether the server can be asked.
        port: the port on which the server listens now.
        port_wanted: the port on which it listens after a restart.
        queries: the queries that compare the server with its files.
        with_password: whether Synapse has a password; on one host the socket identifies the user.
        database: the name of the database.
        user: its owner.
        max_connections: the connections that the topology needs.
        checking: whether the run only looks.
    """

    host: str
    version: str
    packages: tuple[str, ...]
    unit: str
    config_dir: str
    config_file: str
    hba_file: str
    hba_marker: str
    hba_lines: tuple[str, ...]
    settings: Mapping[str, int | str]
    file_set: Mapping[str, Any]
    trial: tuple[str, ...]
    whole_trial: tuple[str, ...]
    existed: bool
    start: str
    edit_hba: bool
    reachable: bool
    port: int
    port_wanted: int
    queries: tuple[str, ...]
    with_password: bool
    database: str
    user: str
    max_connections: int
    checking: bool


def postgres_server(
    topology: Topology, host: str, found: Mapping[str, Any], variables: Mapping[str, Any], mode: Mode
) -> PostgresServer:
    """Returns the server of a host.

    Args:
        topology: the fleet.
        host: the inventory name of the host.
        found: what the module host_survey returned for the host.
        variables: the variables of the role, by their names.
        mode: what the run does.

    Raises:
        TopologyError: an input that ``problems`` refuses.
    """
    clusters = read_clusters(found, variables)
    version = clusters.wanted
    platform = platform_of(host, found)
    config_dir = platform.postgres_config_dir.format(postgres=version)
    config_file, hba_file = f"{config_dir}/conf.d/matrix-synapse.conf", f"{config_dir}/pg_hba.conf"
    program = platform.postgres_program.format(postgres=version)
    settings = wanted_settings(topology, found, variables)
    hba_lines = _hba_lines(topology)
    packages = platform.packages_of(POSTGRES, version)
    port_wanted = int(topology.options["postgres_port"])
    # A run that only looks installs and starts nothing.
    current = mode != "render" and clusters.current is not None
    exists = mode == "deploy" or current
    queries = state_queries(config_file=config_file, hba_file=hba_file, database=layout.DATABASE, user=layout.USER)
    return PostgresServer(
        host=host,
        version=version,
        packages=packages if set(packages) - set(found.get("packages", ())) else (),
        unit=platform.postgres_unit.format(postgres=version),
        config_dir=config_dir,
        config_file=config_file,
        hba_file=hba_file,
        hba_marker=HBA_MARKER,
        hba_lines=hba_lines,
        settings=settings,
        file_set=_file_set(topology, config_file, hba_file, hba_lines, mode),
        trial=_trial(program, config_dir, variables.get("postgres_settings") or {}) if current else (),
        whole_trial=(program, "-D", config_dir, "-C", "data_directory"),
        existed=clusters.current is not None,
        start=_start(clusters, mode),
        edit_hba=exists,
        reachable=exists and (mode == "deploy" or _runs(clusters)),
        port=int(clusters.current["port"]) if clusters.current and _runs(clusters) else port_wanted,
        port_wanted=port_wanted,
        queries=(*queries, *([forecast_query(settings, config_file=config_file)] if mode == "check" else [])),
        with_password=not topology.unix,
        database=layout.DATABASE,
        user=layout.USER,
        max_connections=connection_budget(topology)["max_connections"],
        checking=mode == "check",
    )


def _runs(clusters: Clusters) -> bool:
    return clusters.current is not None and bool(clusters.current["running"])


def _start(clusters: Clusters, mode: Mode) -> str:
    if mode == "render" or _runs(clusters):
        return ""
    if clusters.current is not None:
        return "started"
    # The package has started it with Debian's settings, and nothing uses it yet.
    return "restarted" if mode == "deploy" else ""


def _file_set(
    topology: Topology, config_file: str, hba_file: str, hba_lines: tuple[str, ...], mode: Mode
) -> dict[str, Any]:
    """Returns the files. On a host, the block of pg_hba.conf is part of a file that is not ours."""
    settings = {
        "path": config_file,
        "template": "matrix-synapse.conf.j2",
        "owner": "postgres",
        "group": "postgres",
        "mode": "0640",
    }
    drop_in = {"path": f"{_DROP_IN_DIR}/{_DROP_IN}", "template": "network-online.conf.j2"}
    marks = [HBA_MARKER.replace("{mark}", mark) for mark in ("BEGIN", "END")]
    block = "".join(f"{line}\n" for line in (marks[0], *hba_lines, marks[1]))
    rendered = {"path": f"{hba_file}.block", "content": block, "mode": "0640"}
    return {
        "directories": [] if topology.unix else [{"path": _DROP_IN_DIR}],
        "files": [settings, *([] if topology.unix else [drop_in]), *([rendered] if mode == "render" else [])],
        "purge": [{"directory": _DROP_IN_DIR, "pattern": _DROP_IN}],
    }


def _trial(program: str, config_dir: str, own: Mapping[str, Any]) -> tuple[str, ...]:
    if not own:
        return ()
    return (program, "-D", config_dir, "-C", "data_directory", *(f"--{name}={value}" for name, value in own.items()))


def _hba_lines(topology: Topology) -> tuple[str, ...]:
    access = f"{layout.DATABASE} {layout.USER}"
    if topology.unix:
        return (f"local {access} peer",)
    kind = "hostssl" if topology.options["postgres_tls"] else "host"
    hosts = sorted({process.host for process in topology.processes})
    addresses = [topology.addresses[host] for host in hosts]
    return tuple(
        f"{kind} {access} {address}/{ip_address(address).max_prefixlen} scram-sha-256" for address in addresses
    )


__all__ = ("HBA_MARKER", "Mode", "PostgresServer", "postgres_server")
