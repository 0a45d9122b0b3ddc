# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads one pool of the inventory, checks it, and makes its processes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from . import layout
from .checks import check_extra_config
from .duties import DUTIES, MEDIA, Duty
from .errors import TopologyError, did_you_mean
from .process import MAIN, MASTER, Process, Settings
from .releases import Release
from .texts import cpu_share, environment, memory_limit
from .values import Problem, is_whole_number

_POOL_NAME = re.compile(r"[a-z][a-z0-9_]*")


def _connections(value: Any) -> Problem | None:
    if is_whole_number(value) and value >= 1:
        return None
    return "it is a whole number of connections, 1 or more", "Write a number without quotes."


def _factor(value: Any) -> Problem | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
        return None
    return "it is a number above 0", "Write 0.5, 1 or 2.0, without quotes."


def _mapping(value: Any) -> Problem | None:
    return (
        None if isinstance(value, dict) else ("it is a mapping of Synapse options", "Write name: value lines below it.")
    )


_SETTING_CHECKS: dict[str, Callable[[Any], Problem | None]] = {
    "memory_max": memory_limit,
    "cpu_quota": cpu_share,
    "cp_max": _connections,
    "cache_factor": _factor,
    "env": environment,
    "extra_config": _mapping,
}
_POOL_KEYS = ("count", "duties", "port_slot", *_SETTING_CHECKS)


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolSource:
    """Where pools are read: a worker group of one host.

    Attributes:
        group: the inventory group, which is also the variable.
        host: the inventory name of the host.
        label: the host's part in worker names.
        address: where other processes reach the host.
        release: the Synapse release, which must know the duties.
    """

    group: str
    host: str
    label: str
    address: str
    release: Release


def read_settings(variable: str, value: Mapping[str, Any], host: str | None) -> Settings:
    """Reads the settings of a pool, or of the main process."""
    found = {}
    for name, entry in value.items():
        check = _SETTING_CHECKS.get(name)
        if check is None:
            raise TopologyError(
                f"{variable}.{name}", entry, "there is no such setting", did_you_mean(name, _SETTING_CHECKS), host
            )
        problem = check(entry)
        if problem is not None:
            # An environment may hold secrets.
            shown = "(not shown)" if name == "env" else entry
            raise TopologyError(f"{variable}.{name}", shown, *problem, host=host)
        found[name] = entry
    check_extra_config(f"{variable}.extra_config", found.get("extra_config", {}), host)
    return Settings(**found)


def read_pool(source: PoolSource, pool: str, value: Any) -> list[Process]:
    """Makes the processes of one pool on one host.

    Args:
        source: the host and the group.
        pool: the name of the pool.
        value: what the operator wrote below it.

    Raises:
        TopologyError: the pool cannot be.
    """
    host = source.host
    variable = f"{source.group}.{pool}"
    if pool in (MAIN, MASTER):
        raise TopologyError(
            variable,
            pool,
            "Synapse calls its main process 'main' and 'master', no worker may be named so",
            "Choose another name.",
            host,
        )
    if not _POOL_NAME.fullmatch(pool):
        raise TopologyError(
            variable,
            pool,
            "the name of a pool becomes part of worker names and paths",
            "Use lower-case letters, digits and '_', beginning with a letter.",
            host,
        )
    if not isinstance(value, dict):
        raise TopologyError(variable, value, "a pool is a mapping", f"Write {pool}: {{count: 1}}.", host)
    for key in value:
        if key not in _POOL_KEYS:
            raise TopologyError(
                f"{variable}.{key}", value[key], "a pool has no such setting", did_you_mean(key, _POOL_KEYS), host
            )
    count = _count(variable, value.get("count", 1), host)
    duties = _duties(source, variable, pool, value)
    slot = _slot(variable, pool, value.get("port_slot"), host)
    settings = read_settings(variable, {k: v for k, v in value.items() if k in _SETTING_CHECKS}, host)
    processes = []
    for index in range(1, count + 1):
        name = f"{source.label}-{pool}-{index}"
        layout.check_socket_length(name, host)
        processes.append(
            Process(
                name=name,
                group=source.group,
                host=host,
                pool=pool,
                index=index,
                duties=duties,
                address=source.address,
                slot=slot,
                settings=settings,
            )
        )
    return processes


def _count(variable: str, value: Any, host: str) -> int:
    if not is_whole_number(value):
        raise TopologyError(
            f"{variable}.count", value, "it is a whole number of workers", "Write count: 2, without quotes.", host
        )
    if not 0 <= value <= layout.SLOT_SIZE:
        raise TopologyError(
            f"{variable}.count",
            value,
            f"a pool has 0 to {layout.SLOT_SIZE} workers on one host",
            "Choose a number in that range; for more, make a second pool with the same duties.",
            host,
        )
    return int(value)


def _duties(source: PoolSource, variable: str, pool: str, value: Mapping[str, Any]) -> tuple[str, ...]:
    host = source.host
    if "duties" not in value:
        if pool not in DUTIES:
            raise TopologyError(
                f"{variable}.duties",
                None,
                f"'{pool}' is no duty itself, so the pool has nothing to do",
                f"Add duties: [...]; or for the name of the pool: {did_you_mean(pool, DUTIES)}",
                host,
            )
        names: Any = [pool]
    else:
        names = value["duties"]
    if not isinstance(names, list) or not names:
        raise TopologyError(
            f"{variable}.duties",
            names,
            "a pool has one duty or more, as a list",
            "Write duties: [client_reader], or remove the pool.",
            host,
        )
    for name in names:
        if not isinstance(name, str) or name not in DUTIES:
            raise TopologyError(
                f"{variable}.duties", name, "there is no such duty", did_you_mean(str(name), DUTIES), host
            )
        _check_duty(source, variable, DUTIES[name])
    if len(set(names)) != len(names):
        raise TopologyError(f"{variable}.duties", names, "a duty is there twice", "Name each duty once.", host)
    quarantine = DUTIES["quarantined_media_changes"]
    if quarantine.name in names and "media" not in names:
        raise TopologyError(
            f"{variable}.duties",
            names,
            "only a media worker can write quarantined_media_changes",
            "Add media to the duties of this pool.",
            host,
        )
    return tuple(names)


def _check_duty(source: PoolSource, variable: str, duty: Duty) -> None:
    if source.group not in duty.groups:
        reason = "media workers serve only media" if source.group == MEDIA else "the duty needs another kind of worker"
        raise TopologyError(
            f"{variable}.duties", duty.name, reason, f"Move it to a pool of {' or '.join(duty.groups)}.", source.host
        )
    if source.release < duty.since:
        raise TopologyError(
            f"{variable}.duties",
            duty.name,
            f"Synapse has it since {duty.since}, and synapse_version is {source.release}",
            "Remove the duty, or raise synapse_version.",
            source.host,
        )


def _slot(variable: str, pool: str, value: Any, host: str) -> int:
    if value is None:
        return layout.pool_slot(pool)
    if not is_whole_number(value) or not layout.FIRST_FREE_SLOT <= value < layout.SLOTS:
        raise TopologyError(
            f"{variable}.port_slot",
            value,
            "it is the number of a slot of ports",
            f"Choose one from {layout.FIRST_FREE_SLOT} to {layout.SLOTS - 1}.",
            host,
        )
    return int(value)
