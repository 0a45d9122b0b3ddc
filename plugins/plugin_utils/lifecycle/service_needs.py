# SPDX-License-Identifier: GPL-3.0-or-later
"""What the plan has to do to services beside Synapse's processes: their roles note it, each in one fact."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ..model.topology import Topology

_STEP = "_step"
"""The end of the name of the fact: ``postgres_step``."""


def service_needs(
    topology: Topology, variables: Mapping[str, Mapping[str, Any]], hosts: Collection[str]
) -> list[dict[str, str]]:
    """Returns the steps that the roles of services ask the plan for, in the order of the table of services.

    Args:
        topology: the fleet.
        variables: of each host, by its inventory name. The fact ``<service>_step`` has ``unit``, ``action``,
            ``reason``, and ``moves`` if the service will be reached elsewhere; empty or not set, it needs nothing.
        hosts: the hosts of the run; others are not asked.

    Returns:
        ``service``, ``title``, ``host``, ``unit``, ``action``, ``reason``, ``effect`` and ``moves`` of each step.
    """
    needs = []
    for service in topology.services:
        if service.restart_effect is None:
            continue
        for host in topology.hosts_of(service):
            step = variables[host].get(f"{service.name}{_STEP}") if host in hosts else None
            if step:
                needs.append(
                    {
                        "service": service.name,
                        "title": service.title,
                        "host": host,
                        **{name: str(step[name]) for name in ("unit", "action", "reason")},
                        "effect": service.restart_effect,
                        "moves": str(step.get("moves", "")),
                    }
                )
    return needs


__all__ = ("service_needs",)
