# SPDX-License-Identifier: GPL-3.0-or-later
"""What a row of the table of services may say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from .errors import TopologyError

if TYPE_CHECKING:
    from .topology import Topology

# Synapse's own options name these two, and nginx is what its processes are served through.
POSTGRES = "postgres"
REDIS = "redis"
NGINX = "nginx"

Verb = Literal["secrets", "install", "gather", "files", "activate", "remove", "verify"]
"""What a playbook asks the role of a service to do on a host:

``secrets`` makes the secrets that do not exist yet, ``install`` brings packages and releases, ``gather`` reads what
the files of the service need and tries what the operator added to them, ``files`` writes configuration, ``activate``
puts it in force, as far as the plan does not, ``verify`` checks the result after the plan was carried out, ``remove``
removes the files of the service from a host that no longer runs it.
"""

Stage = Literal["network", "servers", "watch"]
"""When ``activate`` visits a service: ``network`` first, before anything listens; ``servers`` before the plan is
carried out; ``watch`` after it. Services of one stage do not depend on each other."""

Part = tuple[str, int]
"""A part of a budget: its name, and how much it may take."""

MemoryParts = Callable[["Topology", str, int, Mapping[str, Any]], Iterable[Part]]
"""Takes the topology, a host, its memory in MiB and its variables; returns the parts that have a limit, in MiB."""

ConnectionParts = Callable[["Topology"], Iterable[Part]]
"""Takes the topology; returns how many connections to PostgreSQL each part may open."""

HostPaths = Callable[["Topology", str, Mapping[str, Any]], Iterable[str]]
"""Takes the topology, a host and its variables; returns paths on the host whose existence the checks ask for."""

HostCheck = Callable[["Topology", str, Mapping[str, Any], Mapping[str, Any]], Iterable[TopologyError]]
"""Takes the topology, a host, what the module host_survey has found on it, and its variables; returns what is wrong."""


@dataclass(frozen=True, kw_only=True)
class Listener:
    """A TCP listener of a service, on the address of its host.

    Attributes:
        name: a word for it, unique in the fleet.
        about: what it is, for the comments of the firewall.
        port: its first port, or the name of the input that has it.
        count: how many ports it takes, one after the other.
        of_processes: the ports are a band, in which each Synapse process of the host has one port of its own; the
            others are free.
        clients: the names of the services whose hosts may reach it.
        networks: the input with further networks that may reach it.
        public: it is open to all: the firewall does not filter it.
        metrics: it serves metrics for Prometheus, under this job.
        users: it trusts every client, so on the hosts of the fleet only these accounts may, written as a set of
            nftables; empty if all may.
        unless: takes the inputs that are set on a host; returns whether the host has no such listener.
    """

    name: str
    about: str
    port: int | str
    count: int = 1
    of_processes: bool = False
    clients: tuple[str, ...] = ()
    networks: str | None = None
    public: bool = False
    metrics: str | None = None
    users: tuple[str, ...] = ()
    unless: Callable[[Mapping[str, Any]], bool] | None = None

    def first_port(self, options: Mapping[str, Any]) -> int:
        """Returns its first port, with the values of the inputs."""
        return int(options[self.port]) if isinstance(self.port, str) else self.port

    def ports(self, options: Mapping[str, Any]) -> str:
        """Returns its port, or the first and the last one."""
        first = self.first_port(options)
        return str(first) if self.count == 1 else f"{first}-{first + self.count - 1}"


@dataclass(frozen=True, kw_only=True)
class Service:
    """One service.

    Attributes:
        name: the name of the service, of its role, and the first part of the names of its variables.
        title: what people call it.
        groups: the inventory groups whose hosts run it; empty for a service of every host of the fleet.
        least: the number of hosts that it needs at least.
        most: the number of hosts that it runs on at most; None for any number.
        workers_need_it: why a fleet with workers needs a host of it; None if it does not.
        of_processes: what it runs are Synapse's processes, so a host of its groups without pools runs nothing of it.
        verbs: the task files of its role.
        stage: when ``activate`` visits it.
        tags: the tags of ``site.yml`` that select it.
        secrets_for: further tags that select its verb ``secrets``: of services that use what it makes.
        listeners: where it listens on TCP.
        units: patterns of the units that may hold the ports of its listeners: those that run it. Empty if its own
            checks look for other programs on its ports.
        memory: the parts of a host's memory that it may take.
        connections: the connections to PostgreSQL that it may open, or their number on each of its hosts.
        paths: paths on its hosts whose existence the checks ask for.
        checks: what its hosts must be, and what their variables may say.
        restart_effect: what users notice while it restarts, a sentence; None if the plan never restarts it.
        column: the column of the diagram in which it is drawn: ``proxy`` for what takes the requests of clients, else
            ``services``; None if it is not drawn.
        serves: what the processes get from it: the label of the lines that lead there in the diagram.
    """

    name: str
    title: str
    groups: tuple[str, ...]
    least: int = 0
    most: int | None = None
    workers_need_it: str | None = None
    of_processes: bool = False
    verbs: tuple[Verb, ...]
    stage: Stage = "servers"
    tags: tuple[str, ...]
    secrets_for: tuple[str, ...] = ()
    listeners: tuple[Listener, ...] = ()
    units: tuple[str, ...] = ()
    memory: MemoryParts | None = None
    connections: ConnectionParts | int = 0
    paths: HostPaths | None = None
    checks: tuple[HostCheck, ...] = ()
    restart_effect: str | None = None
    column: Literal["proxy", "services"] | None = None
    serves: str | None = None
