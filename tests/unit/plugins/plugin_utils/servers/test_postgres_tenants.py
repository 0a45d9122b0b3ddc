# SPDX-License-Identifier: GPL-3.0-or-later
"""Clusters that others have on a host, and clusters that cannot serve Synapse: refused before the first change."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.baremetal.synapse.plugins.plugin_utils.lifecycle.host_checks import host_problems
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.topology import Topology
from ansible_collections.baremetal.synapse.plugins.plugin_utils.servers.postgres import postgres_server
from ansible_collections.baremetal.synapse.plugins.plugin_utils.servers.postgres_tenants import (
    check_running,
    check_tenants,
)

from tests.unit.fleets import one_host, several_hosts

DATABASE = {"encoding": "UTF8", "collate": "C", "ctype": "C", "owner": "matrix-synapse"}
CONFIG = "/etc/postgresql/17/{}"


def row(name: str, setting: str, file: str, error: str | None = None) -> dict[str, Any]:
    return {"name": name, "setting": setting, "sourcefile": file, "sourceline": 1, "error": error}


def content(*databases: str, files: list[dict[str, Any]] | None = None, **changes: Any) -> dict[str, Any]:
    """Returns what a running cluster says of itself."""
    return {
        "databases": dict.fromkeys(("postgres", *databases), DATABASE),
        "max_connections": 100,
        "pending": [],
        "hba_errors": [],
        "files": files or [],
        **changes,
    }


def cluster(name: str, port: int = 5432, *, running: bool = True, ours: bool = False, **more: Any) -> dict[str, Any]:
    held = more.get("content", content() if running else None)
    return {"version": "17", "name": name, "port": port, "running": running, "ours": ours, "content": held}


def machine(*clusters: dict[str, Any], ports: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {
        "distribution": "Debian",
        "distribution_major_version": "13",
        "memtotal_mb": 8192,
        "processor_vcpus": 4,
        "packages": [],
        "postgres_clusters": list(clusters),
        "ports": ports or [],
    }


def refused(found: dict[str, Any], topology: Topology | None = None, **variables: Any) -> list[str]:
    fleet = topology or one_host()
    host = str(fleet.host_of("postgres"))
    checks = (check_tenants, check_running)
    return [str(problem) for check in checks for problem in check(fleet, host, found, variables)]


SHOP = cluster("main", content=content("shop"))


def test_a_cluster_of_others_on_another_port_is_left_alone() -> None:
    found = machine(cluster("main", 5433, content=content("shop")))
    assert refused(found) == []
    made = postgres_server(one_host(), "synapse1", found, {}, "deploy")
    assert (made.cluster, made.port_wanted, made.unit) == ("synapse", 5432, "postgresql@17-synapse.service")
    assert made.create[-1] == "synapse"


def test_a_cluster_of_others_on_the_same_port_is_named_with_what_it_holds() -> None:
    assert refused(machine(SHOP, cluster("crm", 5433))) == [
        "postgres_port on host synapse1 is 5432: the cluster 17/main with the database shop has it, and both would use"
        " the same socket. Set it to 5434 in group_vars/all, or postgres_cluster to main for Synapse to use this"
        " cluster."
    ]
    assert refused(machine(SHOP), one_host(postgres_port=5433)) == []


def test_a_stopped_cluster_keeps_its_port_too() -> None:
    stopped = cluster("main", running=False)
    (problem,) = refused(machine(stopped))
    assert "the cluster 17/main has it" in problem
    # But not from a cluster that has served Synapse there before.
    assert refused(machine(stopped, cluster("synapse", ours=True))) == []


def test_a_cluster_of_others_is_used_only_if_its_databases_are_confirmed() -> None:
    found = machine(cluster("main", content=content("shop", "crm")))
    assert refused(found, postgres_cluster="main") == [
        "postgres_shared_with on host synapse1 is not set: the cluster 17/main also has the databases crm, shop, whose"
        " clients notice when it restarts. Set it to [crm, shop] to confirm this, or leave postgres_cluster out for a"
        " cluster of Synapse's own."
    ]
    assert len(refused(found, postgres_cluster="main", postgres_shared_with=["crm"])) == 1
    assert refused(found, postgres_cluster="main", postgres_shared_with=["crm", "shop"]) == []


def test_a_cluster_of_others_keeps_its_port() -> None:
    found = machine(cluster("main", 5433, content=content("synapse")))
    assert refused(found, postgres_cluster="main") == [
        "postgres_port on host synapse1 is 5432: the cluster 17/main listens on 5433, and its other clients would lose"
        " it. Set it to 5433 in group_vars/all."
    ]


@pytest.mark.parametrize(("running", "word"), [(True, "answer"), (False, "run")])
def test_a_cluster_that_cannot_be_looked_into_is_not_changed(running: bool, word: str) -> None:
    found = machine(cluster("main", running=running, content=None))
    (problem,) = refused(found, postgres_cluster="main")
    assert f"the cluster 17/main does not {word}, so it is unknown what is in it" in problem
    assert "systemctl start postgresql@17-main" in problem


def test_a_database_of_synapse_in_another_cluster_is_no_surprise() -> None:
    found = machine(cluster("main", 5433, content=content("synapse")))
    (problem,) = refused(found)
    assert problem.startswith(
        "postgres_cluster on host synapse1 is not set: the cluster 17/main has a database synapse"
    )
    assert refused(found, postgres_cluster="synapse") == []


def test_an_existing_fleet_is_recognised_and_keeps_its_cluster() -> None:
    found = machine(cluster("main", ours=True, content=content("synapse", "shop")))
    assert refused(found) == []
    made = postgres_server(one_host(), "synapse1", found, {}, "deploy")
    assert (made.cluster, made.create, made.unit) == ("main", (), "postgresql@17-main.service")
    assert made.settings["listen_addresses"] == ""
    assert "shared_buffers" in made.settings


def test_a_shared_cluster_gets_only_what_synapse_needs() -> None:
    theirs = [row("max_connections", "150", f"{CONFIG.format('main')}/postgresql.conf")]
    ours = [row("max_connections", "350", f"{CONFIG.format('main')}/conf.d/matrix-synapse.conf")]
    variables = {"postgres_cluster": "main", "postgres_shared_with": ["shop"], "postgres_settings": {"jit": "off"}}

    def settings(fleet: Topology, *files: dict[str, Any]) -> dict[str, Any]:
        found = machine(cluster("main", content=content("shop", files=list(files))))
        made = postgres_server(fleet, str(fleet.host_of("postgres")), found, variables, "deploy")
        assert made.shared_with == ("shop",)
        return dict(made.settings)

    # The second run computes the same.
    for files in (theirs, theirs + ours):
        assert settings(one_host(), *files) == {"max_connections": 350, "jit": "off"}
    assert settings(several_hosts())["listen_addresses"] == "localhost,10.0.0.1"
    everywhere = row("listen_addresses", "*", f"{CONFIG.format('main')}/postgresql.conf")
    assert "listen_addresses" not in settings(several_hosts(), everywhere)


def test_the_port_of_another_program_matters_with_tcp() -> None:
    def problems(unit: str, address: str = "10.0.0.1") -> list[str]:
        taken = {"address": address, "port": 5432, "program": "pgbouncer", "unit": unit}
        return refused(machine(ports=[taken]), several_hosts())

    assert problems("pgbouncer.service") == [
        "postgres_port on host db1 is 5432: pgbouncer (pgbouncer.service) listens on it. Stop that program, or choose"
        " another port in group_vars/all."
    ]
    assert problems("postgresql@17-synapse.service") == []
    assert problems("pgbouncer.service", "127.0.0.1") == []


# -- a cluster that runs ---------------------------------------------------------------------------------------------


def test_a_running_cluster_is_asked_before_the_first_change() -> None:
    ours = f"{CONFIG.format('synapse')}/conf.d/matrix-synapse.conf"
    auto = "/var/lib/postgresql/17/synapse/postgresql.auto.conf"
    wrong = {**DATABASE, "collate": "C.UTF-8"}
    held = content(
        files=[row("port", "5432", ours), row("port", "5555", auto), row("listen_addresses", "*", ours)],
        databases={"synapse": wrong},
        hba_errors=["invalid authentication method"],
    )
    collation, port, hba = refused(machine(cluster("synapse", ours=True, content=held)))
    assert "collation C.UTF-8" in collation
    assert "Run ALTER SYSTEM RESET port" in port
    assert "pg_hba.conf on host synapse1 has errors: invalid authentication method" in hba


def test_what_a_running_cluster_lacks_is_the_same_sentence_in_the_report_of_all_hosts() -> None:
    held = content(databases={"synapse": {**DATABASE, "collate": "C.UTF-8"}})
    host = {"seen": {**machine(cluster("synapse", ours=True, content=held)), "python_version": "3.13.5"}}
    tls = {"nginx_tls_self_signed": True}
    (problem,) = host_problems(one_host(), {"synapse1": {**host, **tls}}, surveyed="seen", with_memory=False)
    assert problem.startswith("The database synapse on host synapse1 has encoding UTF8, collation C.UTF-8")
    assert problem.endswith("restore the dump into the new one.")


def test_a_cluster_that_does_not_run_yet_is_not_asked() -> None:
    assert refused(machine(cluster("synapse", ours=True, running=False))) == []
    assert refused(machine()) == []
    assert refused({name: value for name, value in machine().items() if name != "postgres_clusters"}) == []
