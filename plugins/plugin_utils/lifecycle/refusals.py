# SPDX-License-Identifier: GPL-3.0-or-later
"""What a change of the inventory must not do unasked.

Lose a process that holds something alone, rename it, or move the main process away from its secrets.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from ..model import layout
from ..model.errors import TopologyError
from ..model.process import MAIN, Process
from ..model.topology import Topology
from .dependencies import held_alone
from .observed import Observed

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
        TopologyError: a host left the inventory while it holds something alone, a running writer gets another name, or
            the main process another host.
    """
    seen = list(observed)
    _check_lost_hosts(topology, record or {}, confirmed)
    _check_moved_main(topology, seen, confirmed)
    _check_renamed(topology, seen, confirmed)


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


def _check_moved_main(topology: Topology, seen: Iterable[Observed], confirmed: Collection[str]) -> None:
    there = [entry.host for entry in seen if entry.name == MAIN and (entry.alive or entry.enabled)]
    if there and topology.main.host not in there and MAIN not in confirmed:
        raise TopologyError(
            "groups.synapse_main",
            topology.main.host,
            f"the main process runs on {there[0]}, and the secrets of the server are there, its signing key among them;"
            f" {topology.main.host} would make new ones, and other servers would take it for a forger",
            f"Copy {layout.SECRETS_DIR} from {there[0]} to {topology.main.host}, then set {CONFIRM}: [{MAIN}].",
        )


def _check_renamed(topology: Topology, seen: Sequence[Observed], confirmed: Collection[str]) -> None:
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
