# SPDX-License-Identifier: GPL-3.0-or-later
"""The topology: which processes a fleet has and how they reach each other. Frozen, checked, and free of Ansible."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any
from urllib.parse import urlsplit

from . import layout
from .checks import (
    check_addresses,
    check_extra_config,
    check_groups,
    check_groups_have_pools,
    check_host_names,
    check_needed_by_workers,
    check_pools_have_a_group,
)
from .duties import DUTIES, MEDIA, WORKER_GROUPS
from .errors import Problems, TopologyError, did_you_mean
from .inventory import fleet_options, host_value, pools_of, typed_hosts
from .names import check_group_names, check_names, near_groups
from .pools import PoolSource, read_pool, read_settings
from .ports import check_ports
from .process import MAIN, Process
from .process_checks import check_label, check_media_store, check_process_names, check_singles
from .releases import Release, parse_release
from .service import Service
from .services import MAIN_GROUP, SERVICES, groups_of

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, kw_only=True, eq=False)
class Topology:
    """A whole fleet, checked.

    Attributes:
        server_name: the Matrix server name.
        release: the Synapse release.
        unix: whether the processes reach each other over UNIX sockets; over TCP if not.
        main: the main process.
        workers: all workers, in the order of every list of Synapse.
        services: the table of services.
        groups: the hosts of each inventory group of the fleet.
        addresses: where each host is reached by the others.
        options: the values of all inputs that are the same on every host.
        host_options: the inputs that are set on each host, with their types.
        by_duty: the workers with each duty, in the order of every list of Synapse.
    """

    server_name: str
    release: Release
    unix: bool
    main: Process
    workers: tuple[Process, ...]
    services: tuple[Service, ...]
    groups: Mapping[str, tuple[str, ...]]
    addresses: Mapping[str, str]
    options: Mapping[str, Any]
    host_options: Mapping[str, Mapping[str, Any]]
    by_duty: Mapping[str, tuple[Process, ...]]

    @property
    def processes(self) -> tuple[Process, ...]:
        """Main and all workers."""
        return (self.main, *self.workers)

    def with_duty(self, duty: str) -> tuple[Process, ...]:
        """Returns the workers with the duty, in the order in which Synapse shards over them."""
        return self.by_duty.get(duty, ())

    @cached_property
    def process_hosts(self) -> frozenset[str]:
        """The hosts on which processes of Synapse run."""
        return frozenset(process.host for process in self.processes)

    @property
    def public_baseurl(self) -> str:
        """The URL that clients use."""
        return str(self.options["synapse_public_baseurl"] or f"https://{self.server_name}/")

    @property
    def public_name(self) -> str:
        """The name or the address in that URL."""
        return _without_port(urlsplit(self.public_baseurl).netloc)

    @property
    def base_domain(self) -> str:
        """The server name without its port."""
        return _without_port(self.server_name)

    def serves_media(self, process: Process) -> bool:
        """Returns whether a process has the media repository, and so needs the media store."""
        return process.group == MEDIA or (process.is_main and not self.with_duty("media"))

    def hosts_of(self, service: Service | str) -> tuple[str, ...]:
        """Returns the hosts of a service, or of the service of that name, in the order of the fleet's hosts."""
        row = self._row(service)
        if not row.groups:
            return tuple(self.addresses)
        members = {host for group in row.groups for host in self.groups[group]}
        return tuple(host for host in self.addresses if host in members)

    def _row(self, service: Service | str) -> Service:
        return service if isinstance(service, Service) else next(row for row in self.services if row.name == service)

    def services_of(self, host: str) -> tuple[Service, ...]:
        """Returns the services of a host, in the order of the table."""
        return tuple(service for service in self.services if host in self.hosts_of(service))

    def running(self, service: Service | str) -> tuple[str, ...]:
        """Returns the hosts on which a service has something to run: of Synapse's, those with processes."""
        row = self._row(service)
        hosts = self.hosts_of(row)
        return tuple(host for host in hosts if host in self.process_hosts) if row.of_processes else hosts

    def host_of(self, service: str) -> str | None:
        """Returns the host of a service that runs on one at most; None if it has none."""
        return next(iter(self.hosts_of(service)), None)

    def address_of(self, service: str) -> str | None:
        """Returns where a service that runs on one host at most is reached over TCP; None if it has no host."""
        host = self.host_of(service)
        return None if host is None else self.addresses[host]

    def listen_address(self, host: str) -> str:
        """Returns the address on which a host listens on TCP: with sockets no other host needs to reach it."""
        return LOOPBACK if self.unix else self.addresses[host]

    def worker(self, name: str) -> Process:
        """Returns the worker of that name."""
        found = next((worker for worker in self.workers if worker.name == name), None)
        if found is None:
            names = [worker.name for worker in self.workers]
            raise TopologyError("worker", name, "the topology has no such worker", did_you_mean(name, names))
        return found


