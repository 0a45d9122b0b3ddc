# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role redis deploys to a host, and what the answers of the server mean."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ..model import layout
from ..model.errors import TopologyError
from ..model.platform import DEFAULT_INSTANCE, RedisInstance, platform_of, redis_instance
from ..model.ports_in_use import holders, named
from ..model.server_secrets import VARIABLE as SECRETS
from ..model.service import REDIS
from ..rendering.context import Mode
from .problems import refusals

if TYPE_CHECKING:
    from ..model.topology import Topology

NOT_ACTIVE = 3
"""The exit code of the question to the server if its unit does not run."""

_DROP_IN = "matrix-synapse.conf"

# As CONFIG GET answers, so that what runs can be compared with what is wanted.
_COMMON: Mapping[str, str] = {
    # Replication traffic and a small cache: nothing that is worth a disk.
    "save": "",
    "appendonly": "no",
    "maxmemory-policy": "allkeys-lru",
    "protected-mode": "yes",
    # Commands that lead from the database to its host.
    "enable-debug-command": "no",
    "enable-module-command": "no",
    "enable-protected-configs": "no",
}

# redis-cli reads the password from its environment. The file of the server has it, so Ansible need not send it.
_QUESTION = """\
systemctl is-active --quiet {unit} || exit {not_active}
systemctl show --property=NeedDaemonReload --value {unit}
REDISCLI_AUTH=$(sed -n 's/^requirepass "\\(..*\\)"$/\\1/p' {config_file} | sed 's/\\\\\\(.\\)/\\1/g')
export REDISCLI_AUTH
[ -n "$REDISCLI_AUTH" ] || unset REDISCLI_AUTH
exec {client} {connection} --json CONFIG GET {settings}
"""


@dataclass(frozen=True, kw_only=True)
class RedisServer:
    """One server of Redis or Valkey, as the role deploys it.

    Attributes:
        host: the inventory name of its host.
        instance: the name of the instance: ``default`` for the one of the package itself.
        group: the user and the group of the server.
        packages: the packages to install; empty if all of them are there.
        idle_unit: the unit that the package starts although nothing uses it; empty if the package was there before, or
            if Synapse uses it.
        unit: the unit of systemd.
        program: the path of the server.
        config_file: the file with the settings.
        include: Debian's file, which that file includes; None for an instance of its own.
        data_dir: its directory for data; None for the default instance.
        drop_in_dir: the directory of the unit's drop-in.
        with_password: whether clients need the password; on one host the socket is for a group only.
        settings: all settings, with the password.
        printed: the settings that the file has: an empty ``unixsocket`` is none.
        file_set: the files, as arguments of the module file_set.
        question: the command that asks the server for its settings.
        existed: whether the server was there before this run.
        checking: whether the run only looks.
    """

    host: str
    instance: str
    group: str
    packages: tuple[str, ...]
    idle_unit: str
    unit: str
    program: str
    config_file: str
    include: str | None
    data_dir: str | None
    drop_in_dir: str
    with_password: bool
    settings: Mapping[str, str]
    printed: Mapping[str, str]
    file_set: Mapping[str, Any]
    question: tuple[str, ...]
    existed: bool
    checking: bool


@dataclass(frozen=True, kw_only=True)
class RedisState:
    """What is left to do with a server.

    Attributes:
        start: whether it must be started at once: nothing uses it yet, or it does not run.
        unread: whether systemd has not read the newest drop-in of the unit yet.
        step: the step for the plan: ``unit``, ``action`` and ``reason``; empty if nothing needs a restart.
    """

    start: bool = False
    unread: bool = False
    step: Mapping[str, str] = field(default_factory=dict)


def check(
    topology: Topology, host: str, found: Mapping[str, Any], _variables: Mapping[str, Any]
) -> list[TopologyError]:
    """Returns why Redis cannot be deployed to a host.

    Args:
        topology: the fleet.
        host: the inventory name of the host.
        found: what the module host_survey returned for the host.
    """
    return refusals(
        lambda: _check_package(topology, host, found),
        lambda: _check_tenants(topology, host, found),
        lambda: _check_port(topology, host, found),
    )


