# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role postgres deploys to a host, and which variables it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.inputs import INPUTS
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.schema import read_all
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.service import POSTGRES
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.topology import Topology
from ansible_collections.baremetal.synapse.plugins.plugin_utils.servers.postgres import (
    Mode,
    PostgresServer,
    postgres_server,
)
from ansible_collections.baremetal.synapse.plugins.plugin_utils.servers.postgres_inputs import (
    check,
    files_needed,
    paths,
    trial_problem,
)

from tests.unit.fleets import ADDRESSES, one_host, several_hosts

UNSET: dict[str, Any] = {name: entry.default for name, entry in INPUTS.items() if entry.role == POSTGRES}
DROP_IN = "/etc/systemd/system/postgresql@17-synapse.service.d/matrix-synapse.conf"
CERTIFICATE: dict[str, Any] = {
    "postgres_server_certificate": "/etc/ssl/db.pem",
    "postgres_server_certificate_key": "/etc/ssl/db.key",
}


def host_of(topology: Topology) -> str:
    return str(topology.host_of(POSTGRES))


def cluster(
    version: str,
    *,
    port: int = 5432,
    running: bool = True,
    name: str = "synapse",
    ours: bool = True,
    content: dict[str, Any] | None = None,
) -> dict[str, Any]:
    return {"version": version, "name": name, "port": port, "running": running, "ours": ours, "content": content}


def machine(*clusters: dict[str, Any], debian: str = "13", packages: tuple[str, ...] = ()) -> dict[str, Any]:
    """Returns what host_survey returns."""
    return {
        "distribution": "Debian",
        "distribution_major_version": debian,
        "python_version": "3.13.5",
        "memtotal_mb": 8192,
        "processor_vcpus": 4,
        "packages": list(packages),
        "postgres_clusters": list(clusters),
    }


def not_asked() -> dict[str, Any]:
    """Returns what a run that renders assumes of a host."""
    return {name: value for name, value in machine().items() if name not in ("packages", "postgres_clusters")}


def server(
    topology: Topology | None = None,
    found: dict[str, Any] | None = None,
    mode: Mode = "deploy",
    **variables: Any,
) -> PostgresServer:
    fleet = one_host() if topology is None else topology
    return postgres_server(fleet, host_of(fleet), found or machine(), read_all(INPUTS, {**UNSET, **variables}), mode)


def refused(found: dict[str, Any] | None = None, topology: Topology | None = None, **variables: Any) -> list[str]:
    fleet = one_host() if topology is None else topology
    problems = check(fleet, host_of(fleet), found or machine(), read_all(INPUTS, {**UNSET, **variables}))
    return [str(problem) for problem in problems]


def written(made: PostgresServer) -> list[str]:
    return [entry["path"] for entry in made.file_set["files"]]


# -- which version ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("debian", "clusters", "said", "version"),
    [
        ("12", [], None, "15"),
        ("13", [], None, "17"),
        # A cluster that is there is kept, one with another name is not ours.
        ("13", ["15"], None, "15"),
        ("13", ["15", "17"], "17", "17"),
        ("13", ["15"], 17, "17"),
    ],
)
def test_the_version_is_that_of_the_cluster_or_of_the_distribution(
    debian: str, clusters: list[str], said: Any, version: str
) -> None:
    found = machine(*map(cluster, clusters), cluster("16", name="other", port=5433, ours=False), debian=debian)
    assert refused(found, postgres_version=said) == []
    made = server(found=found, postgres_version=said)
    assert made.version == version
    assert made.unit == f"postgresql@{version}-synapse.service"
    assert made.config_file == f"/etc/postgresql/{version}/synapse/conf.d/matrix-synapse.conf"
    assert made.whole_trial[4] == f"/usr/lib/postgresql/{version}/bin/postgres"
    assert made.existed == (version in clusters)


