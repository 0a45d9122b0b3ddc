# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of a whole inventory that need more than one value: groups, misspelt names, computed options."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from .addresses import inventory_name
from .duties import DUTY_OF_OPTION, WORKER_GROUPS
from .errors import TopologyError
from .inventory import INPUTS, host_input
from .option_values import check_option_paths, check_option_texts
from .presets import PRESETS
from .service import Service
from .services import groups_of

_NEAR = 0.85  # of difflib's ratio: one or two letters of a name

COMPUTED_OPTIONS = frozenset(
    {
        "daemonize",
        "database",
        "enable_media_repo",
        "enable_metrics",
        "form_secret",
        "form_secret_path",
        "instance_map",
        "listeners",
        "log_config",
        "macaroon_secret_key",
        "macaroon_secret_key_path",
        "max_upload_size",
        "media_store_path",
        "outbound_federation_restricted_to",
        "pid_file",
        "public_baseurl",
        "redis",
        "registration_shared_secret",
        "registration_shared_secret_path",
        "report_stats",
        "send_federation",
        "server_name",
        "signing_key",
        "signing_key_path",
        "start_pushers",
        "stream_writers",
        "suppress_key_server_warning",
        "trusted_key_servers",
        *DUTY_OF_OPTION,
    }
)
"""Options of homeserver.yaml that the topology or a variable of its own decides."""


def check_groups(groups: Mapping[str, Sequence[str]], services: Sequence[Service]) -> None:
    """Refuses groups that are missing, misspelt, or hold more hosts than they may.

    Args:
        groups: the hosts of each group of the inventory.
        services: the table of services.
    """
    known = groups_of(services)
    for group in groups:
        near = [] if group in known else get_close_matches(group, known, n=1, cutoff=_NEAR)
        if near and not groups.get(near[0]):
            raise TopologyError(
                "inventory",
                group,
                "there is no such group in this collection, so its hosts would not be deployed",
                f"Did you mean the group '{near[0]}'?",
            )
    for check in (_check_least, _check_most):
        for service in services:
            check(service, sorted({host for group in service.groups for host in groups.get(group, ())}))


def _check_least(service: Service, hosts: Sequence[str]) -> None:
    if service.groups and not hosts and service.least:
        raise _without_hosts(service)
    if service.groups and len(hosts) < service.least:
        raise TopologyError(
            "inventory",
            ", ".join(hosts),
            f"{_named(service)} needs {service.least} hosts",
            f"Put more hosts into {_named(service)}.",
        )


def _check_most(service: Service, hosts: Sequence[str]) -> None:
    if service.most is not None and len(hosts) > service.most:
        takes = "one host" if service.most == 1 else f"{service.most} hosts at most"
        leave = "one" if service.most == 1 else str(service.most)
        raise TopologyError(
            "inventory", ", ".join(hosts), f"{_named(service)} takes {takes}", f"Leave {leave} of them in it."
        )


def check_needed_by_workers(groups: Mapping[str, Sequence[str]], services: Sequence[Service]) -> None:
    """Refuses a fleet with workers that lacks a service which they need."""
    for service in services:
        if service.workers_need_it and not any(groups.get(group) for group in service.groups):
            raise _without_hosts(service, f", and {service.workers_need_it}")


def _without_hosts(service: Service, why: str = "") -> TopologyError:
    return TopologyError(
        "inventory",
        None,
        f"{_named(service)} does not exist or has no host{why}",
        f"Put a host into {_named(service)}.",
    )


def _named(service: Service) -> str:
    return f"the group {' or '.join(service.groups)}"


def check_names(names: Iterable[str]) -> None:
    """Refuses unused variables whose names resemble those of inputs."""
    for name in names:
        near = get_close_matches(name, INPUTS, n=1, cutoff=_NEAR)
        if near:
            raise TopologyError(
                name, "(not shown)", "no such variable exists, so it would have no effect", f"Did you mean '{near[0]}'?"
            )


def check_extra_config(variable: str, value: Mapping[str, Any], host: str | None = None) -> None:
    """Refuses options that are computed from the topology; their values are not shown, because they may be secrets."""
    for name in sorted(value):
        if name in COMPUTED_OPTIONS or name.startswith("worker_"):
            raise TopologyError(
                f"{variable}.{name}",
                "(not shown)",
                "it is computed from the topology",
                "Remove it; docs/topology.md names the variable that sets it.",
                host,
            )
    check_option_texts(variable, value, host)
    check_option_paths(variable, value, host)


def check_groups_have_pools(inputs: Mapping[str, Any]) -> None:
    """Refuses hosts of a worker group without pools, unless the inventory sets ``{}``."""
    groups, hosts = inputs["groups"], inputs["hosts"]
    if any("synapse_preset" in variables for variables in hosts.values()):
        return
    for group in WORKER_GROUPS:
        for host in groups.get(group, ()):
            if hosts[host].get(group) is None:
                raise TopologyError(
                    group,
                    None,
                    f"the host is in the group {group} and would run nothing",
                    f"Write its pools in group_vars/{group}.yml, {group}: {{}} for none, or set synapse_preset.",
                    host,
                )


def check_host_names(hosts: Iterable[str]) -> None:
    """Refuses names of hosts that cannot name a directory of a rendered tree, or stand in a line of a file."""
    for host in hosts:
        if not inventory_name(host):
            raise TopologyError(
                "inventory",
                host,
                "the name of a host names directories, and stands in lines of files",
                "Rename the host in the inventory, to a name without '/' and control characters.",
            )


def check_addresses(addresses: Mapping[str, str]) -> None:
    """Refuses addresses at which the hosts of a fleet of several cannot reach each other, or tell each other apart.

    Args:
        addresses: the address of each host, in the form of an IP address.
    """
    if len(addresses) < 2:
        return
    holders: dict[IPv4Address | IPv6Address, str] = {}
    for host, written in addresses.items():
        address = ip_address(written)
        if address.is_loopback or address.is_unspecified or address.is_multicast:
            raise TopologyError(
                "synapse_address",
                written,
                "other hosts cannot reach this one at this address",
                "Set it to the host's private address, in its host_vars.",
                host,
            )
        first = next(iter(holders), address)
        if first.version != address.version:
            raise TopologyError(
                "synapse_address",
                written,
                f"{holders[first]} has {first}, and the firewall and PostgreSQL know hosts by addresses of one kind",
                f"Use IPv{first.version} or IPv{address.version} for all hosts.",
                host,
            )
        other = holders.setdefault(address, host)
        if other != host:
            raise TopologyError(
                "synapse_address",
                written,
                f"{other} has the same address",
                "Set it to an address that only this host has, in its host_vars.",
                host,
            )


def check_pools_have_a_group(inputs: Mapping[str, Any], preset: str) -> None:
    """Refuses worker pools that no host would run, because their group has no host."""
    groups, hosts = inputs["groups"], inputs["hosts"]
    for group in WORKER_GROUPS:
        members = groups.get(group, [])
        for host, variables in hosts.items():
            if variables.get(group) and not members:
                pools = host_input(hosts, host, group)
                raise TopologyError(
                    group,
                    ", ".join(pools),
                    f"the group {group} does not exist or has no host, so no host would run these pools",
                    f"Put a host into the group {group}, or remove the variable.",
                    host,
                )
        if PRESETS[preset][group] and not members and not any(group in variables for variables in hosts.values()):
            raise TopologyError(
                "synapse_preset",
                preset,
                f"it has {group}, but the group {group} does not exist or has no host",
                f"Put a host into the group {group}, or set {group}: {{}}.",
            )
