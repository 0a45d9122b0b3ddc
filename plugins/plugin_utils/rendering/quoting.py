# SPDX-License-Identifier: GPL-3.0-or-later
"""How a value is written into the file of another program, so that it is read back as it was: one function a grammar.

The checks of the model refuse what a grammar cannot express (``model/texts.py``, ``model/paths.py``), with the variable
and the fix. The functions here raise ValueError for it, so that no value ever leaves its place.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import ip_network

from ..model.texts import NGINX_MAXIMUM, control_character

# nginx keeps exact names in a hash with buckets of a cache line, and refuses to start for a longer name.
_NGINX_NAME_MAXIMUM = 40


def nginx(value: str) -> str:
    """Returns one parameter of a directive of nginx.

    nginx replaces variables within quotes, too, and a ``$`` cannot be escaped.
    """
    _refuse_control_characters(value, "nginx")
    if "$" in value:
        raise ValueError("nginx would read a variable at the $, which cannot be escaped")
    if len(value.encode()) > NGINX_MAXIMUM:
        raise ValueError(f"nginx reads no parameter of more than {NGINX_MAXIMUM} bytes")
    escaped = value.replace("\\", "\\\\")
    # JSON is easier to read between single quotes.
    if '"' in value and "'" not in value:
        return f"'{escaped}'"
    return '"' + escaped.replace('"', '\\"') + '"'


def nginx_name(value: str) -> str:
    """Returns a name for nginx's ``server_name``; a long one as a pattern, because nginx's table has no room for it."""
    if len(value) <= _NGINX_NAME_MAXIMUM:
        return value
    pattern = re.escape(value.lower()).replace("\\", "\\\\").replace('"', '\\"')
    return f'"~^{pattern}$"'


def nginx_network(value: str) -> str:
    """Returns a network as nginx reads it: with a prefix length, and without bits of a host."""
    return str(ip_network(value, strict=False))


def systemd(value: str) -> str:
    """Returns one word of a directive of systemd, without specifiers."""
    _refuse_control_characters(value, "systemd")
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def postgresql(value: str) -> str:
    """Returns a value of postgresql.conf."""
    _refuse_control_characters(value, "PostgreSQL")
    escaped = value.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"


def redis(value: str) -> str:
    """Returns an argument of redis.conf."""
    _refuse_control_characters(value, "Redis")
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def sql(value: str) -> str:
    """Returns a literal of SQL, which means the same with and without ``standard_conforming_strings``."""
    escaped = value.replace("'", "''")
    return f"'{escaped}'" if "\\" not in escaped else "E'" + escaped.replace("\\", "\\\\") + "'"


def sql_identifier(value: str) -> str:
    """Returns a name of SQL, such as that of a role or of a database."""
    return '"' + value.replace('"', '""') + '"'


GRAMMARS: dict[str, Callable[[str], str]] = {
    "nginx": nginx,
    "nginx_name": nginx_name,
    "nginx_network": nginx_network,
    "systemd": systemd,
    "postgresql": postgresql,
    "redis": redis,
    "sql": sql,
}
"""The functions by the names that templates use."""


def quoted(value: object, grammar: str) -> str:
    """Returns a value as it is written into a file of this grammar.

    Raises:
        ValueError: the grammar cannot express the value, or there is no such grammar.
    """
    if grammar not in GRAMMARS:
        raise ValueError(f"{grammar!r} is no grammar: known are {', '.join(sorted(GRAMMARS))}")
    return GRAMMARS[grammar](str(value))


def _refuse_control_characters(value: str, reader: str) -> None:
    if control_character(value):
        raise ValueError(f"the value has a line break or another control character, which {reader} does not read")


__all__ = (
    "GRAMMARS",
    "nginx",
    "nginx_name",
    "nginx_network",
    "postgresql",
    "quoted",
    "redis",
    "sql",
    "sql_identifier",
    "systemd",
)