def natural_key(text: str) -> list[tuple[int, int, str]]:
    """Sorts ``sync-2`` before ``sync-10``, the same on every machine."""
    return [(1, int(part), "") if part.isdigit() else (0, 0, part) for part in re.split(r"(\d+)", text)]


def _without_port(address: str) -> str:
    """Returns a host without its port; an IPv6 address keeps its brackets, as nginx and Matrix write it."""
    return re.sub(r":[0-9]+$", "", address)


@lru_cache(maxsize=8)
def parse_topology(inputs: str) -> Topology:
    """Reads the fact ``topology_json``; all filters of a run share the result."""
    return build_topology(json.loads(inputs))


def build_topology(inputs: Mapping[str, Any], services: Sequence[Service] = SERVICES) -> Topology:
    """Builds the topology and checks it.

    Args:
        inputs: what ``gather`` read from the inventory.
        services: the table of services.

    Raises:
        TopologyError: what is wrong with the inventory, all of it.
    """
    problems = Problems()
    groups = {group: tuple(inputs["groups"].get(group, ())) for group in groups_of(services)}
    problems.add(check_group_names(inputs["groups"], inputs.get("other_groups", {}), groups))
    problems.add(check_groups(groups, services, near_groups(inputs["groups"], groups).values()))
    problems.add(check_names(inputs.get("other_variables", ())))
    problems.add(check_host_names(inputs["hosts"]))
    hosts = typed_hosts(inputs, services, problems)
    options = fleet_options(hosts, problems)
    _check_options(groups, hosts, options, problems)
    release = parse_release(options["synapse_version"])
    unix = _is_unix(options["synapse_transport"], hosts)
    addresses = {host: host_value(hosts, host, "synapse_address") or LOOPBACK for host in hosts}

    processes = [*_main(groups, addresses, options, problems), *_workers(groups, hosts, addresses, options, problems)]
    workers = [process for process in processes if not process.is_main]
    _check_processes(groups, processes, options, services, problems)
    problems.refuse()

    ordered = tuple(_with_media_singles(workers, release))
    by_duty = {duty: tuple(worker for worker in ordered if duty in worker.duties) for duty in DUTIES}
    return Topology(
        server_name=options["synapse_server_name"],
        release=release,
        unix=unix,
        main=processes[0],
        workers=ordered,
        services=tuple(services),
        groups=groups,
        addresses=addresses,
        options=options,
        host_options=hosts,
        by_duty=by_duty,
    )


def _check_options(
    groups: Mapping[str, Sequence[str]],
    hosts: Mapping[str, Mapping[str, Any]],
    options: Mapping[str, Any],
    problems: Problems,
) -> None:
    """Checks inputs that depend on each other, as far as each of them can be."""
    if not problems.concern("inventory", "synapse_preset", *WORKER_GROUPS):
        problems.add(check_pools_have_a_group(groups, hosts, options["synapse_preset"]))
        problems.add(check_groups_have_pools(groups, hosts))
    problems.add(check_extra_config("synapse_extra_config", options["synapse_extra_config"]))
    problems.add(_check_transport(options["synapse_transport"], hosts))
    if not problems.concern("synapse_address"):
        addresses = {host: host_value(hosts, host, "synapse_address") for host in hosts}
        problems.add(_missing_addresses(addresses))
        problems.add(check_addresses({host: address for host, address in addresses.items() if address is not None}))


