# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role redis deploys to a host, and what the answers of the server mean."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..model import layout
from ..model.errors import TopologyError
from ..model.platform import REDIS_PACKAGES, RedisPackage, platform_of
from ..model.service import REDIS
from ..rendering.context import Mode
from .problems import refusals

if TYPE_CHECKING:
    from ..model.topology import Topology

VARIABLES = ("redis_maxmemory_mib",)
"""The variables of a host that the functions of this module read."""

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
REDISCLI_AUTH=$(sed -n 's/^requirepass "\\(..*\\)"$/\\1/p' {config_file})
export REDISCLI_AUTH
[ -n "$REDISCLI_AUTH" ] || unset REDISCLI_AUTH
exec {client} {connection} --json CONFIG GET {settings}
"""


@dataclass(frozen=True, kw_only=True)
class RedisServer:
    """One server of Redis or Valkey, as the role deploys it.

    Attributes:
        host: the inventory name of its host.
        name: the first part of all names of the package: ``redis`` or ``valkey``.
        packages: the packages to install; empty if all of them are there.
        unit: the unit of systemd.
        program: the path of the server.
        config_file: the file with the settings.
        drop_in_dir: the directory of the unit's drop-in.
        with_password: whether clients need the password; on one host the socket is for a group only.
        settings: all settings, with the password.
        printed: the settings that the file has: an empty ``unixsocket`` is none.
        file_set: the files, as arguments of the module file_set.
        question: the command that asks the server for its settings.
        existed: whether the package was there before this run.
        checking: whether the run only looks.
    """

    host: str
    name: str
    packages: tuple[str, ...]
    unit: str
    program: str
    config_file: str
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
        step: the step for the plan: ``unit``, ``action`` and ``reason``; empty if nothing needs a restart.
    """

    start: bool = False
    step: Mapping[str, str] = field(default_factory=dict)


def check(topology: Topology, host: str, found: Mapping[str, Any], variables: Mapping[str, Any]) -> list[TopologyError]:
    """Returns why Redis cannot be deployed to a host.

    Args:
        topology: the fleet.
        host: the inventory name of the host.
        found: what the module host_survey returned for the host.
        variables: those of ``VARIABLES``, by their names.
    """
    return refusals(
        lambda: _check_package(topology, host, found),
        lambda: _check_memory(host, variables),
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


def _check_memory(host: str, variables: Mapping[str, Any]) -> None:
    said = variables.get("redis_maxmemory_mib")
    if said not in (None, "") and (isinstance(said, bool) or not str(said).isdecimal()):
        raise TopologyError(
            "redis_maxmemory_mib",
            said,
            "it is memory in MiB, a whole number from 0 on",
            "Set it to 0 for no limit.",
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
    existed = package in found.get("packages", ())
    names = REDIS_PACKAGES[package]
    config_file = f"{names.config_dir}/matrix-synapse.conf"
    drop_in_dir = f"{layout.UNIT_DIR}/{names.unit}.d"
    settings = _settings(topology, variables, password)
    return RedisServer(
        host=host,
        name=names.group,
        packages=() if existed else (package,),
        unit=names.unit,
        program=names.program,
        config_file=config_file,
        drop_in_dir=drop_in_dir,
        with_password=not topology.unix,
        settings=settings,
        printed={key: value for key, value in settings.items() if key != "unixsocket" or value},
        file_set={
            "directories": [{"path": drop_in_dir}],
            "files": [
                {
                    "path": config_file,
                    "template": "matrix-synapse.conf.j2",
                    "owner": names.group,
                    "group": names.group,
                    "mode": "0640",
                    "sensitive": not topology.unix,
                },
                {"path": f"{drop_in_dir}/{_DROP_IN}", "template": "drop-in.conf.j2"},
            ],
        },
        question=_question(names, config_file, settings),
        existed=existed,
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
    if not stale:
        return RedisState()
    reason = "it does not have the settings of its file"
    return RedisState(step={"unit": server.unit, "action": "restart", "reason": reason})


def differing(server: RedisServer, answer: str) -> list[str]:
    """Returns the names of the settings that the server does not have; all of them if it does not answer."""
    found = json.loads(answer) if answer.startswith("{") else {}
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


def _settings(topology: Topology, variables: Mapping[str, Any], password: str) -> dict[str, str]:
    maxmemory = int(variables.get("redis_maxmemory_mib") or 0) * 1024**2
    common = {**_COMMON, "maxmemory": str(maxmemory)}
    if topology.unix or topology.host_of(REDIS) is None:
        socket = REDIS_PACKAGES[topology.options["redis_package"]].path
        return {**common, "port": "0", "unixsocket": socket, "unixsocketperm": "770", "requirepass": ""}
    return {
        **common,
        "port": str(topology.options["redis_port"]),
        "bind": str(topology.address_of(REDIS)),
        "unixsocket": "",
        "requirepass": password,
    }


def _question(names: RedisPackage, config_file: str, settings: Mapping[str, str]) -> tuple[str, ...]:
    unix = "bind" not in settings
    script = _QUESTION.format(
        unit=names.unit,
        not_active=NOT_ACTIVE,
        config_file=config_file,
        client=names.client,
        connection=f"-s {settings['unixsocket']}" if unix else f"-h {settings['bind']} -p {settings['port']}",
        settings=" ".join(settings),
    )
    return ("/bin/sh", "-c", script)


__all__ = (
    "NOT_ACTIVE",
    "VARIABLES",
    "Mode",
    "RedisServer",
    "RedisState",
    "check",
    "differing",
    "redis_server",
    "redis_state",
    "restarted_problems",
)
