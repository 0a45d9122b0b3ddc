# SPDX-License-Identifier: GPL-3.0-or-later
"""What the operator may write: the inputs of the topology, their types and defaults, read from an inventory.

No facts are read, so a run with ``--limit`` computes the same topology as a full one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

from .duties import BACKGROUND, DUTIES, GENERIC, MEDIA
from .errors import TopologyError, did_you_mean
from .layout import MEDIA_DIR, REDIS_PACKAGES
from .presets import DEFAULT_PRESET, PRESETS
from .releases import NEWEST, Release
from .services import GROUPS


@dataclass(frozen=True, kw_only=True)
class Input:
    """One variable that the topology reads from the inventory.

    Attributes:
        name: the variable.
        about: one line for the documentation.
        default: its value while the inventory does not set it.
        check: returns None, or the reason and the fix for a value that cannot be.
        per_host: it may differ between hosts; otherwise all hosts must agree.
    """

    name: str
    about: str
    check: Callable[[Any], tuple[str, str] | None]
    default: Any = None
    per_host: bool = False


COMPUTED_OPTIONS = frozenset(
    {
        "daemonize",
        "database",
        "enable_media_repo",
        "enable_metrics",
        "federation_sender_instances",
        "form_secret",
        "form_secret_path",
        "instance_map",
        "listeners",
        "log_config",
        "macaroon_secret_key",
        "macaroon_secret_key_path",
        "max_upload_size",
        "media_instance_running_background_jobs",
        "media_store_path",
        "notify_appservices_from_worker",
        "outbound_federation_restricted_to",
        "pid_file",
        "public_baseurl",
        "pusher_instances",
        "redis",
        "registration_shared_secret",
        "registration_shared_secret_path",
        "report_stats",
        "run_background_tasks_on",
        "send_federation",
        "server_name",
        "signing_key",
        "signing_key_path",
        "start_pushers",
        "stream_writers",
        "suppress_key_server_warning",
        "trusted_key_servers",
        "update_user_directory_from_worker",
    }
)
"""Options of homeserver.yaml that the topology or a variable of its own decides."""

_SERVER_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?|\[[0-9a-f:.]+\](:[0-9]{1,5})?")
HOST_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?")
# The units of Synapse do not see the others.
_HOST_PATH = re.compile(r"(?!/(home|root|tmp|run|var/tmp)(/|$))(/[A-Za-z0-9._-]+)+")
_SIZE = re.compile(r"[1-9][0-9]*[KMG]?")
_URL = re.compile(r"https?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?")

Problem = tuple[str, str]


def _anything(_value: Any) -> Problem | None:
    return None


def _server_name(value: Any) -> Problem | None:
    if value is None:
        return (
            "every Matrix id of this server ends in it, and it can never be changed",
            "Set synapse_server_name: example.org in group_vars/all.",
        )
    if not isinstance(value, str) or not _SERVER_NAME.fullmatch(value):
        return "a server name is a DNS name in lower case, or an address, with an optional port", (
            "Write it without https:// and without a path, for example example.org."
        )
    return None


def matches(pattern: re.Pattern[str], reason: str, fix: str) -> Callable[[Any], Problem | None]:
    """Returns a check that a value is a string of this form."""

    def check(value: Any) -> Problem | None:
        return None if isinstance(value, str) and pattern.fullmatch(value) else (reason, fix)

    return check


def _optional(check: Callable[[Any], Problem | None]) -> Callable[[Any], Problem | None]:
    return lambda value: None if value is None else check(value)


def _one_of(known: Sequence[str]) -> Callable[[Any], Problem | None]:
    def check(value: Any) -> Problem | None:
        if value in known:
            return None
        return f"it is one of {', '.join(known)}", did_you_mean(str(value), known)

    return check


def is_whole_number(value: Any) -> bool:
    """Tells whether the value is an integer; YAML's true and false are not."""
    return isinstance(value, int) and not isinstance(value, bool)


def counting_number(value: Any) -> int | None:
    """Returns a whole number from 1 on, None for anything else; from the command line, a number is a text."""
    return int(value) if str(value).isdecimal() and int(value) > 0 else None


