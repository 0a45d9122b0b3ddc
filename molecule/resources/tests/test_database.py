# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL and Redis: what Synapse needs of them, and nobody else may have."""

from __future__ import annotations

import json
import shlex

import pytest
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.secrets import secret_files
from ansible_collections.baremetal.synapse.plugins.plugin_utils.views.connections import connection_budget
from ansible_collections.baremetal.synapse.plugins.plugin_utils.views.fleet import fleet as fleet_view

from tests.support.deployment import LAYOUT, Deployment, topology

DATABASE = fleet_view(topology())["database"]
REDIS = fleet_view(topology())["redis"]
NO_REDIS = pytest.mark.skipif(REDIS is None, reason="a fleet without workers has no Redis")
SECRETS = {entry["name"]: entry["path"] for entry in secret_files()}

# Synapse's own way to it, so it works on every host of Synapse.
_LOGIN = """
import json, psycopg2, sys
try:
    cursor = psycopg2.connect(**json.loads(sys.argv[1])).cursor()
    cursor.execute("SELECT current_user")
    print(cursor.fetchone()[0])
except psycopg2.OperationalError as error:
    print(error)
"""


def _query(fleet: Deployment, query: str) -> list[list[str]]:
    """Ask PostgreSQL as its own administrator."""
    words = ["psql", "-p", str(DATABASE["port"]), "-d", DATABASE["name"], "-AtF|", "-c", query]
    answer = fleet.on(DATABASE["host"]).shell(shlex.join(["runuser", "-u", "postgres", "--", *words]))
    return [line.split("|") for line in answer.splitlines()]


def _login(fleet: Deployment, user: str, place: str, environment: str = "") -> str:
    """Try to become Synapse's role as a user of the main process' host, and return what PostgreSQL says."""
    target = {"host": place, "port": DATABASE["port"], "dbname": DATABASE["name"], "user": DATABASE["user"]}
    words = ["env", *environment.split(), "python3", "-c", _LOGIN, json.dumps(target)]
    return fleet.shell(shlex.join(["runuser", "-u", user, "--", *words])).strip()


def test_database_is_as_synapse_demands(fleet: Deployment) -> None:
    """UTF8, sorted byte by byte, and owned by Synapse's role, which can do nothing else."""
    query = """
        SELECT pg_encoding_to_char(encoding), datcollate, datctype, rolname, rolsuper, rolcreatedb, rolcreaterole
        FROM pg_database JOIN pg_roles ON pg_roles.oid = datdba WHERE datname = current_database()"""

    assert _query(fleet, query) == [["UTF8", "C", "C", DATABASE["user"], "f", "f", "f"]]


def test_connections_fit(fleet: Deployment) -> None:
    """PostgreSQL admits all that the fleet may open, and the fleet has no more open than it said."""
    budget = connection_budget(topology())
    ((admitted,),) = _query(fleet, "SHOW max_connections")
    users = [
        user for (user,) in _query(fleet, "SELECT usename FROM pg_stat_activity WHERE datname = current_database()")
    ]

    assert int(admitted) >= budget["max_connections"]
    assert len(topology().processes) <= users.count(DATABASE["user"]) <= budget["sum"]


def test_settings_wait_for_nothing(fleet: Deployment) -> None:
    """What the configuration says is in force, without errors, and tuned: nothing was left at the distribution's."""
    assert _query(fleet, "SELECT name FROM pg_settings WHERE pending_restart") == []
    assert _query(fleet, "SELECT sourcefile, error FROM pg_file_settings WHERE error IS NOT NULL") == []
    tuned = {name for (name,) in _query(fleet, "SELECT name FROM pg_settings WHERE sourcefile LIKE '%matrix-synapse%'")}
    assert tuned >= {"max_connections", "shared_buffers", "effective_cache_size", "work_mem"}


def test_nobody_is_trusted(fleet: Deployment) -> None:
    """Each rule wants to know who somebody is, and passwords are not kept in a weak form."""
    methods = {method for (method,) in _query(fleet, "SELECT DISTINCT auth_method FROM pg_hba_file_rules")}
    passwords = _query(fleet, "SELECT rolpassword FROM pg_authid WHERE rolpassword IS NOT NULL")

    assert methods <= {"peer", "scram-sha-256"}
    assert all(password.startswith("SCRAM-SHA-256$") for (password,) in passwords)


