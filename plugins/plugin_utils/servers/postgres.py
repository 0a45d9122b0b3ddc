# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role postgres deploys to a host: a pure function of the topology, the host and its variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from ..model import layout
from ..model.platform import Platform, platform_of
from ..model.service import POSTGRES
from ..rendering.context import Mode
from ..views.connections import connection_budget
from .postgres_inputs import Clusters, read_clusters, shared_with, wanted_settings
from .postgres_queries import forecast_query, script, state_queries

_DROP_IN = "matrix-synapse.conf"
_NO_MAIN_CLUSTER = "/etc/postgresql-common/createcluster.d"
"""Where Debian's packages read that they are to create no cluster."""

_LOCALE = "C.UTF-8"

# A cluster that serves Synapse has our file from the first moment on, so that the next run recognises it. Data that
# were there before belong to somebody: pg_createcluster makes a cluster of them, and they are never removed.
_CREATE = """\
set -eu
unfinished=$1 config=$2 data=$3
[ ! -e "$unfinished" ] || rm -rf -- "$config" "$data"
[ -e "$data" ] || : >"$unfinished"
pg_createcluster --user postgres --no-status --port "$4" --locale "$5" --encoding UTF8 "$6" "$7"
install -d -o postgres -g postgres "$config/conf.d"
install -o postgres -g postgres -m 0640 /dev/null "$config/conf.d/matrix-synapse.conf"
sync
rm -f "$unfinished"
"""

# Whether systemd has read the newest drop-in, then a line of JSON for each query.
_ASK = """\
systemctl show --property=NeedDaemonReload --value "$1"
shift
exec "$@"
"""

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
        no_main_cluster: the directory and the path of the file that keeps the packages from creating a cluster.
        cluster: the name of the cluster.
        shared_with: the databases of others in the cluster.
        create: the command that creates the cluster; empty if it exists.
        unit: the unit of systemd.
        drop_in_dir: the directory of the unit's drop-in.
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
        ask: the command that compares the server with its files.
        ask_restarted: the same after a restart, which may change the port.
        queries: what they read on their standard input.
        psql: the command that runs SQL as the server's administrator, on the port on which it listens now.
        psql_restarted: the same after a restart.
        with_password: whether Synapse has a password; on one host the socket identifies the user.
        database: the name of the database.
        user: its owner.
        max_connections: the connections that the topology needs.
        checking: whether the run only looks.
    """

    host: str
    version: str
    packages: tuple[str, ...]
    no_main_cluster: Mapping[str, str]
    cluster: str
    shared_with: tuple[str, ...]
    create: tuple[str, ...]
    unit: str
    drop_in_dir: str
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
    ask: tuple[str, ...]
    ask_restarted: tuple[str, ...]
    queries: str
    psql: tuple[str, ...]
    psql_restarted: tuple[str, ...]
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
    place = _Place.of(platform, clusters)
    settings = wanted_settings(topology, found, variables)
    hba_lines = _hba_lines(topology)
    packages = platform.packages_of(POSTGRES, version)
    port_wanted = int(topology.options["postgres_port"])
    # A run that only looks installs and starts nothing.
    current = mode != "render" and clusters.current is not None
    exists = mode == "deploy" or current
    port = int(clusters.current["port"]) if clusters.current and _runs(clusters) else port_wanted
    state = state_queries(
        config_file=place.config_file, hba_file=place.hba_file, database=layout.DATABASE, user=layout.USER
    )
    ask = ("/bin/sh", "-c", _ASK, "ask", place.unit)
    forecast = [forecast_query(settings, config_file=place.config_file)] if mode == "check" else []
    return PostgresServer(
        host=host,
        version=version,
        packages=packages if set(packages) - set(found.get("packages", ())) else (),
        no_main_cluster={"directory": _NO_MAIN_CLUSTER, "path": f"{_NO_MAIN_CLUSTER}/{_DROP_IN}"},
        cluster=clusters.name,
        shared_with=tuple(shared_with(variables)),
        create=place.creation(port_wanted, clusters) if mode == "deploy" and not current else (),
        unit=place.unit,
        drop_in_dir=place.drop_in_dir,
        config_dir=place.config_dir,
        config_file=place.config_file,
        hba_file=place.hba_file,
        hba_marker=HBA_MARKER,
        hba_lines=hba_lines,
        settings=settings,
        file_set=_file_set(place, hba_lines, mode),
        trial=_trial(place, variables.get("postgres_settings") or {}) if current else (),
        whole_trial=_as_postgres(place.program, "-D", place.config_dir, "-C", "data_directory"),
        existed=clusters.current is not None,
        start=_start(clusters, mode),
        edit_hba=exists,
        reachable=exists and (mode == "deploy" or _runs(clusters)),
        port=port,
        port_wanted=port_wanted,
        ask=(*ask, *_psql(platform, version, port)),
        ask_restarted=(*ask, *_psql(platform, version, port_wanted)),
        queries=script([*state, *forecast]),
        psql=_psql(platform, version, port),
        psql_restarted=_psql(platform, version, port_wanted),
        with_password=not topology.unix,
        database=layout.DATABASE,
        user=layout.USER,
        max_connections=connection_budget(topology)["max_connections"],
        checking=mode == "check",
    )


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where the cluster of Synapse is on a host."""

    program: str
    unit: str
    drop_in_dir: str
    config_dir: str
    data_dir: str
    config_file: str
    hba_file: str

    @classmethod
    def of(cls, platform: Platform, clusters: Clusters) -> _Place:
        """Returns the place of the cluster that serves Synapse."""
        names = {"postgres": clusters.wanted, "cluster": clusters.name}
        config_dir, unit = platform.postgres_config_dir.format(**names), platform.postgres_unit.format(**names)
        return cls(
            program=f"{platform.postgres_programs.format(**names)}/postgres",
            unit=unit,
            drop_in_dir=f"{layout.UNIT_DIR}/{unit}.d",
            config_dir=config_dir,
            data_dir=platform.postgres_data_dir.format(**names),
            config_file=f"{config_dir}/conf.d/matrix-synapse.conf",
            hba_file=f"{config_dir}/pg_hba.conf",
        )

    def creation(self, port: int, clusters: Clusters) -> tuple[str, ...]:
        """Returns the command that creates the cluster; it first removes what a run that was cut off has left."""
        unfinished = f"{layout.POSTGRES_DATA_DIR}/{clusters.wanted}-{clusters.name}.unfinished"
        directories = (unfinished, self.config_dir, self.data_dir)
        return ("/bin/sh", "-c", _CREATE, "create", *directories, str(port), _LOCALE, clusters.wanted, clusters.name)


