# SPDX-License-Identifier: GPL-3.0-or-later
"""Small fleets for the tests: what an operator writes goes in, the checked topology comes out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.inventory import gather
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.presets import PRESETS
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.process import Process
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.services import SERVICES, groups_of
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.topology import Topology, build_topology

from tools.inventory import load_topology

ROOT = Path(__file__).resolve().parents[2]
INVENTORIES = sorted(path.name for path in (ROOT / "inventories").iterdir())
TRANSPORTS = ("unix", "tcp")
PRESET_NAMES = tuple(PRESETS)

Variables = Mapping[str, Any]
Inputs = dict[str, Any]

# One role each, but for two hosts of generic workers.
SEVERAL_HOSTS: dict[str, list[str]] = {
    "postgres": ["db1"],
    "redis": ["cache1"],
    "synapse_main": ["main1"],
    "generic_workers": ["generic1", "generic2"],
    "media_workers": ["media1"],
    "background_workers": ["background1"],
    "nginx": ["proxy1"],
}
ADDRESSES = {
    "db1": "10.0.0.1",
    "cache1": "10.0.0.2",
    "main1": "10.0.0.3",
    "generic1": "10.0.0.4",
    "generic2": "10.0.0.5",
    "media1": "10.0.0.6",
    "background1": "10.0.0.7",
    "proxy1": "10.0.0.8",
}


def inventory(groups: Mapping[str, Iterable[str]], common: Variables, per_host: Mapping[str, Variables]) -> Inputs:
    """Returns what the topology reads from an inventory with these groups, group_vars/all and host_vars."""
    members = {name: list(hosts) for name, hosts in groups.items()}
    hosts = {host for names in members.values() for host in names}
    # What no test says is a choice, so that worker groups without pools may stay empty.
    chosen = {"synapse_preset": "monolith", **common}
    inputs = gather(members, {host: {**chosen, **per_host.get(host, {})} for host in hosts})
    return dict(json.loads(json.dumps(inputs, sort_keys=True)))


def one_host_inputs(host: str = "synapse1", without: Iterable[str] = (), **variables: Any) -> Inputs:
    """Returns the inputs of a fleet on one host that is in every group but those in ``without``."""
    groups = {group: [host] for group in groups_of(SERVICES) if group not in set(without)}
    return inventory(groups, {"synapse_server_name": "example.org", **variables}, {})


def one_host(host: str = "synapse1", without: Iterable[str] = (), **variables: Any) -> Topology:
    """Returns the topology of a fleet on one host."""
    return build_topology(one_host_inputs(host, without, **variables))


def pool(duty_pool: str, group: str = "generic_workers", /, **settings: Any) -> Topology:
    """Returns a fleet with one pool."""
    variables: dict[str, Any] = {group: {duty_pool: settings}}
    return one_host(**variables)


def several_hosts_inputs(
    per_host: Mapping[str, Variables] | None = None,
    groups: Mapping[str, Iterable[str]] = SEVERAL_HOSTS,
    **variables: Any,
) -> Inputs:
    """Returns the inputs of a fleet with a host for each role; each has its own address."""
    own = per_host or {}
    addressed = {host: {"synapse_address": address, **own.get(host, {})} for host, address in ADDRESSES.items()}
    return inventory(groups, {"synapse_server_name": "example.org", **variables}, {**own, **addressed})


def several_hosts(
    per_host: Mapping[str, Variables] | None = None,
    groups: Mapping[str, Iterable[str]] = SEVERAL_HOSTS,
    **variables: Any,
) -> Topology:
    """Returns the topology of a fleet with a host for each role."""
    return build_topology(several_hosts_inputs(per_host, groups, **variables))


def example(name: str) -> Topology:
    """Returns the topology of an example inventory."""
    return load_topology(ROOT / "inventories" / name)


def every_fleet() -> dict[str, Topology]:
    """Returns the example inventories, and every preset with both transports."""
    fleets = {name: example(name) for name in INVENTORIES}
    for preset in PRESET_NAMES:
        for transport in TRANSPORTS:
            fleets[f"{preset}-{transport}"] = one_host(synapse_preset=preset, synapse_transport=transport)
    fleets["several-hosts"] = several_hosts(
        {"generic2": {"generic_workers": {"reader": {"duties": ["client_reader", "federation_reader"]}}}},
        synapse_preset="full",
    )
    return fleets


def names(processes: Iterable[Process]) -> list[str]:
    """Returns the names of processes."""
    return [process.name for process in processes]


def only(processes: Iterable[Process]) -> Process:
    """Returns the one process that there is."""
    (process,) = processes
    return process
