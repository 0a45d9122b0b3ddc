# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of the inventory that need a confirmation.

They lose or rename a process with a duty that only one process may have, move the main process to another host, or
replace Synapse by an older release.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from ..model import layout
from ..model.errors import TopologyError
from ..model.process import MAIN, Process
from ..model.releases import Release, parse_release
from ..model.topology import Topology
from .dependencies import needs_handover
from .observed import Observed
from .replication import facts_of, reads_tokens, starts_on

CONFIRM = "plan_confirmed"
"""The variable with the names of the processes whose change the operator confirms, or the older release."""


def fleet_record(topology: Topology) -> dict[str, Any]:
    """Returns the record of a complete run, kept on the main host: the processes of each host, with their duties."""
    hosts: dict[str, dict[str, list[str]]] = {}
    for process in topology.processes:
        hosts.setdefault(process.host, {})[process.name] = list(process.duties)
    return {
        "server_name": topology.server_name,
        "release": str(topology.release),
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
    """Refuses changes that cost more than a restart, unless the operator has confirmed the process.

    Args:
        topology: what is wanted.
        observed: the processes that the survey found.
        record: the record of the last complete run, None if there is none.
        confirmed: the names of processes that may be lost or renamed, and the release that may be an older one.

    Raises:
        TopologyError: a host with a duty that only one process may have left the inventory, a running writer would get
            another name, the main process another host, or Synapse an older release.
    """
    seen = list(observed)
    _check_lost_hosts(topology, record or {}, confirmed)
    _check_moved_main(topology, seen, confirmed)
    _check_renamed(topology, seen, confirmed)
    _check_downgrade(topology.release, _newest(seen, record or {}), confirmed)


def _newest(seen: Iterable[Observed], record: Mapping[str, Any]) -> Release | None:
    """Returns the newest release that runs, or that the last complete run has deployed."""
    found = [entry.release for entry in seen if entry.release is not None]
    if "release" in record:
        found.append(parse_release(record["release"]))
    return max(found, default=None)


def _check_downgrade(wanted: Release, newest: Release | None, confirmed: Collection[str]) -> None:
    if newest is None or newest <= wanted:
        return
    if not starts_on(wanted, newest):
        raise TopologyError(
            "synapse_version",
            str(wanted),
            f"Synapse {newest} has migrated the database, and only releases that know schema {facts_of(newest).compat}"
            f" start on it; {wanted} knows {facts_of(wanted).schema}",
            f"Keep {newest}, or restore a backup of the database from before the upgrade.",
        )
    if str(wanted) in confirmed:
        return
    tokens = (
        "clients keep their sync tokens"
        if reads_tokens(wanted, newest)
        else f"clients that have synced with {newest} get 400 for their sync tokens until they log in again"
    )
    raise TopologyError(
        "synapse_version",
        str(wanted),
        f"Synapse {newest} is deployed, so this is a downgrade: {tokens}, and background updates of the database"
        f" that only {newest} knows stay unfinished",
        f"Keep {newest}. If it has to be: back up the database, then set {CONFIRM}: [{wanted}].",
    )


def _check_lost_hosts(topology: Topology, record: Mapping[str, Any], confirmed: Collection[str]) -> None:
    for host, entry in record.get("hosts", {}).items():
        # The host is in the inventory under another name, and the survey finds its processes.
        if host in topology.addresses or entry["address"] in topology.addresses.values():
            continue
        for name, duties in entry["processes"].items():
            held = [duty for duty in duties if needs_handover(duty)]
            if name in confirmed or not (held or name == MAIN):
                continue
            what = f"has the duty {', '.join(held)}" if held else "is the main process"
            raise TopologyError(
                "inventory",
                host,
                f"the host is no longer in it, but {name} was not stopped there, and {what}: it and its"
                " successor would run at the same time",
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
            f" {topology.main.host} would make new ones, and other servers would reject its signatures",
            f"Copy {layout.SECRETS_DIR} from {there[0]} to {topology.main.host}, then set {CONFIRM}: [{MAIN}].",
        )


def _check_renamed(topology: Topology, seen: Sequence[Observed], confirmed: Collection[str]) -> None:
    places = {(entry.host, entry.name) for entry in seen if entry.alive}
    wanted = {(process.host, process.name) for process in topology.processes}
    new = [process for process in topology.workers if (process.host, process.name) not in places]
    for entry in seen:
        held = {duty for duty in entry.duties if needs_handover(duty)}
        if not entry.alive or (entry.host, entry.name) in wanted or not held or entry.name in confirmed:
            continue
        for process in new:
            if process.host == entry.host and _takes_over(process, entry):
                raise TopologyError(
                    f"{process.group}.{process.pool}",
                    process.name,
                    f"it would be the new name of {entry.name}, which runs and has the duty {', '.join(sorted(held))};"
                    " Synapse keeps positions of streams by name, so this is a removal and an addition",
                    f"Keep the name (synapse_host_label, the pool's name), or set {CONFIRM}: [{entry.name}].",
                    process.host,
                )


def _takes_over(process: Process, entry: Observed) -> bool:
    return set(process.duties) == set(entry.duties)
