# SPDX-License-Identifier: GPL-3.0-or-later
"""What a change of the inventory must not do unasked: lose a process that holds something alone, or rename it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ._dependencies import held_alone
from ._errors import TopologyError
from ._plan import Observed
from ._process import MAIN, Process
from ._topology import Topology

CONFIRM = "plan_confirmed"
"""The variable that names the processes about which the operator is sure."""


def fleet_record(topology: Topology) -> dict[str, Any]:
    """Returns what is noted on the main host after a run: which host has which processes, with their duties."""
    hosts: dict[str, dict[str, list[str]]] = {}
    for process in topology.processes:
        hosts.setdefault(process.host, {})[process.name] = list(process.duties)
    return {
        "server_name": topology.server_name,
        "hosts": {
            host: {"address": topology.addresses[host], "processes": processes}
            for host, processes in sorted(hosts.items())
        },
    }


def check_changes(
    topology: Topology,
    observed: Iterable[Observed],
    record: Mapping[str, Any] | None,
    confirmed: Collection[str],
) -> None:
    """Refuses what would cost more than a restart, unless the operator has named the process.

    Args:
        topology: what is wanted.
        observed: the processes that were seen.
        record: what the last complete run noted, None if none did.
        confirmed: the names of processes that may be lost or renamed.

    Raises:
        TopologyError: a host left the inventory while it holds something alone, or a running writer gets another name.
    """
    _check_lost_hosts(topology, record or {}, confirmed)
    _check_renamed(topology, observed, confirmed)


def _check_lost_hosts(topology: Topology, record: Mapping[str, Any], confirmed: Collection[str]) -> None:
    for host, entry in record.get("hosts", {}).items():
        # Under another name it is still there, and its processes are seen on it.
        if host in topology.addresses or entry["address"] in topology.addresses.values():
            continue
        for name, duties in entry["processes"].items():
            held = [duty for duty in duties if held_alone(duty)]
            if name in confirmed or not (held or name == MAIN):
                continue
            what = ", ".join(held) or "the main process"
            raise TopologyError(
                "inventory",
                host,
                f"the host is no longer in it, and nobody has stopped {name} there, which holds {what}: it and the new"
                " holder would run side by side",
                f"Put the host back with empty pools, run site.yml, then remove it. If it is gone for good, set"
                f" {CONFIRM}: [{name}].",
            )


def _check_renamed(topology: Topology, observed: Iterable[Observed], confirmed: Collection[str]) -> None:
    seen = list(observed)
    places = {(entry.host, entry.name) for entry in seen if entry.alive}
    wanted = {(process.host, process.name) for process in topology.processes}
    new = [process for process in topology.workers if (process.host, process.name) not in places]
    for entry in seen:
        held = {duty for duty in entry.duties if held_alone(duty)}
        if not entry.alive or (entry.host, entry.name) in wanted or not held or entry.name in confirmed:
            continue
        for process in new:
            if process.host == entry.host and _takes_over(process, entry):
                raise TopologyError(
                    f"{process.group}.{process.pool}",
                    process.name,
                    f"it would be the new name of {entry.name}, which runs and holds {', '.join(sorted(held))}; Synapse"
                    " keeps positions of streams by name, so this is a removal and an addition",
                    f"Keep the name (synapse_host_label, the pool's name), or set {CONFIRM}: [{entry.name}].",
                    process.host,
                )


def _takes_over(process: Process, entry: Observed) -> bool:
    return set(process.duties) == set(entry.duties)
