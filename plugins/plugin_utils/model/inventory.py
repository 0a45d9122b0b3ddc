# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads an inventory: the inputs of all hosts, first as they are written, then with their types.

No facts are read, so a run with ``--limit`` computes the same topology as a full one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .duties import DUTIES
from .errors import HIDDEN, Problems, TopologyError, shown
from .inputs import INPUTS
from .names import near_groups, near_variables
from .presets import PRESETS
from .releases import Release
from .schema import Input
from .service import Service
from .services import SERVICES, groups_of
from .values import plain


@dataclass(frozen=True)
class Unreadable:
    """Stands for a value that cannot be read, because a template in it fails.

    Attributes:
        failures: for each template that fails, the variable with the way inside it, and why; no part of the value.
        fix: what to do.
    """

    failures: tuple[tuple[str, str], ...]
    fix: str

    def errors(self, host: str | None) -> list[TopologyError]:
        """Returns what is wrong with the variable on a host."""
        return [TopologyError(variable, HIDDEN, reason, self.fix, host) for variable, reason in self.failures]


def gather(
    groups: Mapping[str, Sequence[str]],
    hostvars: Mapping[str, Mapping[str, Any]],
    services: Sequence[Service] = SERVICES,
) -> dict[str, Any]:
    """Reads from an inventory what the topology and the roles depend on, and nothing else.

    Args:
        groups: Ansible's ``groups``.
        hostvars: Ansible's ``hostvars``; each host is looked up once, because each access costs. A value that cannot be
            read is an ``Unreadable``.
        services: the table of services.

    Returns:
        ``groups``: the hosts of each group; of the groups that are not ours, only the names.
        ``hosts``: for each host, the inputs that are set, as they are written.
        ``unreadable``: for each host, the inputs that cannot be read, with the variable, the reason and the fix.
        ``other_groups`` and ``other_variables``: groups, with their hosts, and names of variables that look like ours.
    """
    ours = groups_of(services)
    named = {str(name): sorted(map(str, hosts)) for name, hosts in groups.items()}
    members = {name: named[name] if name in ours else [] for name in sorted(named)}
    hosts: dict[str, Any] = {}
    unreadable: dict[str, list[list[str]]] = {}
    names: set[str] = set()
    for host in sorted({host for found in members.values() for host in found}):
        variables = hostvars[host]
        read = {name: variables[name] for name, entry in INPUTS.items() if not entry.internal and name in variables}
        hosts[host] = {name: plain(value) for name, value in read.items() if not isinstance(value, Unreadable)}
        failed = [
            [variable, reason, value.fix]
            for value in read.values()
            if isinstance(value, Unreadable)
            for variable, reason in value.failures
        ]
        if failed:
            unreadable[host] = failed
        names.update(name for name in map(str, variables) if name not in INPUTS and "_" in name)
    return {
        "groups": members,
        "hosts": hosts,
        "unreadable": unreadable,
        "other_groups": {name: named[name] for name in sorted(near_groups(named, ours))},
        "other_variables": sorted(near_variables(names)),
    }


def typed_hosts(
    inputs: Mapping[str, Any], services: Sequence[Service], problems: Problems
) -> dict[str, dict[str, Any]]:
    """Returns the inputs that are set on each host with their types; what cannot be is left out and reported.

    Args:
        inputs: what ``gather`` has read.
        services: the table of services.
        problems: what is wrong is added to it.
    """
    running = {
        service.name: {host for group in service.groups for host in inputs["groups"].get(group, ())}
        for service in services
        if service.groups
    }
    found: dict[str, dict[str, Any]] = {}
    for host, variables in inputs["hosts"].items():
        own = found[host] = {}
        for name, value in variables.items():
            entry = INPUTS.get(name)
            if entry is None or entry.unset(value) or host not in running.get(entry.service or "", inputs["hosts"]):
                continue
            with problems.caught():
                own[name] = entry.read(value, host if entry.per_host else None)
    for host, failed in inputs.get("unreadable", {}).items():
        problems.add(TopologyError(variable, HIDDEN, reason, fix, host) for variable, reason, fix in failed)
    return found


def fleet_options(hosts: Mapping[str, Mapping[str, Any]], problems: Problems) -> dict[str, Any]:
    """Returns the values of the inputs that are the same on all hosts; the default of one that no host sets.

    Args:
        hosts: the inputs that are set on each host, with their types.
        problems: what hosts do not agree on is added to it.
    """
    options = {}
    for name, entry in INPUTS.items():
        if entry.per_host:
            continue
        # A host on which the value cannot be was reported, and does not disagree as well.
        wrong = problems.concern(name)
        values = {host: own.get(name, entry.default) for host, own in hosts.items() if not wrong or name in own}
        options[name] = next(iter(values.values()), entry.default)
        problems.add(_disagreements(entry, values))
        if entry.required and options[name] is None and not wrong:
            problem = entry.problem(None)
            problems.add([problem] if problem else [])
    return options


def _disagreements(entry: Input, values: Mapping[str, Any]) -> list[TopologyError]:
    first_host, first = next(iter(values.items()), ("", None))
    told = "another one" if entry.secret else shown(first)
    return [
        TopologyError(
            entry.name,
            entry.shown(value),
            f"it is {told} on {first_host}, and all hosts of a fleet share it",
            "Set it once, in group_vars/all.",
            host,
        )
        for host, value in values.items()
        if value != first
    ]


def host_value(hosts: Mapping[str, Mapping[str, Any]], host: str, name: str) -> Any:
    """Returns the value of an input of one host, its default if it is not set."""
    return hosts[host].get(name, INPUTS[name].default)


def pools_of(
    hosts: Mapping[str, Mapping[str, Any]], host: str, group: str, preset: str, release: Release
) -> dict[str, Any]:
    """Returns the pools of a host in one worker group: what the inventory sets, else the preset's."""
    value = host_value(hosts, host, group)
    return pools_at(PRESETS[preset][group], release) if value is None else dict(value)


def pools_at(pools: Mapping[str, Mapping[str, Any]], release: Release) -> dict[str, Any]:
    """Returns pools without the duties that a release has not got yet, and without those that have no other."""
    kept = {}
    for pool, value in pools.items():
        duties = [name for name in value.get("duties", [pool]) if DUTIES[name].since <= release]
        if duties:
            kept[pool] = {**value, "duties": duties}
    return kept
