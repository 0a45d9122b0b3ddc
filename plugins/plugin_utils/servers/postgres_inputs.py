# SPDX-License-Identifier: GPL-3.0-or-later
"""The inputs of PostgreSQL on a host: what follows from them, and what is refused before the first change.

Variables have their types.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..model import layout
from ..model.errors import HIDDEN, TopologyError
from ..model.kinds import to_whole_number
from ..model.platform import PLATFORMS, find_platform
from ..model.releases import postgres_problem
from ..model.service import POSTGRES
from ..model.texts import control_character
from ..views.connections import connection_budget
from ..views.postgres import postgresql_settings
from .problems import missing_files, refusals

if TYPE_CHECKING:
    from ..model.topology import Topology

DEBIANS_CLUSTER = "main"
"""The cluster that Debian's packages create, and that fleets of earlier releases of this collection have."""

_CERTIFICATE, _CERTIFICATE_KEY = PLATFORMS[0].certificate

# All of the fleet knows where PostgreSQL is reached, so it cannot be set only for the server.
_FIXED = ("port", "listen_addresses", "unix_socket_directories")
# Debian's tools and a run look for these files where Debian has them, and an include would be another file of settings.
_FILES = (
    *("config_file", "data_directory", "hba_file", "ident_file", "external_pid_file"),
    *("include", "include_dir", "include_if_exists"),
)
_DEFAULT_CONNECTIONS = 100
"""PostgreSQL's own ``max_connections``."""

_SETTING_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)?")


@dataclass(frozen=True, kw_only=True)
class Clusters:
    """The clusters of PostgreSQL on a host, and which of them serves Synapse.

    Attributes:
        found: all clusters, as the module host_survey returns them; None if the host was not asked.
        name: the name of the cluster that serves Synapse.
        distribution: the major version of the distribution; None if the distribution is not supported.
        wanted: the major version of the cluster that serves Synapse.
    """

    found: tuple[Mapping[str, Any], ...] | None
    name: str
    distribution: str | None
    wanted: str

    @property
    def versions(self) -> list[str]:
        """The major versions of the clusters of that name."""
        return [str(cluster["version"]) for cluster in self.found or () if cluster["name"] == self.name]

    @property
    def current(self) -> Mapping[str, Any] | None:
        """The cluster that serves Synapse; None if it does not exist yet."""
        return next((cluster for cluster in self.found or () if self._serves(cluster)), None)

    @property
    def others(self) -> list[Mapping[str, Any]]:
        """The other clusters."""
        return [cluster for cluster in self.found or () if not self._serves(cluster)]

    def _serves(self, cluster: Mapping[str, Any]) -> bool:
        return cluster["name"] == self.name and str(cluster["version"]) == self.wanted


def read_clusters(found: Mapping[str, Any], variables: Mapping[str, Any]) -> Clusters:
    """Returns the clusters of a host.

    Args:
        found: what the module host_survey returned for the host.
        variables: the variables of the host; ``postgres_cluster`` and ``postgres_version`` count.
    """
    listed = found.get("postgres_clusters")
    clusters = None if listed is None else tuple(listed)
    platform = find_platform(str(found["distribution"]), str(found["distribution_major_version"]))
    distribution = None if platform is None else str(platform.postgres)
    name = str(variables.get("postgres_cluster") or _recognised(clusters or ()))
    first = next((str(entry["version"]) for entry in clusters or () if entry["name"] == name), distribution or "")
    wanted = str(variables.get("postgres_version") or first)
    return Clusters(found=clusters, name=name, distribution=distribution, wanted=wanted)


def _recognised(clusters: Iterable[Mapping[str, Any]]) -> str:
    """Returns the name of the cluster of a fleet that exists, else that of Synapse's own."""
    ours = {entry["name"] for entry in clusters if entry["ours"]}
    return DEBIANS_CLUSTER if DEBIANS_CLUSTER in ours and layout.INSTANCE not in ours else layout.INSTANCE


def shared_with(variables: Mapping[str, Any]) -> list[str]:
    """Returns the databases of others in Synapse's cluster, as the operator has confirmed them."""
    return [str(name) for name in variables.get("postgres_shared_with") or ()]


def wanted_settings(topology: Topology, found: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, int | str]:
    """Returns the settings of PostgreSQL: those that are computed, and the operator's, which win.

    In a cluster that others share, only what Synapse cannot do without is set.

    Args:
        topology: the fleet.
        found: what the module host_survey returned for the host.
        variables: the variables of the host, by their names.

    Raises:
        TopologyError: an argument that no machine or topology can have.
    """
    computed = computed_settings(
        topology,
        memory_mib=variables.get("postgres_memory_mib") or int(found["memtotal_mb"]),
        cpus=int(found["processor_vcpus"]),
        certificate=variables.get("postgres_server_certificate") or None,
        certificate_key=variables.get("postgres_server_certificate_key") or None,
    )
    if shared_with(variables):
        computed = _shared_settings(computed, read_clusters(found, variables).current, variables)
    own = variables.get("postgres_settings") or {}
    # PostgreSQL does not distinguish upper and lower case in the names of settings.
    replaced = {name.lower() for name in own}
    return {**{name: value for name, value in computed.items() if name not in replaced}, **own}