def test_a_version_that_the_host_cannot_have() -> None:
    assert refused(postgres_version="16") == [
        "postgres_version on host synapse1 is '16': Debian 13 has PostgreSQL 17, and the clusters named synapse on the"
        " host are of version (none). Leave it out, or set it to one of these versions."
    ]


def test_two_clusters_without_a_choice() -> None:
    (problem,) = refused(machine(cluster("15"), cluster("17")))
    assert problem.startswith("postgres_version on host synapse1 is not set: Debian 13 has PostgreSQL 17")
    assert problem.endswith("are of version 15 and 17. Set it to the one that serves Synapse.")


def test_a_cluster_too_old_for_the_release() -> None:
    (problem,) = refused(machine(cluster("13")))
    assert "it needs PostgreSQL 14, the host has 13" in problem


def test_a_host_that_was_not_asked_may_have_any_version() -> None:
    assert refused(not_asked(), postgres_version="16") == []
    assert server(found=not_asked(), mode="render", postgres_version="16").version == "16"
    assert server(found=not_asked(), mode="render").version == "17"


def test_a_distribution_that_is_not_supported_is_refused_elsewhere() -> None:
    assert refused(machine(debian="11")) == refused(machine(debian="11"), postgres_version="16") == []


# -- other variables -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        (
            {"postgres_server_certificate": "/etc/ssl/db.pem"},
            "postgres_server_certificate on host synapse1 is '/etc/ssl/db.pem': a certificate and its key belong"
            " together, and postgres_server_certificate_key is not set. Set both of them, or leave both out.",
        ),
        (
            {"postgres_server_certificate_key": "/etc/ssl/db.key"},
            "postgres_server_certificate on host synapse1 is not set: a certificate and its key belong together, and"
            " postgres_server_certificate_key is '/etc/ssl/db.key'. Set both of them, or leave both out.",
        ),
        (
            {"postgres_settings": {"Port": 5433, "work_mem": "1MB"}},
            "postgres_settings on host synapse1 is (not shown): Synapse connects where the"
            " topology says, and that decides port. Leave this out, and set postgres_port or synapse_transport"
            " instead.",
        ),
        (
            {"postgres_settings": {"Include_dir": "/etc/more"}},
            "postgres_settings.Include_dir on host synapse1 is '/etc/more': Debian decides where the files of a cluster"
            " are, and a run looks for them there. Leave this out.",
        ),
        (
            {"postgres_settings": {"work mem": 1}},
            "postgres_settings on host synapse1 is (not shown): a setting of PostgreSQL has a name of letters, digits"
            " and underscores. Correct the name 'work mem'.",
        ),
        (
            {"postgres_settings": {"Max_Connections": 50}},
            "postgres_settings.max_connections on host synapse1 is 50: the processes of this topology may open 200"
            " connections. Leave it out, or lower synapse_cp_max or cp_max of a pool.",
        ),
    ],
)
def test_a_variable_that_cannot_be(variables: dict[str, Any], expected: str) -> None:
    assert refused(**variables) == [expected]


@pytest.mark.parametrize("value", [None, ["a"], {"a": 1}, "a\nport = 1"])
def test_a_setting_has_one_value(value: Any) -> None:
    (problem,) = refused(postgres_settings={"work_mem": value})
    assert problem.startswith("postgres_settings.work_mem on host synapse1 is (not shown): ")


def test_settings_that_postgresql_does_not_take_are_named_without_their_values() -> None:
    settings = {"work_mem": "hunter2", "jit": "on"}
    answer = 'FATAL:  invalid value for parameter "work_mem": "hunter2"\nHINT:  Valid units are "B", "kB".\n'
    assert str(trial_problem("db1", "17", settings, answer)) == (
        "postgres_settings on host db1 is (not shown): PostgreSQL 17 does not take jit and work_mem and answers: FATAL:"
        ' invalid value for parameter "work_mem": (not shown) HINT: Valid units are "B", "kB". Correct the setting, or'
        " leave it out."
    )


