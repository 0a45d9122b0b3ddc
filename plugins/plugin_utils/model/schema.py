# SPDX-License-Identifier: GPL-3.0-or-later
"""The schema: what one input is. The tables of inputs are in ``inputs/``; everything about inputs comes from them.

That is: the checks, the argument specs and the defaults of roles, the tables of the documentation, and the search for
misspelt names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .errors import HIDDEN, TopologyError
from .kinds import Kind

TOPOLOGY = "topology"
"""The role of inputs that the topology reads. They have no role defaults: a host cannot see those of another one."""


@dataclass(frozen=True, kw_only=True)
class Input:
    """One variable that an operator may set.

    Attributes:
        name: the variable.
        about: what it is, a sentence in the markup of Ansible's documentation.
        more: further paragraphs for the reference.
        kind: the values that it takes.
        default: its value while nobody sets it, or sets it to null.
        required: it must be set.
        per_host: it may differ between hosts; otherwise all hosts must agree.
        role: the role that has it in its defaults and its argument specs; else the role topology.
        on: the service on whose hosts it counts, where it is not the service of that role; empty for all hosts.
        entry: the entry point of the role that takes it.
        secret: its value may have secrets in it, so no message shows it.
        internal: roles of this collection pass it to each other; operators do not set it.
        since: the version of this collection that has it first.
    """

    name: str
    about: str
    more: tuple[str, ...] = ()
    kind: Kind
    default: Any = None
    required: bool = False
    per_host: bool = False
    role: str = TOPOLOGY
    on: str | None = None
    entry: str = "main"
    secret: bool = False
    internal: bool = False
    since: str = "0.1.0"

    @property
    def service(self) -> str | None:
        """The service on whose hosts the input counts; None for all hosts."""
        if self.on is not None:
            return self.on or None
        return None if self.role == TOPOLOGY else self.role

    def shown(self, value: Any) -> Any:
        """Returns what messages may show of a value."""
        return HIDDEN if self.secret and value is not None else value

    def problem(self, value: Any, host: str | None = None, prefix: str = "") -> TopologyError | None:
        """Returns why a value cannot be; None if it can.

        Args:
            value: the value.
            host: the host whose value it is.
            prefix: what stands before the name, for a setting of a pool.
        """
        if self.unset(value):
            return None
        found = self.kind.check(self.kind.convert(value))
        return None if found is None else TopologyError(f"{prefix}{self.name}", self.shown(value), *found, host=host)

    def unset(self, value: Any) -> bool:
        """Returns whether a value stands for none at all: null, or an empty text if nothing is the default."""
        return not self.required and (value is None or (value == "" and self.default is None))

    def read(self, value: Any, host: str | None = None, prefix: str = "") -> Any:
        """Returns a value with its type.

        Raises:
            TopologyError: it cannot be.
        """
        problem = self.problem(value, host, prefix)
        if problem is not None:
            raise problem
        return self.default if self.unset(value) else self.kind.convert(value)


def table_of(*tables: Iterable[Input]) -> dict[str, Input]:
    """Returns the inputs of several tables by their names, each of which is there once."""
    found: dict[str, Input] = {}
    for entry in (entry for table in tables for entry in table):
        if entry.name in found:
            raise ValueError(f"the input {entry.name} is in the schema twice")
        found[entry.name] = entry
    return found


def read_all(table: Mapping[str, Input], variables: Mapping[str, Any]) -> dict[str, Any]:
    """Returns variables with their types, as far as they are of the schema and can be; the others have their defaults.

    Args:
        table: the inputs.
        variables: what was set, by the names of the variables.
    """
    found = {}
    for name, value in variables.items():
        entry = table.get(name)
        try:
            found[name] = value if entry is None else entry.read(value)
        except TopologyError:
            found[name] = table[name].default
    return found


__all__ = ("TOPOLOGY", "Input", "read_all", "table_of")