# Who tries what, and how PostgreSQL answers.
SOCKET_LOGINS = (
    (LAYOUT["user"], DATABASE["socket_dir"], "", DATABASE["user"]),
    (LAYOUT["proxy_group"], DATABASE["socket_dir"], "", "Peer authentication failed"),
    (LAYOUT["user"], "127.0.0.1", "", "Connection refused"),
)
TCP_LOGINS = (
    (LAYOUT["user"], DATABASE["address"], f"PGPASSFILE={SECRETS['pgpass']}", DATABASE["user"]),
    (LAYOUT["user"], DATABASE["address"], "PGPASSFILE=/dev/null", "no password supplied"),
    (LAYOUT["user"], DATABASE["address"], "PGPASSWORD=wrong", "password authentication failed"),
)
TLS_LOGINS = (
    (LAYOUT["user"], DATABASE["address"], f"PGPASSFILE={SECRETS['pgpass']} PGSSLMODE=disable", "no pg_hba.conf entry"),
)
LOGINS = SOCKET_LOGINS if topology().unix else (*TCP_LOGINS, *(TLS_LOGINS if DATABASE["tls"] else ()))


@pytest.mark.parametrize(("user", "place", "environment", "answer"), LOGINS)
def test_login_to_the_database(user: str, place: str, environment: str, answer: str, fleet: Deployment) -> None:
    """On the socket the system says who somebody is, over TCP the password does; the other way is shut."""
    assert answer in _login(fleet, user, place, environment)


@pytest.mark.skipif(not DATABASE["tls"], reason="the inventory does not ask for TLS")
def test_connections_to_the_database_are_encrypted(fleet: Deployment) -> None:
    """All of Synapse's, and it says in its configuration that it takes no other."""
    query = "SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = '{}'"

    assert _query(fleet, query.format(DATABASE["user"])) == [["t"]]
    for machine in fleet.synapse_machines:
        assert "sslmode: " in machine.shell(f"cat {LAYOUT['shared_config']}")


def _redis_cli(fleet: Deployment, *words: str, user: str = "root", password: bool = True) -> list[str]:
    """Ask Redis, with the password if it has one."""
    name = REDIS["package"].removesuffix("-server")
    where = ["-s", REDIS["socket"]] if topology().unix else ["-h", REDIS["address"], "-p", str(REDIS["port"])]
    command = shlex.join(["runuser", "-u", user, "--", f"{name}-cli", "--no-auth-warning", *where, *words])
    if password and not topology().unix:
        secret = fleet.shell(f"cat {SECRETS['redis_password']}").strip()
        command = f"REDISCLI_AUTH={shlex.quote(secret)} {command}"
    done = fleet.on(REDIS["host"]).host.run(command)
    return (str(done.stdout) + str(done.stderr)).splitlines()


@NO_REDIS
def test_redis_keeps_nothing(fleet: Deployment) -> None:
    """It passes messages on; what it would write to a disk is of no use after a restart."""
    assert _redis_cli(fleet, "CONFIG", "GET", "save") == ["save", ""]
    assert _redis_cli(fleet, "CONFIG", "GET", "appendonly") == ["appendonly", "no"]


@NO_REDIS
def test_redis_connects_all_processes(fleet: Deployment) -> None:
    """Every process listens to the channel of the server."""
    server = topology().server_name

    answer = _redis_cli(fleet, "PUBSUB", "NUMSUB", server)

    assert answer == [server, str(len(topology().processes))]


@NO_REDIS
def test_redis_is_closed_to_others(fleet: Deployment) -> None:
    """Only its group may open the socket, and there is no port; over TCP nothing is answered without the password."""
    assert _redis_cli(fleet, "PING") == ["PONG"]
    if topology().unix:
        assert _redis_cli(fleet, "CONFIG", "GET", "port") == ["port", "0"]
        assert "Permission denied" in _redis_cli(fleet, "PING", user=LAYOUT["proxy_group"])[0]
    else:
        assert "NOAUTH" in _redis_cli(fleet, "PING", password=False)[0]