def _as_postgres(*words: str) -> tuple[str, ...]:
    # Not sudo, which a host need not have.
    return ("runuser", "-u", "postgres", "--", *words)


def _psql(platform: Platform, version: str, port: int) -> tuple[str, ...]:
    program = f"{platform.postgres_programs.format(postgres=version)}/psql"
    return _as_postgres(program, "-XqAt", "-v", "ON_ERROR_STOP=1", "-p", str(port), "-d", "postgres")


def _runs(clusters: Clusters) -> bool:
    return clusters.current is not None and bool(clusters.current["running"])


def _start(clusters: Clusters, mode: Mode) -> str:
    if mode == "render" or _runs(clusters):
        return ""
    if clusters.current is not None:
        return "started"
    return "started" if mode == "deploy" else ""


def _file_set(place: _Place, hba_lines: tuple[str, ...], mode: Mode) -> dict[str, Any]:
    """Returns the files. On a host, the block of pg_hba.conf is part of a file that is not ours."""
    settings = {
        "path": place.config_file,
        "template": "matrix-synapse.conf.j2",
        "owner": "postgres",
        "group": "postgres",
        "mode": "0640",
    }
    drop_in = {"path": f"{place.drop_in_dir}/{_DROP_IN}", "template": "drop-in.conf.j2"}
    marks = [HBA_MARKER.replace("{mark}", mark) for mark in ("BEGIN", "END")]
    block = "".join(f"{line}\n" for line in (marks[0], *hba_lines, marks[1]))
    rendered = {"path": f"{place.hba_file}.block", "content": block, "mode": "0640"}
    return {
        "directories": [{"path": place.drop_in_dir}],
        "files": [settings, drop_in, *([rendered] if mode == "render" else [])],
        "purge": [
            # Earlier releases of this collection had one drop-in for all clusters of the host.
            {"directory": f"{layout.UNIT_DIR}/postgresql@.service.d", "pattern": _DROP_IN},
            # A run that was cut off may have left it.
            {"directory": _NO_MAIN_CLUSTER, "pattern": _DROP_IN},
        ],
    }


def _trial(place: _Place, own: Mapping[str, Any]) -> tuple[str, ...]:
    if not own:
        return ()
    options = (f"--{name}={value}" for name, value in own.items())
    return _as_postgres(place.program, "-D", place.config_dir, "-C", "data_directory", *options)


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
