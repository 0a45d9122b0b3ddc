# SPDX-License-Identifier: GPL-3.0-or-later
"""What the answers of PostgreSQL mean."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.baremetal.synapse.plugins.plugin_utils.servers.postgres import (
    Mode,
    PostgresServer,
    postgres_server,
)
from ansible_collections.baremetal.synapse.plugins.plugin_utils.servers.postgres_state import (
    PostgresState,
    password_of,
    postgres_state,
    read_answers,
    restarted_problems,
    verifier,
)

from tests.unit.fleets import one_host

CONF_D = "/etc/postgresql/17/main/conf.d"
OURS = f"{CONF_D}/matrix-synapse.conf"
ALTER_SYSTEM = "/var/lib/postgresql/17/main/postgresql.auto.conf"
DATABASE = {"encoding": "UTF8", "collate": "C", "ctype": "C", "owner": "matrix-synapse"}
OWNER = {"restricted": True, "password": False, "salted": "", "digest": None}
PASSFILE = "*:*:synapse:matrix-synapse:pencil\n"


def server(*, existed: bool = True, mode: Mode = "deploy", transport: str = "unix") -> PostgresServer:
    clusters = (
        [{"version": "17", "name": "main", "port": 5432, "running": True, "ours": True, "content": None}]
        if existed
        else []
    )
    found = {
        "distribution": "Debian",
        "distribution_major_version": "13",
        "memtotal_mb": 8192,
        "processor_vcpus": 4,
        "postgres_clusters": clusters,
    }
    fleet = one_host("db1", synapse_transport=transport)
    return postgres_server(fleet, "db1", found, {"postgres_cluster": "main"}, mode)


def entry(name: str | None, setting: str | None, file: str = OURS, error: str | None = None) -> dict[str, Any]:
    return {"name": name, "setting": setting, "sourcefile": file, "sourceline": 7, "error": error}


def answers(*files: dict[str, Any], forecast: list[str] | None = None, **changes: Any) -> list[list[dict[str, Any]]]:
    """Returns the rows of each query; without changes those of a server that is as it is wanted."""
    row = {
        "reload": False,
        "pending": [],
        "hba_errors": [],
        "max_connections": 200,
        "database": DATABASE,
        "owner": OWNER,
    }
    ours = [entry("port", "5432"), entry("max_connections", "200")]
    told = [[*ours, *files], [{**row, **changes}]]
    return told if forecast is None else [*told, [{"pending": forecast}]]


def state(
    made: PostgresServer, told: list[list[dict[str, Any]]], passfile: str = "", changed: bool = False
) -> PostgresState:
    return postgres_state(made, told, passfile=passfile, files_changed=changed)


def test_a_server_as_it_is_wanted_needs_nothing() -> None:
    for existed in (True, False):
        found = state(server(existed=existed), answers(), changed=True)
        assert found == PostgresState()
        assert not found.work


def test_a_server_that_was_not_asked_needs_nothing() -> None:
    assert not state(server(mode="check", existed=False), []).work
    assert restarted_problems(server(), []) == []


@pytest.mark.parametrize(
    ("pending", "reason", "moves"),
    [
        (["port"], "port changes, which PostgreSQL reads only at its start", {"moves": "port"}),
        (
            ["shared_buffers", "port", "listen_addresses"],
            "listen_addresses, port, shared_buffers change, which PostgreSQL reads only at its start",
            {"moves": "listen_addresses, port"},
        ),
        (["shared_buffers"], "shared_buffers changes, which PostgreSQL reads only at its start", {}),
    ],
)
def test_a_setting_that_waits_for_a_restart_is_a_step(pending: list[str], reason: str, moves: dict[str, str]) -> None:
    # PostgreSQL reports such a setting as an error of the file.
    waiting = [entry(name, "1", error="setting could not be applied") for name in pending]
    told = answers(*waiting, pending=pending, reload=True)
    found = state(server(), [[row for row in told[0] if row["error"]], told[1]])
    assert found.problems == ()
    assert found.step == {"unit": "postgresql@17-main.service", "action": "restart", "reason": reason, **moves}
    assert not found.reload
    assert found.work


def test_a_new_server_has_restarted_already() -> None:
    found = state(server(existed=False), answers(pending=["shared_buffers"]))
    assert found.step == {}
    (problem,) = found.problems
    assert problem.startswith(
        "PostgreSQL on host db1 has restarted and does not have the values of its files for shared_buffers."
    )


def test_in_check_mode_the_new_files_are_forecast() -> None:
    made = server(mode="check")
    assert state(made, answers(forecast=[])).step == {}
    found = state(made, answers(forecast=["listen_addresses", "port"], pending=["port"]), changed=True)
    assert found.step["reason"] == "listen_addresses, port change, which PostgreSQL reads only at its start"
    assert not found.reload
    assert state(made, answers(forecast=[]), changed=True).reload
    assert not state(made, answers(forecast=[]), changed=False).reload


def test_newer_files_are_reloaded() -> None:
    assert state(server(), answers(reload=True)).reload


# -- owner and database ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("database", "created"), [(None, True), ({**DATABASE, "owner": "postgres"}, True), (DATABASE, False)]
)
def test_the_database_is_created_and_given_to_its_owner(database: dict[str, str] | None, created: bool) -> None:
    statements = state(server(), answers(database=database)).statements
    assert ("DATABASE" in statements) is created
    assert ("CREATE" in statements) is (database is None)


@pytest.mark.parametrize(
    ("owner", "created"),
    [
        (None, True),
        ({**OWNER, "restricted": False}, True),
        # With the transport unix, it has no password that could leak.
        ({**OWNER, "password": True, "salted": "4096:AA==", "digest": "0"}, True),
        (OWNER, False),
    ],
)
def test_the_owner_is_created_with_few_rights(owner: dict[str, Any] | None, created: bool) -> None:
    found = state(server(), answers(owner=owner), PASSFILE)
    assert ("ROLE" in found.statements) is created
    assert ("CREATE ROLE" in found.statements) is (owner is None)
    assert ("NOSUPERUSER" in found.statements and "PASSWORD NULL" in found.statements) is created


def test_the_owner_keeps_its_password_until_the_processes_that_use_it_have_stopped() -> None:
    owner = {**OWNER, "password": True, "salted": "4096:AA==", "digest": "0"}
    assert state(server(), answers(owner=owner, pending=["listen_addresses"])).statements == ""
    assert "CREATE ROLE" in state(server(), answers(owner=None, pending=["listen_addresses"])).statements


# What a server keeps of the password "pencil", with the salt of RFC 7677, section 3.
SALTED = "4096:W22ZaJ0SNY7soEsUEjb6gQ=="
_KEYS = "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
DIGEST = hashlib.sha256(f"SCRAM-SHA-256${SALTED}${_KEYS}".encode()).hexdigest()


@pytest.mark.parametrize(
    ("changes", "created"),
    [
        ({}, False),
        ({"digest": DIGEST[::-1]}, True),
        ({"salted": "4096:AAAAAAAAAAAAAAAAAAAAAA=="}, True),
        ({"salted": "", "password": False}, True),
        # An md5 password of an old server.
        ({"salted": ""}, True),
        ({"restricted": False}, True),
    ],
)
def test_with_tcp_the_owner_has_the_password_of_the_passfile(changes: dict[str, Any], created: bool) -> None:
    owner = {**OWNER, "password": True, "salted": SALTED, "digest": DIGEST, **changes}
    found = state(server(transport="tcp"), answers(owner=owner), PASSFILE)
    assert ("ALTER ROLE" in found.statements and "PASSWORD 'SCRAM-SHA-256$4096:" in found.statements) is created
    assert "pencil" not in found.statements


def test_what_is_kept_of_a_password_is_that_of_the_standard() -> None:
    assert verifier("pencil", base64.b64decode(SALTED.partition(":")[2])) == f"SCRAM-SHA-256${SALTED}${_KEYS}"


def test_a_unit_that_systemd_has_not_read_is_work() -> None:
    unread, rows = read_answers('yes\n[]\n[{"reload": false}]\n')
    assert (unread, rows) == (True, [[], [{"reload": False}]])
    assert read_answers("no\n[]\n")[0] is False
    assert read_answers("") == (False, [])
    assert postgres_state(server(), answers(), passfile="", files_changed=False, unread=True).work


def test_the_password_is_the_last_field() -> None:
    assert password_of("*:*:synapse:matrix-synapse:abc\n") == "abc"
    assert password_of("") == ""


# -- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("key", "value"), [("encoding", "SQL_ASCII"), ("collate", "en_US.UTF-8"), ("ctype", "de_DE")])
def test_a_database_that_synapse_refuses(key: str, value: str) -> None:
    (problem,) = state(server(), answers(database={**DATABASE, key: value})).problems
    assert problem.startswith("The database synapse on host db1 has encoding ")
    assert value in problem
    assert "Dump it, rename it" in problem


def test_a_setting_that_cannot_be_applied() -> None:
    told = answers(entry("work_mem", "5XB", error="setting could not be applied"))
    assert state(server(), told).problems == (
        "PostgreSQL on host db1 cannot apply work_mem: setting could not be applied. Fix the setting in the files of"
        " /etc/postgresql/17/main, or in postgres_settings.",
    )


def test_a_line_that_cannot_be_read() -> None:
    told = answers(entry(None, None, f"{CONF_D}/own.conf", error="syntax error"))
    (problem,) = state(server(), told).problems
    assert f"cannot apply {CONF_D}/own.conf:7: syntax error." in problem


def test_rules_that_cannot_be_read() -> None:
    (problem,) = state(server(), answers(hba_errors=["invalid address"])).problems
    assert problem.startswith("/etc/postgresql/17/main/pg_hba.conf on host db1 has errors: invalid address.")


@pytest.mark.parametrize("existed", [True, False])
def test_connections_of_alter_system_are_refused_before_the_restart(existed: bool) -> None:
    told = answers(entry("max_connections", "50", ALTER_SYSTEM), max_connections=100, pending=["max_connections"])
    problem = state(server(existed=existed), told).problems[0]
    assert problem == (
        f"max_connections on host db1 is '50': {ALTER_SYSTEM} sets it, which wins over {OURS}, and the topology needs"
        " 200. Run ALTER SYSTEM RESET max_connections."
    )


@pytest.mark.parametrize(
    ("name", "setting", "file", "refused"),
    [
        # More connections than needed do no harm.
        ("max_connections", "500", ALTER_SYSTEM, False),
        ("MAX_CONNECTIONS", "199", ALTER_SYSTEM, True),
        ("max_connections", "0x64", ALTER_SYSTEM, True),
        ("port", "5432", ALTER_SYSTEM, False),
        ("port", "5433", ALTER_SYSTEM, True),
        ("port", "5433", f"{CONF_D}/zz.conf", True),
    ],
)
def test_another_file_that_wins(name: str, setting: str, file: str, refused: bool) -> None:
    found = state(server(), answers(entry(name, setting, file)))
    assert bool(found.problems) is refused
    if refused:
        assert (f"Run ALTER SYSTEM RESET {name.lower()}." in found.problems[0]) == (file == ALTER_SYSTEM)


def test_our_file_wins_over_those_before_it() -> None:
    own, *rest = answers()
    told = [[entry("port", "5999", "/etc/postgresql/17/main/postgresql.conf"), *own], *rest]
    assert state(server(), told).problems == ()


def test_in_check_mode_only_alter_system_wins() -> None:
    """Our file is not there yet, and Debian's has other values."""
    made = server(mode="check")
    debian = [
        entry("port", "5433", "/etc/postgresql/17/main/postgresql.conf"),
        entry("max_connections", "100", "/etc/postgresql/17/main/postgresql.conf"),
    ]
    _, row = answers(max_connections=100)
    assert state(made, [debian, row, [{"pending": ["max_connections"]}]]).problems == ()
    (problem,) = state(made, [[*debian, entry("port", "5999", ALTER_SYSTEM)], row, [{"pending": []}]]).problems
    assert problem.startswith("port on host db1 is '5999'")


def test_too_few_connections_that_no_restart_changes() -> None:
    (problem,) = state(server(), answers(max_connections=100)).problems
    assert problem.startswith(
        "max_connections on host db1 is 100: the processes of this topology may open 200 connections"
    )
    assert state(server(), answers(max_connections=100, pending=["max_connections"])).problems == ()
    assert state(replace(server(), max_connections=100), answers(max_connections=100)).problems == ()


def test_a_restarted_server_has_the_values_of_its_files() -> None:
    assert restarted_problems(server(), answers()) == []
    first, second = restarted_problems(server(), answers(pending=["port"], hba_errors=["invalid address"]))
    assert "has errors: invalid address" in first
    assert second.endswith("for port. Look at the journal of postgresql@17-main.service, and run site.yml again.")