def _number(low: int, high: int, unit: str) -> Callable[[Any], Problem | None]:
    def check(value: Any) -> Problem | None:
        if is_whole_number(value) and low <= value <= high:
            return None
        return f"it is a whole number of {unit}", f"Set it to a number from {low} to {high}, without quotes."

    return check


def _address(value: Any) -> Problem | None:
    try:
        ip_address(value if isinstance(value, str) else "")
    except ValueError:
        return "it is an IP address, because PostgreSQL and the firewall admit hosts by address", "Write 10.0.0.11."
    return None


def _networks(reader: str) -> Callable[[Any], Problem | None]:
    """Returns a check that a value is a list of networks; the reader is what would look names up."""
    fix = "Write a list of networks, such as [192.0.2.0/24, 2001:db8::/32]; one address is a network as well."

    def check(value: Any) -> Problem | None:
        if not isinstance(value, list):
            return "it is a list of networks", fix
        for entry in value:
            try:
                ip_network(entry if isinstance(entry, str) else "", strict=False)
            except ValueError:
                return f"{entry!r} in it is no network, and {reader} looks names up only when it starts", fix
        return None

    return check


_networks_of_nginx = _networks("nginx")


def check_networks(name: str, value: Any, host: str) -> None:
    """Checks a variable of networks that need not come from the inventory, as the inputs of that kind are checked.

    Raises:
        TopologyError: the value is no list of networks.
    """
    problem = _networks_of_nginx(plain(value))
    if problem is not None:
        raise TopologyError(name, plain(value), *problem, host=host)


def _boolean(value: Any) -> Problem | None:
    return None if isinstance(value, bool) else ("it is true or false", "Write true or false, without quotes.")


def _mapping(value: Any) -> Problem | None:
    return None if isinstance(value, dict) else ("it is a mapping", "Write name: value lines below it.")


def _list(value: Any) -> Problem | None:
    return None if isinstance(value, list) else ("it is a list", "Write one '- ' line for each entry.")


