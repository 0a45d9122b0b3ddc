# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of a whole inventory that need more than one value: groups, computed options, addresses, pools.

A check yields what is wrong.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from .addresses import inventory_name
from .duties import DUTY_OF_OPTION, WORKER_GROUPS
from .errors import HIDDEN, TopologyError
from .option_values import check_option_paths, check_option_texts
from .presets import PRESETS
from .server_secrets import DATABASE_PASSWORD, FILES, VARIABLE
from .service import Service

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

VARIABLE_OF_OPTION: Mapping[str, str] = {
    "database": "synapse_database_args (arguments of the connections), synapse_cp_max, synapse_secrets or the variables"
    " postgres_*",
    "max_upload_size": "synapse_max_upload_size",
    "media_store_path": "synapse_media_store_path",
    "public_baseurl": "synapse_public_baseurl",
    "redis": "synapse_secrets or the variables redis_*",
    "report_stats": "synapse_report_stats",
    "server_name": "synapse_server_name",
    "trusted_key_servers": "synapse_trusted_key_servers",
    **{
        option: f"{VARIABLE}.{name}"
        for name in FILES
        for option in (name, f"{name}_path")
        if name not in ("redis_password", DATABASE_PASSWORD)
    },
}
"""The variables that set some of them, for the fix in a message."""


def check_groups(
    groups: Mapping[str, Sequence[str]], services: Sequence[Service], misspelt: Collection[str] = ()
) -> Iterator[TopologyError]:
    """Refuses groups that are missing, or hold more hosts than they may.

    Args:
        groups: the hosts of each group of the inventory.
        services: the table of services.
        misspelt: groups that the inventory has under a wrong name; they are not missing as well.
    """
    for service in services:
        hosts = sorted({host for group in service.groups for host in groups.get(group, ())})
        if not hosts and set(service.groups) & set(misspelt):
            continue
        if service.groups and not hosts and service.least:
            yield _without_hosts(service)
        elif service.groups and len(hosts) < service.least:
            yield TopologyError(
                "inventory",
                ", ".join(hosts),
                f"{_named(service)} needs {service.least} hosts",
                f"Put more hosts into {_named(service)}.",
            )
        elif service.most is not None and len(hosts) > service.most:
            takes = "one host" if service.most == 1 else f"{service.most} hosts at most"
            leave = "one" if service.most == 1 else str(service.most)
            yield TopologyError(
                "inventory", ", ".join(hosts), f"{_named(service)} takes {takes}", f"Leave {leave} of them in it."
            )


def check_needed_by_workers(
    groups: Mapping[str, Sequence[str]], services: Sequence[Service]
) -> Iterator[TopologyError]:
    """Refuses a fleet with workers that lacks a service which they need."""
    for service in services:
        if service.workers_need_it and not any(groups.get(group) for group in service.groups):
            yield _without_hosts(service, f", and {service.workers_need_it}")


def _without_hosts(service: Service, why: str = "") -> TopologyError:
    return TopologyError(
        "inventory",
        None,
        f"{_named(service)} does not exist or has no host{why}",
        f"Put a host into {_named(service)}.",
    )


def _named(service: Service) -> str:
    return f"the group {' or '.join(service.groups)}"


def check_extra_config(variable: str, value: Mapping[str, Any], host: str | None = None) -> Iterator[TopologyError]:
    """Refuses options that are computed from the topology; their values are not shown, because they may be secrets."""
    for name in sorted(value):
        if name in COMPUTED_OPTIONS or name.startswith("worker_"):
            yield TopologyError(
                f"{variable}.{name}",
                HIDDEN,
                "it is computed from the topology",
                f"Remove it{_instead(name)}.",
                host,
            )
    yield from check_option_texts(variable, value, host)
    yield from check_option_paths(variable, value, host)


def _instead(option: str) -> str:
    variable = VARIABLE_OF_OPTION.get(option)
    return f", and use {variable}" if variable else "; docs/topology.md names the variable that sets it"


def check_groups_have_pools(
    groups: Mapping[str, Sequence[str]], hosts: Mapping[str, Mapping[str, Any]]
) -> Iterator[TopologyError]:
    """Refuses hosts of a worker group without pools, unless the inventory sets ``{}``."""
    if any("synapse_preset" in variables for variables in hosts.values()):
        return
    for group in WORKER_GROUPS:
        for host in groups.get(group, ()):
            if hosts[host].get(group) is None:
                yield TopologyError(
                    group,
                    None,
                    f"the host is in the group {group} and would run nothing",
                    f"Write its pools in group_vars/{group}.yml, {group}: {{}} for none, or set synapse_preset.",
                    host,
                )


def check_host_names(hosts: Iterable[str]) -> Iterator[TopologyError]:
    """Refuses names of hosts that cannot name a directory of a rendered tree, or stand in a line of a file."""
    for host in hosts:
        if not inventory_name(host):
            yield TopologyError(
                "inventory",
                host,
                "the name of a host names directories, and stands in lines of files",
                "Rename the host in the inventory, to a name without '/' and control characters.",
            )


def check_addresses(addresses: Mapping[str, str]) -> Iterator[TopologyError]:
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
            yield TopologyError(
                "synapse_address",
                written,
                "other hosts cannot reach this one at this address",
                "Set it to the host's private address, in its host_vars.",
                host,
            )
            continue
        first = next(iter(holders), address)
        if first.version != address.version:
            yield TopologyError(
                "synapse_address",
                written,
                f"{holders[first]} has {first}, and the firewall and PostgreSQL know hosts by addresses of one kind",
                f"Use IPv{first.version} or IPv{address.version} for all hosts.",
                host,
            )
        other = holders.setdefault(address, host)
        if other != host:
            yield TopologyError(
                "synapse_address",
                written,
                f"{other} has the same address",
                "Set it to an address that only this host has, in its host_vars.",
                host,
            )


def check_pools_have_a_group(
    groups: Mapping[str, Sequence[str]], hosts: Mapping[str, Mapping[str, Any]], preset: str
) -> Iterator[TopologyError]:
    """Refuses worker pools that no host would run, because their group has no host."""
    for group in WORKER_GROUPS:
        if groups.get(group):
            continue
        for host, variables in hosts.items():
            if variables.get(group):
                yield TopologyError(
                    group,
                    ", ".join(variables[group]),
                    f"the group {group} does not exist or has no host, so no host would run these pools",
                    f"Put a host into the group {group}, or remove the variable.",
                    host,
                )
        if PRESETS[preset][group] and not any(group in variables for variables in hosts.values()):
            yield TopologyError(
                "synapse_preset",
                preset,
                f"it has {group}, but the group {group} does not exist or has no host",
                f"Put a host into the group {group}, or set {group}: {{}}.",
            )
