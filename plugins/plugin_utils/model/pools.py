# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads one pool of the inventory, checks it, and makes its processes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from . import layout
from .checks import check_extra_config
from .duties import DUTIES, MEDIA, Duty
from .errors import HIDDEN, Problems, TopologyError, did_you_mean
from .inputs.pools import POOL_INPUTS, SETTINGS
from .process import MAIN, MASTER, Process, Settings
from .releases import Release

_OF_POOL = POOL_INPUTS.keys() - SETTINGS.keys()
_POOL_NAME = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)


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


def read_settings(variable: str, value: Mapping[str, Any], host: str | None, problems: Problems) -> Settings:
    """Reads the settings of a pool, or of the main process.

    Args:
        variable: what is read, as the operator writes it.
        value: what is written there.
        host: the host whose variable it is.
        problems: what is wrong is added to it.
    """
    found = {}
    for name, entry in value.items():
        if name not in SETTINGS:
            problems.add(
                [
                    TopologyError(
                        f"{variable}.{name}", HIDDEN, "there is no such setting", did_you_mean(name, SETTINGS), host
                    )
                ]
            )
            continue
        with problems.caught():
            found[name] = SETTINGS[name].read(entry, host, f"{variable}.")
    problems.add(check_extra_config(f"{variable}.extra_config", found.get("extra_config") or {}, host))
    return Settings(**found)


def read_pool(source: PoolSource, pool: str, value: Any, problems: Problems) -> list[Process]:
    """Makes the processes of one pool on one host; none if there cannot be any.

    Args:
        source: the host and the group.
        pool: the name of the pool.
        value: what the operator wrote below it.
        problems: what is wrong is added to it.
    """
    host = source.host
    variable = f"{source.group}.{pool}"
    wrong = list(_wrong_pool(variable, pool, value, host))
    problems.add(wrong)
    if wrong:
        return []
    before = len(problems.found)
    problems.add(
        TopologyError(f"{variable}.{key}", HIDDEN, "a pool has no such setting", did_you_mean(key, POOL_INPUTS), host)
        for key in value
        if key not in POOL_INPUTS
    )
    read = {name: POOL_INPUTS[name].default for name in _OF_POOL}
    for name in _OF_POOL & value.keys():
        with problems.caught():
            read[name] = POOL_INPUTS[name].read(value[name], host, f"{variable}.")
    duties = tuple(read["duties"] or [pool])
    if POOL_INPUTS["duties"].problem(value.get("duties")) is None:
        problems.add(_wrong_duties(source, variable, pool, duties, named=read["duties"] is not None))
    settings = read_settings(variable, {key: entry for key, entry in value.items() if key in SETTINGS}, host, problems)
    if len(problems.found) > before:
        return []
    slot = layout.pool_slot(pool) if read["port_slot"] is None else read["port_slot"]
    names = [f"{source.label}-{pool}-{index}" for index in range(1, read["count"] + 1)]
    with problems.caught():
        for name in names[-1:]:
            layout.check_socket_length(name, host)
    return [
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
        for index, name in enumerate(names, start=1)
    ]


def _wrong_pool(variable: str, pool: str, value: Any, host: str) -> Iterator[TopologyError]:
    if pool in (MAIN, MASTER):
        yield TopologyError(
            variable,
            pool,
            "Synapse calls its main process 'main' and 'master', no worker may be named so",
            "Choose another name.",
            host,
        )
    elif not _POOL_NAME.fullmatch(pool):
        yield TopologyError(
            variable,
            pool,
            "the name of a pool becomes part of worker names and paths",
            "Use lower-case letters, digits and '_', beginning with a letter.",
            host,
        )
    elif not isinstance(value, dict):
        yield TopologyError(variable, HIDDEN, "a pool is a mapping", f"Write {pool}: {{count: 1}}.", host)


def _wrong_duties(
    source: PoolSource, variable: str, pool: str, names: tuple[Any, ...], *, named: bool
) -> Iterator[TopologyError]:
    host = source.host
    if not named and pool not in DUTIES:
        yield TopologyError(
            f"{variable}.duties",
            None,
            f"'{pool}' is no duty itself, so the pool has nothing to do",
            f"Add duties: [...]; or for the name of the pool: {did_you_mean(pool, DUTIES)}",
            host,
        )
        return
    for name in dict.fromkeys(names):
        if name not in DUTIES:
            yield TopologyError(f"{variable}.duties", name, "there is no such duty", did_you_mean(name, DUTIES), host)
        else:
            yield from _wrong_duty(source, variable, DUTIES[name])
    if len(set(names)) != len(names):
        yield TopologyError(f"{variable}.duties", list(names), "a duty is there twice", "Name each duty once.", host)
    quarantine = DUTIES["quarantined_media_changes"]
    if quarantine.name in names and "media" not in names:
        yield TopologyError(
            f"{variable}.duties",
            list(names),
            "only a media worker can write quarantined_media_changes",
            "Add media to the duties of this pool.",
            host,
        )


def _wrong_duty(source: PoolSource, variable: str, duty: Duty) -> Iterator[TopologyError]:
    if source.group not in duty.groups:
        reason = "media workers serve only media" if source.group == MEDIA else "the duty needs another kind of worker"
        yield TopologyError(
            f"{variable}.duties", duty.name, reason, f"Move it to a pool of {' or '.join(duty.groups)}.", source.host
        )
    elif source.release < duty.since:
        yield TopologyError(
            f"{variable}.duties",
            duty.name,
            f"Synapse has it since {duty.since}, and synapse_version is {source.release}",
            "Remove the duty, or raise synapse_version.",
            source.host,
        )