def _check_processes(
    groups: Mapping[str, Sequence[str]],
    processes: Sequence[Process],
    options: Mapping[str, Any],
    services: Sequence[Service],
    problems: Problems,
) -> None:
    """Checks what needs the processes of the whole fleet."""
    workers = [process for process in processes if not process.is_main]
    if workers:
        problems.add(check_needed_by_workers(groups, services))
    problems.add(check_singles(workers))
    problems.add(check_process_names(processes))
    problems.add(check_ports(processes, groups, options, services))
    if not problems.concern("synapse_media_store_shared"):
        problems.add(check_media_store(workers, options["synapse_media_store_shared"]))


def _main(
    groups: Mapping[str, Sequence[str]],
    addresses: Mapping[str, str],
    options: Mapping[str, Any],
    problems: Problems,
) -> list[Process]:
    """Returns the main process; none if the inventory has no host for it."""
    settings = read_settings("synapse_main_settings", options["synapse_main_settings"], None, problems)
    return [
        Process(
            name=MAIN,
            group=MAIN_GROUP,
            host=host,
            pool=MAIN,
            index=1,
            duties=(),
            address=addresses[host],
            slot=layout.MAIN_SLOT,
            settings=settings,
        )
        for host in groups[MAIN_GROUP][:1]
    ]


def _workers(
    groups: Mapping[str, Sequence[str]],
    hosts: Mapping[str, Mapping[str, Any]],
    addresses: Mapping[str, str],
    options: Mapping[str, Any],
    problems: Problems,
) -> list[Process]:
    """Returns the workers of all hosts, in the order of every list of Synapse."""
    release = parse_release(options["synapse_version"])
    workers: list[Process] = []
    for group in WORKER_GROUPS:
        for host in groups[group]:
            label = host_value(hosts, host, "synapse_host_label") or host
            if not problems.concern("synapse_host_label"):
                problems.add(check_label(label, host))
            source = PoolSource(group=group, host=host, label=label, address=addresses[host], release=release)
            for pool, value in pools_of(hosts, host, group, options["synapse_preset"], release).items():
                workers += read_pool(source, pool, value, problems)
    return sorted(workers, key=lambda worker: natural_key(worker.name))


def _is_unix(transport: str, hosts: Mapping[str, Any]) -> bool:
    return transport == "unix" or (transport == "auto" and len(hosts) == 1)


def _check_transport(transport: str, hosts: Mapping[str, Any]) -> Iterator[TopologyError]:
    if transport == "unix" and len(hosts) > 1:
        yield TopologyError(
            "synapse_transport",
            transport,
            f"the fleet has {len(hosts)} hosts, and sockets do not leave a host",
            "Set it to auto or tcp.",
        )


def _missing_addresses(addresses: Mapping[str, str | None]) -> Iterator[TopologyError]:
    for host, address in addresses.items():
        if address is None and len(addresses) > 1:
            yield TopologyError(
                "synapse_address",
                None,
                "in a fleet of several hosts the others must reach this one",
                "Set it to the host's private address, in its host_vars.",
                host,
            )


def _with_media_singles(workers: Sequence[Process], release: Release) -> Sequence[Process]:
    """Gives the first media worker what no pool names: without media_background every one would run the jobs.

    One writer of quarantined_media_changes is enough for what administrators do, and media workers that write no stream
    come and go without a restart of the others.
    """
    media = [worker for worker in workers if "media" in worker.duties]
    missing = [
        name
        for name in ("media_background", "quarantined_media_changes")
        if release >= DUTIES[name].since and not any(name in worker.duties for worker in workers)
    ]
    if not media or not missing:
        return workers
    chosen = media[0]
    return [replace(worker, duties=(*worker.duties, *missing)) if worker is chosen else worker for worker in workers]
