# SPDX-License-Identifier: GPL-3.0-or-later
"""Arguments that an operator adds to Synapse's connections to PostgreSQL.

Synapse hands ``database.args`` to psycopg2 and, those that begin with ``cp_``, to Twisted's connection pool (Synapse:
``config/database.py``, ``storage/database.py``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .values import Problem

_NAME = re.compile(r"[a-z][a-z0-9_]*")

COMPUTED: Mapping[str, str] = {
    "cp_max": "Use synapse_cp_max, or cp_max of a pool.",
    "cp_min": "Remove it: each process opens its first connection at its start.",
    "database": "Remove it: the database is created by this collection.",
    "dbname": "Remove it: the database is created by this collection.",
    "host": "Remove it: the host is the one of the group postgres.",
    "hostaddr": "Remove it: the address is synapse_address of the host of the group postgres.",
    "passfile": "Remove it: the collection writes the file, with synapse_secrets.database_password if that is set.",
    "password": "Use synapse_secrets.database_password, or remove it to have a password made.",
    "port": "Use postgres_port.",
    "sslmode": "Use postgres_tls.",
    "sslrootcert": "Use postgres_tls_root_certificate.",
    "user": "Remove it: the user is created by this collection.",
}
"""The arguments that the topology computes, with the fix for an inventory that sets them."""


def database_args(value: Any) -> Problem | None:
    """Checks further arguments: names of libpq or of the connection pool, with plain values."""
    computed = [name for name in sorted(value, key=str) if name in COMPUTED]
    if computed:
        return (
            f"{' and '.join(computed)} {'is' if len(computed) == 1 else 'are'} computed from the topology",
            " ".join(dict.fromkeys(COMPUTED[name] for name in computed)),
        )
    if not all(isinstance(name, str) and _NAME.fullmatch(name) for name in value):
        return "an argument has no valid name", "Use the names of libpq: lower-case letters, digits and '_'."
    for name, argument in value.items():
        if not isinstance(argument, str | int | float):
            return f"{name} is no text, number or boolean", f"Write {name}: and one value, or remove it."
    return None