def _shared_settings(
    computed: Mapping[str, int | str], cluster: Mapping[str, Any] | None, variables: Mapping[str, Any]
) -> dict[str, int | str]:
    """Returns what Synapse needs of a cluster of others: connections beside theirs, and an address beside theirs."""
    theirs = {str(row["name"]).lower(): row["setting"] for row in foreign_settings(cluster)}
    found = to_whole_number(theirs.get("max_connections"))
    connections = found if isinstance(found, int) and found > 0 else _DEFAULT_CONNECTIONS
    settings: dict[str, int | str] = {"max_connections": int(computed["max_connections"]) + connections}
    addresses = str(theirs.get("listen_addresses", "localhost"))
    if computed["listen_addresses"] and "*" not in addresses:
        settings["listen_addresses"] = ",".join(filter(None, [addresses, str(computed["listen_addresses"])]))
    encryption = ("ssl", "ssl_cert_file", "ssl_key_file") if variables.get("postgres_server_certificate") else ()
    return {**settings, **{name: computed[name] for name in encryption if name in computed}}


def foreign_settings(cluster: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    """Returns the settings of a cluster's files, without ours and without errors, the one that counts last."""
    content = (cluster or {}).get("content") or {"files": ()}
    return [
        row
        for row in content["files"]
        if row["error"] is None and not str(row["sourcefile"]).endswith("/conf.d/matrix-synapse.conf")
    ]


def computed_settings(
    topology: Topology,
    *,
    memory_mib: int,
    cpus: int,
    shared: bool | None = None,
    certificate: str | None = None,
    certificate_key: str | None = None,
) -> dict[str, int | str]:
    """Returns the settings that follow from the topology and from the machine.

    Args:
        topology: the fleet.
        memory_mib: the memory to plan with, in MiB.
        cpus: the processors of the machine.
        shared: whether Synapse runs on the same machine; None if the topology decides it.
        certificate: the path of the server's certificate; None for Debian's.
        certificate_key: the path of its key; None for Debian's.
    """
    tls = not topology.unix and topology.options["postgres_tls"]
    return postgresql_settings(
        memory_mib=memory_mib,
        cpus=cpus,
        shared=topology.host_of(POSTGRES) in topology.process_hosts if shared is None else shared,
        max_connections=connection_budget(topology)["max_connections"],
        transport="unix" if topology.unix else "tcp",
        listen_address=None if topology.unix else topology.address_of(POSTGRES),
        port=topology.options["postgres_port"],
        tls=(certificate or _CERTIFICATE, certificate_key or _CERTIFICATE_KEY) if tls else None,
    )


def files_needed(topology: Topology, _host: str, variables: Mapping[str, Any]) -> dict[str, str]:
    """Returns the paths that must exist on the host, each with the variable that names it."""
    if topology.unix or not topology.options["postgres_tls"]:
        return {}
    names = ("postgres_server_certificate", "postgres_server_certificate_key")
    return {str(variables[name]): name for name in names if variables.get(name)}


def paths(topology: Topology, host: str, variables: Mapping[str, Any]) -> list[str]:
    """Returns the paths on the host whose existence ``check`` asks for."""
    return list(files_needed(topology, host, variables))


def check(topology: Topology, host: str, found: Mapping[str, Any], variables: Mapping[str, Any]) -> list[TopologyError]:
    """Returns why PostgreSQL cannot be deployed to a host.

    Args:
        topology: the fleet.
        host: the inventory name of the host.
        found: what the module host_survey returned for the host.
        variables: the variables of the host, by their names.
    """
    clusters = read_clusters(found, variables)
    problems = [
        *missing_files(host, files_needed(topology, host, variables), found),
        *refusals(
            lambda: _check_version(host, found, variables, clusters),
            lambda: _check_release(topology, host, clusters),
            lambda: _check_certificate(host, variables),
            lambda: _check_settings(host, variables),
            lambda: _check_connections(topology, host, variables),
        ),
    ]
    return problems or refusals(lambda: _check_machine(topology, host, found, variables))


def _check_version(host: str, found: Mapping[str, Any], variables: Mapping[str, Any], clusters: Clusters) -> None:
    said = variables.get("postgres_version") or None
    # A host that was not asked has no clusters that are known. One of a distribution that is not supported has no
    # version, which another check refuses.
    if clusters.found is None or clusters.distribution is None:
        return
    available = clusters.wanted in (*clusters.versions, clusters.distribution)
    if available and (said is not None or len(clusters.versions) <= 1):
        return
    raise TopologyError(
        "postgres_version",
        said,
        f"Debian {found['distribution_major_version']} has PostgreSQL {clusters.distribution}, and the clusters named"
        f" {clusters.name} on the host are of version {' and '.join(clusters.versions) or '(none)'}",
        "Set it to the one that serves Synapse."
        if len(clusters.versions) > 1
        else "Leave it out, or set it to one of these versions.",
        host,
    )


def _check_release(topology: Topology, host: str, clusters: Clusters) -> None:
    if re.match(r"[0-9]", clusters.wanted) and (
        clusters.found is None or clusters.wanted in (*clusters.versions, clusters.distribution)
    ):
        problem = postgres_problem(topology.release, host, clusters.wanted)
        if problem is not None:
            raise problem


def _check_certificate(host: str, variables: Mapping[str, Any]) -> None:
    certificate = variables.get("postgres_server_certificate") or None
    key = variables.get("postgres_server_certificate_key") or None
    if (certificate is None) != (key is None):
        raise TopologyError(
            "postgres_server_certificate",
            certificate,
            "a certificate and its key belong together, and postgres_server_certificate_key is"
            f" {'not set' if key is None else repr(key)}",
            "Set both of them, or leave both out.",
            host,
        )


def _check_settings(host: str, variables: Mapping[str, Any]) -> None:
    own = variables.get("postgres_settings") or {}
    fixed = [name.lower() for name in own if name.lower() in _FIXED]
    if fixed:
        raise TopologyError(
            "postgres_settings",
            HIDDEN,
            f"Synapse connects where the topology says, and that decides {' and '.join(fixed)}",
            "Leave this out, and set postgres_port or synapse_transport instead.",
            host,
        )
    for name, value in own.items():
        if name.lower() in _FILES:
            raise TopologyError(
                f"postgres_settings.{name}",
                value,
                "Debian decides where the files of a cluster are, and a run looks for them there",
                "Leave this out.",
                host,
            )
        _check_setting(host, name, value)


def _check_setting(host: str, name: str, value: object) -> None:
    if not _SETTING_NAME.fullmatch(name):
        raise TopologyError(
            "postgres_settings",
            HIDDEN,
            "a setting of PostgreSQL has a name of letters, digits and underscores",
            f"Correct the name {name!r}.",
            host,
        )
    if value is None or not isinstance(value, str | int | float) or control_character(str(value)):
        raise TopologyError(
            f"postgres_settings.{name}",
            HIDDEN,
            "a setting has one value, a text of one line or a number",
            "Write the value as in postgresql.conf, or take the setting out.",
            host,
        )


def trial_problem(host: str, version: str, settings: Mapping[str, Any], answer: str) -> TopologyError:
    """Returns why settings are refused that PostgreSQL does not take.

    Args:
        host: the inventory name of the host.
        version: the major version of PostgreSQL.
        settings: the settings that were tried; their values may be secrets.
        answer: what PostgreSQL has written.
    """
    shown = " ".join(answer.split())
    # PostgreSQL repeats the value behind a colon, in quotes.
    for value in sorted({str(value) for value in settings.values()}, key=len, reverse=True):
        shown = shown.replace(f': "{value}"', f": {HIDDEN}")
    return TopologyError(
        "postgres_settings",
        HIDDEN,
        f"PostgreSQL {version} does not take {' and '.join(sorted(settings))} and answers: {shown.rstrip('.')}",
        "Correct the setting, or leave it out.",
        host,
    )


def _check_connections(topology: Topology, host: str, variables: Mapping[str, Any]) -> None:
    own = variables.get("postgres_settings") or {}
    said = {name.lower(): to_whole_number(value) for name, value in own.items()}
    budget = connection_budget(topology)["max_connections"]
    number = said.get("max_connections", budget)
    if isinstance(number, int) and number >= budget:
        return
    raise TopologyError(
        "postgres_settings.max_connections",
        number,
        f"the processes of this topology may open {budget} connections",
        "Leave it out, or lower synapse_cp_max or cp_max of a pool.",
        host,
    )


def _check_machine(topology: Topology, host: str, found: Mapping[str, Any], variables: Mapping[str, Any]) -> None:
    try:
        wanted_settings(topology, found, variables)
    except TopologyError as error:
        variable = "postgres_memory_mib" if error.variable == "memory_mib" else error.variable
        raise TopologyError(variable, error.value, error.reason, error.fix, host) from error
