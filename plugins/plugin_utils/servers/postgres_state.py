# SPDX-License-Identifier: GPL-3.0-or-later
"""What the answers of PostgreSQL mean: what is refused, and what is left to do."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..model.errors import TopologyError
from ..rendering.quoting import sql, sql_identifier
from .postgres import PostgresServer
from .postgres_queries import NAMES_TO_COMPARE

_WHERE = ("listen_addresses", "port")
"""Settings that say where PostgreSQL is reached."""

_DEMANDED = {"encoding": "UTF8", "collate": "C", "ctype": "C"}
"""What Synapse demands of its database."""

_FORM = "ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"
_ATTRIBUTES = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
_PASSFILE = re.compile(r"(?:(?:\\.|[^:\\])*:){4}(?P<password>.*)")
_ITERATIONS = 4096
"""Of the password's hash, PostgreSQL's own default."""


@dataclass(frozen=True, kw_only=True)
class PostgresState:
    """What is left to do with a server.

    Attributes:
        problems: why the server cannot be used, a sentence each.
        step: the step for the plan: ``unit``, ``action``, ``reason``, and ``moves`` if clients will reach the server
            elsewhere; empty if nothing needs a restart.
        reload: whether the server must read its files again.
        unread: whether systemd has not read the newest drop-in of the unit yet, or would not have.
        statements: the SQL that creates the database and its owner, or changes them, as one script. It has no password,
            only what PostgreSQL keeps of it.
    """

    problems: tuple[str, ...] = ()
    step: Mapping[str, str] = field(default_factory=dict)
    reload: bool = False
    unread: bool = False
    statements: str = ""

    @property
    def work(self) -> bool:
        """Whether anything is left to do or to refuse."""
        return bool(self.problems or self.step or self.reload or self.unread or self.statements)


Answers = Sequence[Sequence[Mapping[str, Any]]]
"""The rows of each query of a server; none if it was not asked."""


def read_answers(text: str) -> tuple[bool, list[list[dict[str, Any]]]]:
    """Returns whether systemd has not read the newest drop-in, and the rows of each query.

    Args:
        text: what the command ``ask`` of a server has printed; empty if it was not asked.
    """
    first, *lines = text.splitlines() or [""]
    return first == "yes", [json.loads(line) for line in lines]


def postgres_state(
    server: PostgresServer, answers: Answers, *, passfile: str, files_changed: bool, unread: bool = False
) -> PostgresState:
    """Returns what is left to do before the plan is carried out.

    Args:
        server: the server, as ``postgres_server`` returns it.
        answers: the rows of each of the server's queries; none if it was not asked.
        passfile: the passfile of Synapse; empty if there is none.
        files_changed: whether the run has written files of the server, or would.
        unread: whether systemd has not read the newest drop-in of the unit yet.
    """
    if not answers:
        return PostgresState()
    row = answers[1][0]
    pending = _pending(answers)
    restart = bool(pending) and server.existed
    return PostgresState(
        problems=(*refused(server, answers), *([] if server.existed else _not_in_force(server, pending))),
        step=_step(server, pending) if restart else {},
        # A restart reads the files as well.
        reload=not restart and (row["reload"] or (server.checking and files_changed)),
        unread=unread,
        statements=_statements(server, row, passfile, restart=restart),
    )


def _statements(server: PostgresServer, row: Mapping[str, Any], passfile: str, *, restart: bool) -> str:
    owner, database = row["owner"], row["database"]
    password = password_of(passfile) if server.with_password else ""
    # Until a restart moves the server to its socket, the processes that run need the password.
    waits = restart and owner is not None and owner["password"] and not server.with_password
    user, name = sql_identifier(server.user), sql_identifier(server.database)
    found = []
    if not waits and not _is_as_wanted(owner, password, with_password=server.with_password):
        verb = "CREATE" if owner is None else "ALTER"
        secret = sql(verifier(password, secrets.token_bytes(16))) if password else "NULL"
        found.append(f"{verb} ROLE {user} WITH {_ATTRIBUTES} PASSWORD {secret};\n")
    if database is None:
        found.append(f"CREATE DATABASE {name} OWNER {user} TEMPLATE template0 {_FORM};\n")
    elif database["owner"] != server.user:
        found.append(f"ALTER DATABASE {name} OWNER TO {user};\n")
    return "".join(found)


def restarted_problems(server: PostgresServer, answers: Answers) -> list[str]:
    """Returns why a server that has restarted is not as it was wanted, a sentence each.

    Args:
        server: the server, as ``postgres_server`` returns it.
        answers: the rows of each of the server's queries; none if it was not asked.
    """
    if not answers:
        return []
    return [*refused(server, answers), *_not_in_force(server, _pending(answers))]


def password_of(passfile: str) -> str:
    r"""Returns the password of a passfile of libpq with one line: its last field, in which ``\\:`` is a colon."""
    line = passfile.strip()
    found = _PASSFILE.fullmatch(line)
    return line.rpartition(":")[2] if found is None else re.sub(r"\\(.)", r"\1", found["password"])


def _pending(answers: Answers) -> list[str]:
    """Returns the settings that a restart changes; in check mode the third answer has those of the new files."""
    forecast = answers[2][0]["pending"] if len(answers) > 2 else ()
    return sorted({*answers[1][0]["pending"], *forecast})


def _step(server: PostgresServer, pending: Sequence[str]) -> dict[str, str]:
    moves = [name for name in pending if name in _WHERE]
    return {
        "unit": server.unit,
        "action": "restart",
        "reason": _reason(pending),
        **({"moves": ", ".join(moves)} if moves else {}),
    }


def _reason(pending: Sequence[str]) -> str:
    verb = "changes" if len(pending) == 1 else "change"
    return f"{', '.join(pending)} {verb}, which PostgreSQL reads only at its start"


def refused(server: PostgresServer, answers: Answers) -> list[str]:
    """Returns why a running server cannot serve Synapse, a sentence each."""
    files, row = answers[0], answers[1][0]
    return [
        *_wrong_database(server, row["database"]),
        *_broken_files(server, files, row["pending"]),
        *_overridden(server, files),
        *_too_few_connections(server, files, row),
        *_broken_hba(server, row["hba_errors"]),
    ]


def _wrong_database(server: PostgresServer, database: Mapping[str, Any] | None) -> list[str]:
    if database is None or all(database[key] == value for key, value in _DEMANDED.items()):
        return []
    return [
        f"The database {server.database} on host {server.host} has encoding {database['encoding']}, collation"
        f" {database['collate']} and ctype {database['ctype']}: Synapse starts only with UTF8, C and C, and a database"
        " cannot be converted in place. Dump it, rename it, run again, and restore the dump into the new one."
    ]


def _broken_files(server: PostgresServer, files: Sequence[Mapping[str, Any]], pending: Sequence[str]) -> list[str]:
    # PostgreSQL reports a setting that waits for a restart as an error too.
    broken = [row for row in files if row["error"] is not None and row["name"] not in pending]
    if not broken:
        return []
    shown = ", ".join(dict.fromkeys(row["name"] or f"{row['sourcefile']}:{row['sourceline']}" for row in broken))
    errors = ", ".join(dict.fromkeys(row["error"] for row in broken))
    return [
        f"PostgreSQL on host {server.host} cannot apply {shown}: {errors}. Fix the setting in the files of"
        f" {server.config_dir}, or in postgres_settings."
    ]


def _overridden(server: PostgresServer, files: Sequence[Mapping[str, Any]]) -> list[str]:
    """Returns a sentence for each setting that another file sets so that Synapse could not work."""
    needed = {"max_connections": server.max_connections, "port": server.port_wanted}
    found = []
    for name in NAMES_TO_COMPARE:
        row = next((row for row in reversed(files) if str(row["name"]).lower() == name), None)
        if row is None or row["sourcefile"] == server.config_file or _serves(server, name, row["setting"]):
            continue
        # In check mode our file may not be there yet. What ALTER SYSTEM writes counts in any case.
        by_alter_system = str(row["sourcefile"]).endswith("/postgresql.auto.conf")
        if server.checking and not by_alter_system:
            continue
        fix = f"Run ALTER SYSTEM RESET {name}" if by_alter_system else f"Take {name} out of this file"
        found.append(
            str(
                TopologyError(
                    name,
                    str(row["setting"]),
                    f"{row['sourcefile']} sets it, which wins over {server.config_file}, and the topology needs"
                    f" {needed[name]}",
                    f"{fix}.",
                    server.host,
                )
            )
        )
    return found


def _serves(server: PostgresServer, name: str, setting: str) -> bool:
    try:
        number = int(setting)
    except ValueError:
        return False
    return number >= server.max_connections if name == "max_connections" else number == server.port_wanted


def _too_few_connections(
    server: PostgresServer, files: Sequence[Mapping[str, Any]], row: Mapping[str, Any]
) -> list[str]:
    """Returns a sentence if the server admits too few connections and no restart will change that."""
    waits = server.checking or "max_connections" in row["pending"] or _overridden(server, files)
    if row["max_connections"] >= server.max_connections or waits:
        return []
    return [
        f"max_connections on host {server.host} is {row['max_connections']}: the processes of this topology may open"
        f" {server.max_connections} connections, and {server.config_file} is not what decides. Take"
        " max_connections out of the options with which the server is started (pg_ctl.conf), or lower synapse_cp_max or"
        " cp_max of a pool."
    ]


def _broken_hba(server: PostgresServer, errors: Sequence[str]) -> list[str]:
    if not errors:
        return []
    return [
        f"{server.hba_file} on host {server.host} has errors: {', '.join(errors)}. PostgreSQL would not start"
        " again with it: fix the file."
    ]


def _not_in_force(server: PostgresServer, pending: Sequence[str]) -> list[str]:
    if not pending:
        return []
    return [
        f"PostgreSQL on host {server.host} has restarted and does not have the values of its files for"
        f" {', '.join(pending)}. Look at the journal of {server.unit}, and run site.yml again."
    ]


def _is_as_wanted(owner: Mapping[str, Any] | None, password: str, *, with_password: bool) -> bool:
    if owner is None or not owner["restricted"] or owner["password"] != with_password:
        return False
    return not with_password or _digest(owner["salted"], password) == owner["digest"]


def _digest(salted: str, password: str) -> str | None:
    """Returns the SHA-256 of the verifier that PostgreSQL keeps of a password; None if it keeps no such one.

    Args:
        salted: the number of iterations and the salt, ``4096:AbCd==``.
        password: the password.
    """
    iterations, _, salt = salted.partition(":")
    if not iterations.isdecimal() or not password.isascii():
        return None
    kept = verifier(password, base64.b64decode(salt), int(iterations))
    return hashlib.sha256(kept.encode()).hexdigest()


def verifier(password: str, salt: bytes, iterations: int = _ITERATIONS) -> str:
    """Returns what PostgreSQL keeps of a password (RFC 5803): it is no use for a login."""
    key = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    stored = hashlib.sha256(hmac.digest(key, b"Client Key", "sha256")).digest()
    of_server = hmac.digest(key, b"Server Key", "sha256")
    encoded = [base64.b64encode(part).decode() for part in (salt, stored, of_server)]
    return f"SCRAM-SHA-256${iterations}:{encoded[0]}${encoded[1]}:{encoded[2]}"
