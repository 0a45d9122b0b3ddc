# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the processes of a fleet that need more than one pool. A check yields what is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from .duties import DUTIES, MEDIA
from .errors import TopologyError
from .inputs.synapse import HOST_LABEL
from .process import Process


def check_label(label: str, host: str) -> Iterator[TopologyError]:
    """Refuses a host whose inventory name cannot be a part of the names of its workers."""
    if not re.fullmatch(HOST_LABEL, label, re.ASCII):
        yield TopologyError(
            "synapse_host_label",
            label,
            "it becomes part of worker names and of the URLs between processes",
            "Set it, in host_vars, to a short name of letters, digits, '-', '_' and '.'.",
            host,
        )


def check_singles(workers: Iterable[Process]) -> Iterator[TopologyError]:
    """Refuses two workers with a duty that one worker of the fleet may have."""
    holders: dict[str, Process] = {}
    told: set[str] = set()
    for worker in workers:
        for name in worker.duties:
            if not DUTIES[name].single:
                continue
            first = holders.setdefault(name, worker)
            if first is worker or name in told:
                continue
            told.add(name)
            what = f"stream {name} has one writer" if DUTIES[name].stream else f"duty {name} is for one worker"
            if first.host != worker.host:
                setting, fix = "duties", "write the pool into the host_vars of one host"
            elif first.pool != worker.pool:
                setting, fix = "duties", "take it out of the duties of the other pool"
            else:
                setting, fix = "count", "count: 1, or a pool of its own"
            yield TopologyError(
                f"{worker.group}.{worker.pool}.{setting}",
                f"{first.name} and {worker.name}",
                f"the {what} in the whole fleet",
                f"Leave {name} to one of them: {fix}.",
                worker.host,
            )


def check_process_names(processes: Iterable[Process]) -> Iterator[TopologyError]:
    """Refuses two processes of the same name."""
    names: dict[str, Process] = {}
    for process in processes:
        first = names.setdefault(process.name, process)
        if first is not process:
            yield TopologyError(
                f"{process.group}.{process.pool}",
                process.name,
                f"{first.group} on {first.host} has a worker of the same name, and names and sockets must differ",
                "Rename one of the pools, or set synapse_host_label.",
                process.host,
            )


def check_media_store(workers: Iterable[Process], shared: bool) -> Iterator[TopologyError]:
    """Refuses media workers on several hosts without a media store that all of them mount."""
    hosts = sorted({worker.host for worker in workers if worker.group == MEDIA})
    if len(hosts) > 1 and not shared:
        yield TopologyError(
            MEDIA,
            ", ".join(hosts),
            "media workers on several hosts need one media store that all of them mount",
            "Leave one host in the group, or mount one store and set synapse_media_store_shared: true.",
        )
