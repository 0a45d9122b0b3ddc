# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables of roles, checked against the roles' argument specs, without a task of the roles."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ..model.errors import TopologyError
from ..model.topology import Topology
from ..model.values import plain
from .role_scope import ROLES


def argument_names(topology: Topology, host: str) -> list[str]:
    """Returns the names of the variables of all roles that deploy to a host."""
    return sorted(
        {name for service in topology.services_of(host) for name in (*_options(service.name), *service.variables)}
    )


def argument_problems(topology: Topology, host: str, variables: Mapping[str, Any]) -> list[str]:
    """Returns what is wrong with the types of a host's variables, a sentence each.

    Args:
        topology: the fleet.
        host: the inventory name of the host.
        variables: of the host, as far as they are set.
    """
    problems = []
    for role in (service.name for service in topology.services_of(host)):
        for name, option in _options(role).items():
            if variables.get(name) is None:
                continue
            value = plain(variables[name])
            validated = ArgumentSpecValidator({name: {**option, "required": False}}).validate({name: value})
            for message in validated.error_messages:
                shown = "(not shown)" if option["type"] == "dict" else value
                fix = f"Its description: ansible-doc -t role baremetal.synapse.{role}."
                problems.append(str(TopologyError(name, shown, message.rstrip("."), fix, host)))
    return problems


@lru_cache(maxsize=32)
def _options(role: str) -> dict[str, Any]:
    path = ROLES / role / "meta" / "argument_specs.yml"
    if not path.is_file():
        return {}
    entry_points = yaml.safe_load(path.read_text())["argument_specs"]
    return {
        name: {key: value for key, value in option.items() if key != "description"}
        for entry in entry_points.values()
        for name, option in (entry.get("options") or {}).items()
    }


__all__ = ("argument_names", "argument_problems")