def test_a_host_with_too_little_memory() -> None:
    (problem,) = refused({**machine(), "memtotal_mb": 256})
    assert problem.startswith("postgres_memory_mib on host synapse1 is 256: it is outside of the possible range.")


def test_all_problems_are_told_at_once() -> None:
    found = refused(machine(cluster("13")), postgres_settings={"max_connections": "few", "port": 1})
    assert [problem.split(" ")[0] for problem in found] == [
        "synapse_version",
        "postgres_settings",
        "postgres_settings.max_connections",
    ]


@pytest.mark.parametrize("version", [None, "17", 17])
def test_numbers_may_be_texts_as_on_the_command_line(version: Any) -> None:
    variables: dict[str, Any] = {"postgres_memory_mib": "4096", "postgres_settings": {"max_connections": "400"}}
    assert refused(machine(cluster("17")), postgres_version=version, **variables) == []
    assert server(**variables).settings["shared_buffers"] == "512MB"
    assert server(**variables).settings["max_connections"] == "400"


def test_a_setting_of_the_operator_wins_in_any_spelling() -> None:
    settings = server(postgres_settings={"Work_Mem": "9MB"}).settings
    assert "work_mem" not in settings
    assert settings["Work_Mem"] == "9MB"
    assert settings["jit"] == "off"


@pytest.mark.parametrize("transport", ["unix", "tcp"])
@pytest.mark.parametrize("tls", [False, True])
def test_own_certificates_must_exist_where_they_are_used(transport: str, tls: bool) -> None:
    fleet = one_host(synapse_transport=transport, postgres_tls=tls)
    needed = files_needed(fleet, host_of(fleet), {**UNSET, **CERTIFICATE})
    used = transport == "tcp" and tls
    assert needed == ({path: name for name, path in CERTIFICATE.items()} if used else {})
    assert files_needed(fleet, host_of(fleet), UNSET) == {}
    assert (server(fleet, **CERTIFICATE).settings.get("ssl_key_file") == "/etc/ssl/db.key") == used


def test_a_file_that_is_missing() -> None:
    fleet = one_host(synapse_transport="tcp", postgres_tls=True)
    variables = {**UNSET, **CERTIFICATE}
    asked = paths(fleet, host_of(fleet), variables)
    assert asked == list(CERTIFICATE.values())
    found = {**machine(), "paths": dict.fromkeys(asked, True)}
    assert refused(found, fleet, **variables) == []
    found["paths"]["/etc/ssl/db.key"] = False
    assert refused(found, fleet, **variables) == [
        f"postgres_server_certificate_key on host {host_of(fleet)} is '/etc/ssl/db.key': there is no such file on the"
        " host. Put the file there, or leave the variable out."
    ]
    # A host that was not asked may have it.
    assert refused(machine(), fleet, **variables) == []


# -- what is deployed ------------------------------------------------------------------------------------------------


def test_packages_are_installed_until_all_are_there() -> None:
    packages = server().packages
    assert packages == ("postgresql-17", "logrotate", "ssl-cert")
    assert server(found=machine(packages=packages[1:])).packages == packages
    assert server(found=machine(packages=(*packages, "vim"))).packages == ()


def test_one_host_is_admitted_by_its_socket() -> None:
    made = server()
    assert made.hba_lines == ("local synapse matrix-synapse peer",)
    assert not made.with_password
    assert written(made) == [made.config_file, DROP_IN]
    assert made.file_set["directories"] == [{"path": DROP_IN.rpartition("/")[0]}]


@pytest.mark.parametrize(("tls", "kind"), [(False, "host"), (True, "hostssl")])
def test_several_hosts_are_admitted_by_address_and_password(tls: bool, kind: str) -> None:
    reader = {"generic_workers": {"reader": {"duties": ["client_reader"]}}}
    made = server(several_hosts({"generic2": reader}, synapse_preset="full", postgres_tls=tls))
    # Background, generic, main and media workers.
    assert made.hba_lines == tuple(
        f"{kind} synapse matrix-synapse 10.0.0.{number}/32 scram-sha-256" for number in (7, 4, 5, 3, 6)
    )
    assert made.with_password
    assert written(made) == [made.config_file, DROP_IN]