_ALL = (
    Input(
        name="synapse_server_name", about="The name in every Matrix id; cannot be changed later.", check=_server_name
    ),
    Input(
        name="synapse_version", about="The Synapse release to run.", default=str(NEWEST), check=_anything
    ),  # checked by parse_release
    Input(
        name="synapse_preset",
        about="Fills the worker variables that the inventory does not set.",
        default=DEFAULT_PRESET,
        check=_one_of(list(PRESETS)),
    ),
    Input(
        name="synapse_transport",
        about="How processes reach each other; auto is unix where all is on one host, else tcp.",
        default="auto",
        check=_one_of(["auto", "unix", "tcp"]),
    ),
    Input(
        name="synapse_address",
        about="The private address at which the other hosts reach this one; needed with tcp on several hosts.",
        per_host=True,
        check=_optional(_address),
    ),
    Input(
        name="synapse_host_label",
        about="The host's part in the names of its workers; the inventory name if not set.",
        per_host=True,
        check=_optional(
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
        check=_optional(_mapping),
    ),
    Input(
        name=MEDIA,
        about="Pools of media workers on each host of the group.",
        per_host=True,
        check=_optional(_mapping),
    ),
    Input(
        name=BACKGROUND,
        about="Pools of background workers on each host of the group.",
        per_host=True,
        check=_optional(_mapping),
    ),
    Input(
        name="synapse_main_settings",
        about="Settings of the main process, as of a pool.",
        default={},
        check=_mapping,
    ),
    Input(
        name="synapse_cp_max",
        about="Database connections that one process may hold (database.args.cp_max).",
        default=5,
        check=_number(1, 1000, "connections"),
    ),
    Input(
        name="synapse_public_baseurl",
        about="The URL that clients use; https://<server name>/ if not set.",
        check=_optional(matches(_URL, "it is a URL", "Write https://matrix.example.org/.")),
    ),
    Input(
        name="synapse_max_upload_size",
        about="The largest upload, for Synapse and nginx alike.",
        default="50M",
        check=matches(_SIZE, "it is a size in bytes, or with K, M or G", "Write 50M."),
    ),
    Input(
        name="synapse_report_stats",
        about="Whether Synapse reports anonymised statistics to its makers.",
        default=False,
        check=_boolean,
    ),
    Input(
        name="synapse_media_store_path",
        about="Where media are kept.",
        default=MEDIA_DIR,
        check=matches(
            _HOST_PATH,
            "it is an absolute path outside of /home, /root, /run and /tmp, which the units do not see",
            f"Write {MEDIA_DIR}, or a path below /srv.",
        ),
    ),
    Input(
        name="synapse_media_store_shared",
        about="That synapse_media_store_path is one store that all hosts with media workers mount.",
        default=False,
        check=_boolean,
    ),
    Input(
        name="synapse_trusted_key_servers",
        about="Synapse's trusted_key_servers.",
        default=[{"server_name": "matrix.org"}],
        check=_list,
    ),
    Input(
        name="synapse_extra_config",
        about="Any other options of homeserver.yaml; shown in diffs unless synapse_hide_config is set.",
        default={},
        check=_mapping,
    ),
    Input(
        name="synapse_jemalloc",
        about="Whether the processes use jemalloc.",
        default=True,
        check=_boolean,
    ),
    Input(
        name="synapse_metrics_allowed",
        about="Networks from which metrics may be read, on several hosts with tcp; nobody if it is empty.",
        default=[],
        check=_networks("the firewall"),
    ),
    Input(
        name="postgres_port",
        about="PostgreSQL's port.",
        default=5432,
        check=_number(1, 65535, "a port"),
    ),
    Input(
        name="postgres_tls",
        about="Whether Synapse's connections to PostgreSQL are encrypted; used with tcp.",
        default=False,
        check=_boolean,
    ),
    Input(
        name="postgres_tls_root_certificate",
        about="Where the hosts of Synapse have the certificate that signs PostgreSQL's, which is then verified.",
        check=_optional(
            matches(
                _HOST_PATH,
                "it is an absolute path outside of /home, /root, /run and /tmp",
                "Write /etc/ssl/matrix/root.pem.",
            )
        ),
    ),
    Input(
        name="redis_port",
        about="Redis' port; used with tcp.",
        default=6379,
        check=_number(1, 65535, "a port"),
    ),
    Input(
        name="redis_package",
        about="Debian's package that serves Redis: redis-server, or valkey-server from Debian 13 on.",
        default="redis-server",
        check=_one_of(list(REDIS_PACKAGES)),
    ),
    # These two are defaults of the role nginx as well, whose templates print them.
    Input(
        name="nginx_admin_allowed",
        about="Networks from which nginx lets the admin API be used, and the one of MAS; nobody if it is empty.",
        default=[],
        per_host=True,
        check=_networks_of_nginx,
    ),
    Input(
        name="nginx_trusted_proxies",
        about="Networks of proxies in front of nginx, whose X-Forwarded-For tells the client's address.",
        default=[],
        per_host=True,
        check=_networks_of_nginx,
    ),
)

_OUR_PREFIXES = ("synapse", "generic", "media", "background", "postgres", "redis")

INPUTS: dict[str, Input] = {entry.name: entry for entry in _ALL}


def plain(value: Any) -> Any:
    """Returns a copy made of exact built-in types: Ansible hands filters subclasses and lazy containers."""
    if value is None or isinstance(value, bool):
        return value
    for exact in (str, int, float):
        if isinstance(value, exact):
            return exact(value)
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, Sequence):
        return [plain(entry) for entry in value]
    return str(value)


def gather(groups: Mapping[str, Sequence[str]], hostvars: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Reads from an inventory what the topology depends on, and nothing else.

    Args:
        groups: Ansible's ``groups``.
        hostvars: Ansible's ``hostvars``; each host is looked up once, because each access costs.

    Returns:
        ``{"groups": {group: [host]}, "hosts": {host: {variable: value}}, "other_variables": [name]}``:
        ``groups`` also has the names of the other groups, without hosts, and ``other_variables`` the names of variables
        that look like ours, so that misspelt ones can be told.
    """
    members = {name: sorted(map(str, groups[name])) if name in GROUPS else [] for name in sorted(map(str, groups))}
    hosts: dict[str, Any] = {}
    names: set[str] = set()
    for host in sorted({host for names in members.values() for host in names}):
        variables = hostvars[host]
        hosts[host] = {name: plain(variables[name]) for name in INPUTS if name in variables}
        names.update(str(name) for name in variables if str(name).startswith(_OUR_PREFIXES) and name not in INPUTS)
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
