# SPDX-License-Identifier: GPL-3.0-or-later
"""What the operator may write: the inputs of the topology, their types and defaults, read from an inventory.

No facts are read, so a run with ``--limit`` computes the same topology as a full one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .addresses import host_address, networks, server_name, url
from .duties import BACKGROUND, DUTIES, GENERIC, MEDIA
from .errors import TopologyError
from .layout import MEDIA_DIR, POSTGRES_PORT, REDIS_PORT, USER
from .paths import media_store, seen_by_units
from .platform import REDIS_PACKAGES
from .presets import DEFAULT_PRESET, PRESETS
from .releases import NEWEST, Release
from .service import Service
from .services import NGINX, SERVICES, groups_of
from .texts import upload_size
from .values import (
    Check,
    anything,
    boolean,
    list_of_entries,
    mapping,
    matches,
    number,
    one_of,
    optional,
    plain,
)


@dataclass(frozen=True, kw_only=True)
class Input:
    """One variable that the topology reads from the inventory.

    Attributes:
        name: the variable.
        about: one line for the documentation.
        default: its value while the inventory does not set it.
        check: returns None, or the reason and the fix for a value that cannot be.
        per_host: it may differ between hosts; otherwise all hosts must agree.
        service: the service on whose hosts a variable of a host counts, if only a role reads it.
    """

    name: str
    about: str
    check: Check
    default: Any = None
    per_host: bool = False
    service: str | None = None


HOST_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?")
_INSTANCE = re.compile(r"[a-z][a-z0-9_]*")


_networks_of_nginx = networks("nginx")


_ALL = (
    Input(name="synapse_server_name", about="The name in every Matrix id; cannot be changed later.", check=server_name),
    Input(
        name="synapse_version", about="The Synapse release to run.", default=str(NEWEST), check=anything
    ),  # checked by parse_release
    Input(
        name="synapse_preset",
        about="Fills the worker variables that the inventory does not set.",
        default=DEFAULT_PRESET,
        check=one_of(PRESETS),
    ),
    Input(
        name="synapse_transport",
        about="How processes reach each other; auto is unix where all is on one host, else tcp.",
        default="auto",
        check=one_of(["auto", "unix", "tcp"]),
    ),
    Input(
        name="synapse_address",
        about="The private address at which the other hosts reach this one; needed with tcp on several hosts.",
        per_host=True,
        check=optional(host_address),
    ),
    Input(
        name="synapse_host_label",
        about="The host's part in the names of its workers; the inventory name if not set.",
        per_host=True,
        check=optional(
            matches(
                HOST_LABEL,
                "it becomes part of worker names and of the URLs between processes",
                "Use letters, digits, '-', '_' and '.' only.",
            )
        ),
    ),
    Input(
        name=GENERIC,
        about="Pools of generic workers on each host of the group.",
        per_host=True,
        check=optional(mapping),
    ),
    Input(
        name=MEDIA,
        about="Pools of media workers on each host of the group.",
        per_host=True,
        check=optional(mapping),
    ),
    Input(
        name=BACKGROUND,
        about="Pools of background workers on each host of the group.",
        per_host=True,
        check=optional(mapping),
    ),
    Input(
        name="synapse_main_settings",
        about="Settings of the main process, as of a pool.",
        default={},
        check=mapping,
    ),
    Input(
        name="synapse_cp_max",
        about="Database connections that one process may hold (database.args.cp_max).",
        default=5,
        check=number(1, 1000, "connections"),
    ),
    Input(
        name="synapse_public_baseurl",
        about="The URL that clients use; https://<server name>/ if not set.",
        check=optional(url),
    ),
    Input(
        name="synapse_max_upload_size",
        about="The largest upload, for Synapse and nginx alike.",
        default="50M",
        check=upload_size,
    ),
    Input(
        name="synapse_report_stats",
        about="Whether Synapse reports anonymised statistics to its makers.",
        default=False,
        check=boolean,
    ),
    Input(
        name="synapse_media_store_path",
        about="Where media are kept.",
        default=MEDIA_DIR,
        check=media_store(MEDIA_DIR, USER),
    ),
    Input(
        name="synapse_media_store_shared",
        about="That synapse_media_store_path is one store that all hosts with media workers mount.",
        default=False,
        check=boolean,
    ),
    Input(
        name="synapse_trusted_key_servers",
        about="Synapse's trusted_key_servers.",
        default=[{"server_name": "matrix.org"}],
        check=list_of_entries,
    ),
    Input(
        name="synapse_extra_config",
        about="Any other options of homeserver.yaml; shown in diffs unless synapse_hide_config is set.",
        default={},
        check=mapping,
    ),
    Input(
        name="synapse_jemalloc",
        about="Whether the processes use jemalloc.",
        default=True,
        check=boolean,
    ),
    Input(
        name="synapse_metrics_allowed",
        about="Networks from which metrics may be read, on several hosts with tcp; none if it is empty.",
        default=[],
        check=networks("the firewall"),
    ),
    Input(
        name="postgres_port",
        about="PostgreSQL's port.",
        default=POSTGRES_PORT,
        check=number(1, 65535, "a port"),
    ),
    Input(
        name="postgres_tls",
        about="Whether Synapse's connections to PostgreSQL are encrypted; used with tcp.",
        default=False,
        check=boolean,
    ),
    Input(
        name="postgres_tls_root_certificate",
        about="Where the hosts of Synapse have the certificate that signs PostgreSQL's, which is then verified.",
        check=optional(seen_by_units("/etc/ssl/matrix/root.pem")),
    ),
    Input(
        name="redis_port",
        about="Redis' port; used with tcp.",
        default=REDIS_PORT,
        check=number(1, 65535, "a port"),
    ),
    Input(
        name="redis_package",
        about="Debian's package that serves Redis: redis-server, or valkey-server from Debian 13 on.",
        default="redis-server",
        check=one_of(REDIS_PACKAGES),
    ),
    Input(
        name="redis_instance",
        about="Redis' instance: a name for one of Synapse's own, or default for the one that the package starts.",
        check=optional(
            matches(
                _INSTANCE,
                "it becomes part of the names of files and of a unit",
                "Use lower-case letters, digits and underscores only, or leave it out.",
            )
        ),
    ),
    # These two are defaults of the role nginx as well, whose templates print them.
    Input(
        name="nginx_admin_allowed",
        about="Networks from which nginx lets the admin API be used, and the one of MAS; none if it is empty.",
        default=[],
        per_host=True,
        service=NGINX,
        check=_networks_of_nginx,
    ),
    Input(
        name="nginx_trusted_proxies",
        about="Networks of proxies in front of nginx, whose X-Forwarded-For sets the client's address.",
        default=[],
        per_host=True,
        service=NGINX,
        check=_networks_of_nginx,
    ),
)

INPUTS: dict[str, Input] = {entry.name: entry for entry in _ALL}


def gather(
    groups: Mapping[str, Sequence[str]],
    hostvars: Mapping[str, Mapping[str, Any]],
    services: Sequence[Service] = SERVICES,
) -> dict[str, Any]:
    """Reads from an inventory what the topology depends on, and nothing else.

    Args:
        groups: Ansible's ``groups``.
        hostvars: Ansible's ``hostvars``; each host is looked up once, because each access costs.
        services: the table of services.

    Returns:
        ``{"groups": {group: [host]}, "hosts": {host: {variable: value}}, "other_variables": [name]}``:
        ``groups`` also has the names of the other groups, without hosts, and ``other_variables`` the names of variables
        that look like ours, to detect misspelt names.
    """
    ours = groups_of(services)
    prefixes = tuple({service.name.partition("_")[0] for service in services})
    members = {name: sorted(map(str, groups[name])) if name in ours else [] for name in sorted(map(str, groups))}
    hosts: dict[str, Any] = {}
    names: set[str] = set()
    for host in sorted({host for names in members.values() for host in names}):
        variables = hostvars[host]
        hosts[host] = {name: plain(variables[name]) for name in INPUTS if name in variables}
        names.update(str(name) for name in variables if str(name).startswith(prefixes) and name not in INPUTS)
    return {"groups": members, "hosts": hosts, "other_variables": sorted(names)}


def fleet_input(hosts: Mapping[str, Mapping[str, Any]], name: str) -> Any:
    """Returns the value of an input that is the same on all hosts, its default if none sets it.

    Raises:
        TopologyError: hosts disagree, or the value cannot be.
    """
    entry = INPUTS[name]
    values = {host: variables.get(name, entry.default) for host, variables in hosts.items()}
    first_host, value = next(iter(values.items()))
    for host, other in values.items():
        if other != value:
            raise TopologyError(
                name,
                other,
                f"it is {value!r} on {first_host}, and all hosts of a fleet share it",
                "Set it once, in group_vars/all.",
                host,
            )
    _check(entry, value, None)
    return value


def host_input(hosts: Mapping[str, Mapping[str, Any]], host: str, name: str) -> Any:
    """Returns the value of an input of one host, checked."""
    entry = INPUTS[name]
    value = hosts[host].get(name, entry.default)
    _check(entry, value, host)
    return value


def _check(entry: Input, value: Any, host: str | None) -> None:
    problem = entry.check(value)
    if problem is not None:
        raise TopologyError(entry.name, value, *problem, host=host)


def pools_of(
    hosts: Mapping[str, Mapping[str, Any]], host: str, group: str, preset: str, release: Release
) -> dict[str, Any]:
    """Returns the pools of a host in one worker group: what the inventory sets, else the preset's."""
    value = host_input(hosts, host, group)
    return pools_at(PRESETS[preset][group], release) if value is None else dict(value)


def pools_at(pools: Mapping[str, Mapping[str, Any]], release: Release) -> dict[str, Any]:
    """Returns pools without the duties that a release has not got yet, and without those that have no other."""
    kept = {}
    for pool, value in pools.items():
        duties = [name for name in value.get("duties", [pool]) if DUTIES[name].since <= release]
        if duties:
            kept[pool] = {**value, "duties": duties}
    return kept