def test_files_of_earlier_releases_and_of_runs_that_were_cut_off_go() -> None:
    directories = ["/etc/systemd/system/postgresql@.service.d", "/etc/postgresql-common/createcluster.d"]
    assert server().file_set["purge"] == [{"directory": path, "pattern": "matrix-synapse.conf"} for path in directories]


def test_an_address_of_ipv6_is_admitted_alone() -> None:
    addresses = {host: {"synapse_address": f"2001:db8::{number}"} for number, host in enumerate(ADDRESSES, 1)}
    assert server(several_hosts(addresses)).hba_lines[0] == "host synapse matrix-synapse 2001:db8::3/128 scram-sha-256"


def test_only_a_rendering_writes_the_block_of_pg_hba_conf() -> None:
    made = server(found=not_asked(), mode="render")
    assert made.file_set["files"][-1] == {
        "path": "/etc/postgresql/17/synapse/pg_hba.conf.block",
        "content": "# BEGIN baremetal.synapse\nlocal synapse matrix-synapse peer\n# END baremetal.synapse\n",
        "mode": "0640",
    }
    assert not made.edit_hba
    assert not made.trial


# What the run does, which cluster there is; then: start, edited, asked, on which port.
MOMENTS: list[tuple[Mode, dict[str, Any] | None, tuple[str, bool, bool, int]]] = [
    ("deploy", None, ("started", True, True, 5433)),
    ("deploy", cluster("17"), ("", True, True, 5432)),
    ("deploy", cluster("17", running=False), ("started", True, True, 5433)),
    ("check", None, ("", False, False, 5433)),
    ("check", cluster("17"), ("", True, True, 5432)),
    ("check", cluster("17", running=False), ("started", True, False, 5433)),
    # A cluster of another version does not serve Synapse.
    ("check", cluster("15"), ("", False, False, 5433)),
]


@pytest.mark.parametrize(("mode", "there", "expected"), MOMENTS)
def test_when_the_server_starts_and_where_it_is_asked(
    mode: Mode, there: dict[str, Any] | None, expected: tuple[str, bool, bool, int]
) -> None:
    found = machine(*([there] if there else []))
    made = server(
        one_host(postgres_port=5433), found, mode, postgres_version="17", postgres_settings={"work_mem": "1MB"}
    )
    assert (made.start, made.edit_hba, made.reachable, made.port) == expected
    assert bool(made.trial) == made.existed == (there is not None and there["version"] == "17")
    assert made.port_wanted == 5433
    # Where files are not written, what is wanted is compared as well.
    assert made.queries.count("AS rows;") == (3 if mode == "check" else 2)


def test_the_operators_settings_are_tried() -> None:
    settings = {"work_mem": "1MB", "autovacuum": False}
    found = machine(cluster("17"))
    assert server(found=found, postgres_settings=settings).trial == (
        *("runuser", "-u", "postgres", "--"),
        "/usr/lib/postgresql/17/bin/postgres",
        *("-D", "/etc/postgresql/17/synapse", "-C", "data_directory"),
        *("--work_mem=1MB", "--autovacuum=False"),
    )
    assert server(found=found).trial == ()


def test_values_are_quoted_in_queries() -> None:
    forecast = server(
        found=machine(cluster("17")), mode="check", postgres_settings={"application_name": "it's"}
    ).queries
    assert '"application_name": "it\'\'s"' in forecast


def test_values_are_quoted_in_queries_of_the_state() -> None:
    queries = server().queries
    assert "IN ('max_connections', 'port')" in queries
    assert "('/etc/postgresql/17/synapse/pg_hba.conf')" in queries
    assert "split_part(rolpassword, '$', 2)" in queries
