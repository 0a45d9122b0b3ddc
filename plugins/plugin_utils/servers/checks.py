# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks of the servers' inputs, by service: for the filter of one role, and for all hosts before a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..model.topology import Topology
from . import postgres_inputs, redis


@dataclass(frozen=True, kw_only=True)
class Checks:
    """What is known of the inputs of a service before a host is changed.

    Attributes:
        variables: the variables of a host that the checks read; the defaults of the role must be filled in.
        files_needed: takes the topology, a host and its variables; returns the paths that must exist on the host, each
            with the variable that names it.
        problems: takes the topology, a host, what the module host_survey returned for it, and its variables; returns
            why the service cannot be deployed there, a sentence each.
    """

    variables: tuple[str, ...]
    files_needed: Callable[[Topology, str, Mapping[str, Any]], dict[str, str]]
    problems: Callable[[Topology, str, Mapping[str, Any], Mapping[str, Any]], list[str]]


CHECKS: dict[str, Checks] = {
    "postgres": Checks(
        variables=postgres_inputs.VARIABLES,
        files_needed=postgres_inputs.files_needed,
        problems=postgres_inputs.problems,
    ),
    "redis": Checks(variables=redis.VARIABLES, files_needed=redis.files_needed, problems=redis.problems),
}
"""The checks of each service that has some, by its name."""