def instance_of(topology: Topology, found: Mapping[str, Any] = MappingProxyType({})) -> RedisInstance:
    """Returns the instance that serves Synapse: what the inventory says, else that of an old fleet, else its own.

    Args:
        topology: the fleet.
        found: what the module host_survey returned for the host; nothing where the topology alone decides, because
            ``recognised_inputs`` has put the instance of an old fleet into it.
    """
    package, said = topology.options["redis_package"], topology.options["redis_instance"]
    return redis_instance(package, said or recognised(package, found) or layout.INSTANCE)


def recognised(package: str, found: Mapping[str, Any]) -> str | None:
    """Returns the default instance if a fleet of an earlier release of this collection uses it; None if none does."""
    ours = {
        entry["name"] for entry in found.get("redis_instances", ()) if entry["ours"] and entry["package"] == package
    }
    return DEFAULT_INSTANCE if DEFAULT_INSTANCE in ours and layout.INSTANCE not in ours else None


def _found_instance(instance: RedisInstance, package: str, found: Mapping[str, Any]) -> Mapping[str, Any] | None:
    return next(
        (
            entry
            for entry in found.get("redis_instances", ())
            if (entry["package"], entry["name"]) == (package, instance.name)
        ),
        None,
    )


def _check_tenants(topology: Topology, host: str, found: Mapping[str, Any]) -> None:
    """Refuses an instance that others use: our settings would close it, evict its keys and keep nothing on disk."""
    package = topology.options["redis_package"]
    instance = instance_of(topology, found)
    entry = _found_instance(instance, package, found)
    if entry is None or entry["ours"]:
        return
    if instance.name != DEFAULT_INSTANCE:
        reason = f"{instance.config_file} is there, and this collection has not written it"
        raise TopologyError("redis_instance", instance.name, reason, "Remove the file, or choose another name.", host)
    content = entry["content"]
    uses = []
    if content is None and entry["running"]:
        uses = ["does not answer, so it is unknown what is in it"]
    elif content:
        uses += [f"holds {content['keys']} keys"] if content["keys"] else []
        uses += ["keeps its data on disk (appendonly)"] if content["appendonly"] else []
    if uses:
        raise TopologyError(
            "redis_instance",
            instance.name,
            f"{instance.unit} {' and '.join(uses)}: Synapse's settings would change it for those who use it",
            "Leave the variable out: Synapse then gets an instance of its own.",
            host,
        )


def _check_port(topology: Topology, host: str, found: Mapping[str, Any]) -> None:
    if topology.unix:
        return
    port = int(topology.options["redis_port"])
    for holder in holders(found, topology.addresses[host], port, (instance_of(topology, found).unit,)):
        raise TopologyError(
            "redis_port",
            port,
            f"{named(holder)} listens on it",
            "Choose another port in group_vars/all, or stop that program.",
            host,
        )


def _check_package(topology: Topology, host: str, found: Mapping[str, Any]) -> None:
    platform = platform_of(host, found)
    package = topology.options["redis_package"]
    if package not in platform.redis_packages:
        raise TopologyError(
            "redis_package",
            package,
            f"{platform.name} does not have this package",
            f"Leave it out, or set it to {' or '.join(platform.redis_packages)}.",
            host,
        )


def redis_server(
    topology: Topology,
    host: str,
    found: Mapping[str, Any],
    variables: Mapping[str, Any],
    mode: Mode,
    password: str,
) -> RedisServer:
    """Returns the server of a host.

    Args:
        topology: the fleet.
        host: the inventory name of the host.
        found: what the module host_survey returned for the host.
        variables: the variables of the role, by their names.
        mode: what the run does.
        password: the password; used with the transport ``tcp`` only.
    """
    package = topology.options["redis_package"]
    instance = instance_of(topology, found)
    installed = package in found.get("packages", ())
    default = instance.name == DEFAULT_INSTANCE
    drop_in_dir = f"{layout.UNIT_DIR}/{instance.unit}.d"
    # In a check, the file still has the password before a rotation.
    given = topology.options[SECRETS].get("redis_password") if mode != "render" else None
    settings = _settings(topology, instance, variables, given or password)
    return RedisServer(
        host=host,
        instance=instance.name,
        group=instance.group,
        packages=() if installed else (package,),
        idle_unit="" if installed or default else redis_instance(package, DEFAULT_INSTANCE).unit,
        unit=instance.unit,
        program=instance.program,
        config_file=instance.config_file,
        include=instance.include,
        data_dir=instance.data_dir,
        drop_in_dir=drop_in_dir,
        with_password=not topology.unix,
        settings=settings,
        printed={key: value for key, value in settings.items() if key != "unixsocket" or value},
        file_set={
            "directories": [{"path": drop_in_dir}],
            "files": [
                {
                    "path": instance.config_file,
                    "template": "matrix-synapse.conf.j2",
                    "owner": instance.group,
                    "group": instance.group,
                    "mode": "0640",
                    "sensitive": not topology.unix,
                },
                {"path": f"{drop_in_dir}/{_DROP_IN}", "template": "drop-in.conf.j2"},
            ],
        },
        question=_question(instance, settings),
        existed=installed if default else _found_instance(instance, package, found) is not None,
        checking=mode == "check",
    )


def redis_state(server: RedisServer, *, code: int, answer: str) -> RedisState:
    """Returns what is left to do before the plan is carried out.

    Args:
        server: the server, as ``redis_server`` returns it.
        code: the exit code of the question.
        answer: what the server answered.
    """
    if server.checking and not server.existed:
        # There is no server yet, and a run that only looks installs none.
        return RedisState()
    # What the file would say is compared, not whether it changes: comments restart nothing.
    stale = bool(differing(server, answer))
    if stale and (not server.existed or code == NOT_ACTIVE):
        return RedisState(start=True)
    unread = answer.startswith("yes")
    if not stale:
        return RedisState(unread=unread)
    reason = "it does not have the settings of its file"
    return RedisState(unread=unread, step={"unit": server.unit, "action": "restart", "reason": reason})


def differing(server: RedisServer, answer: str) -> list[str]:
    """Returns the names of the settings that the server does not have; all of them if it does not answer."""
    last = answer.strip().rpartition("\n")[2]
    found = json.loads(last) if last.startswith("{") else {}
    return [name for name, value in server.settings.items() if found.get(name) != value]


def restarted_problems(server: RedisServer, answer: str) -> list[str]:
    """Returns why a server that has restarted is not as it was wanted, a sentence each without a value.

    Args:
        server: the server, as ``redis_server`` returns it.
        answer: what the server answered.
    """
    names = differing(server, answer)
    if not names:
        return []
    return [
        f"{', '.join(names)} on host {server.host} differ from {server.config_file}: the restarted server does"
        f" not answer, or something else sets them. Look at the journal of {server.unit} and at {server.drop_in_dir}."
    ]


def _settings(
    topology: Topology, instance: RedisInstance, variables: Mapping[str, Any], password: str
) -> dict[str, str]:
    maxmemory = int(variables.get("redis_maxmemory_mib") or 0) * 1024**2
    common = {**_COMMON, "maxmemory": str(maxmemory)}
    if instance.data_dir is not None:
        common["dir"] = instance.data_dir
    if topology.unix or topology.host_of(REDIS) is None:
        return {**common, "port": "0", "unixsocket": instance.path, "unixsocketperm": "770", "requirepass": ""}
    return {
        **common,
        "port": str(topology.options["redis_port"]),
        "bind": str(topology.address_of(REDIS)),
        "unixsocket": "",
        "requirepass": password,
    }


def _question(instance: RedisInstance, settings: Mapping[str, str]) -> tuple[str, ...]:
    unix = "bind" not in settings
    script = _QUESTION.format(
        unit=instance.unit,
        not_active=NOT_ACTIVE,
        config_file=instance.config_file,
        client=instance.client,
        connection=f"-s {settings['unixsocket']}" if unix else f"-h {settings['bind']} -p {settings['port']}",
        settings=" ".join(settings),
    )
    return ("/bin/sh", "-c", script)


__all__ = (
    "NOT_ACTIVE",
    "Mode",
    "RedisServer",
    "RedisState",
    "check",
    "differing",
    "instance_of",
    "recognised",
    "redis_server",
    "redis_state",
    "restarted_problems",
)
