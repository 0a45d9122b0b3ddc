# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of services: one row for each part of a fleet that runs on hosts.

Firewall, budgets, checks of ports and groups, diagram, metrics, the plan and the playbooks walk these rows; none of
them names a service. A new service is a row here and a role of the same name with a task file for each of its verbs.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from . import layout
from .duties import BACKGROUND, GENERIC, MEDIA

POSTGRES_GROUP = "postgres"
REDIS_GROUP = "redis"
MAIN_GROUP = "synapse_main"
NGINX_GROUP = "nginx"
SYNAPSE_GROUPS = (MAIN_GROUP, GENERIC, MEDIA, BACKGROUND)

Verb = Literal["secrets", "install", "files", "activate", "remove", "verify"]
"""What a playbook asks the role of a service to do on a host:

``secrets`` makes the secrets that do not exist yet, ``install`` brings packages and releases, ``files`` writes
configuration, ``activate`` puts it in force, as far as the plan does not, ``verify`` checks the result after the plan
was carried out, ``remove`` takes away what the service left on a host that does not run it any more.
"""

Stage = Literal["network", "servers", "watch"]
"""When ``activate`` visits a service: ``network`` first, before anything listens; ``servers`` before the plan is
carried out; ``watch`` after it. Services of one stage do not depend on each other."""


@dataclass(frozen=True, kw_only=True)
class Listener:
    """A TCP listener of a service, on the address of its host.

    Attributes:
        name: a word for it, unique in the fleet.
        about: what it is, for the comments of the firewall.
        port: its first port, or the name of the input that has it.
        count: how many ports it takes, one after the other.
        clients: the names of the services whose hosts may reach it.
        networks: the input with further networks that may reach it.
        public: it is open to everybody: the firewall leaves it alone.
    """

    name: str
    about: str
    port: int | str
    count: int = 1
    clients: tuple[str, ...] = ()
    networks: str | None = None
    public: bool = False


@dataclass(frozen=True, kw_only=True)
class Service:
    """One service.

    Attributes:
        name: the name of the service, of its role, and the first part of the names of its variables.
        title: what people call it.
        groups: the inventory groups whose hosts run it; empty for a service of every host of the fleet.
        least: the number of hosts that it needs at least.
        most: the number of hosts that it runs on at most; None for any number.
        verbs: the task files of its role.
        stage: when ``activate`` visits it.
        tags: the tags of ``site.yml`` that select it.
        listeners: where it listens on TCP.
        restart_effect: what users notice while it restarts, a sentence; None if the plan never restarts it.
        column: the column of the diagram in which it is drawn; None if it is not drawn.
    """

    name: str
    title: str
    groups: tuple[str, ...]
    least: int = 0
    most: int | None = None
    verbs: tuple[Verb, ...]
    stage: Stage = "servers"
    tags: tuple[str, ...]
    listeners: tuple[Listener, ...] = ()
    restart_effect: str | None = None
    column: Literal["proxy", "services"] | None = None


_BAND = layout.SLOTS * layout.SLOT_SIZE

SERVICES: tuple[Service, ...] = (
    Service(
        name="firewall",
        title="firewall",
        groups=(),
        verbs=("install", "files", "activate"),
        stage="network",
        # What a part of the fleet needs follows from the whole, so a run of each part closes its hosts.
        tags=("firewall", "postgres", "redis", "synapse", "nginx"),
    ),
    Service(
        name="postgres",
        title="PostgreSQL",
        groups=(POSTGRES_GROUP,),
        least=1,
        most=1,
        verbs=("install", "files", "activate", "verify"),
        tags=("postgres",),
        listeners=(
            Listener(name="postgresql", about="PostgreSQL, for Synapse", port="postgres_port", clients=("synapse",)),
        ),
        restart_effect="While PostgreSQL restarts, all that needs the database fails or waits for some seconds.",
        column="services",
    ),
    Service(
        name="redis",
        title="Redis",
        groups=(REDIS_GROUP,),
        most=1,
        verbs=("install", "files", "activate", "verify"),
        tags=("redis",),
        listeners=(Listener(name="redis", about="Redis, for Synapse", port="redis_port", clients=("synapse",)),),
        restart_effect="While Redis restarts, news between processes wait for some seconds.",
        column="services",
    ),
    Service(
        name="synapse",
        title="Synapse",
        groups=SYNAPSE_GROUPS,
        least=1,
        verbs=("secrets", "install", "files", "remove"),
        tags=("synapse",),
        listeners=(
            Listener(
                name="http",
                about="HTTP of Synapse's processes, for nginx",
                port=layout.HTTP_BASE,
                count=_BAND,
                clients=("nginx",),
            ),
            Listener(
                name="replication",
                about="what they ask each other",
                port=layout.REPLICATION_BASE,
                count=_BAND,
                clients=("synapse",),
            ),
            Listener(
                name="metrics",
                about="their metrics, for synapse_metrics_allowed",
                port=layout.METRICS_BASE,
                count=_BAND,
                networks="synapse_metrics_allowed",
            ),
        ),
    ),
    Service(
        name="synapse_main",
        title="main process",
        groups=(MAIN_GROUP,),
        least=1,
        most=1,
        verbs=("files",),
        tags=("synapse",),
    ),
    Service(
        name="generic_workers",
        title="generic workers",
        groups=(GENERIC,),
        verbs=("files",),
        tags=("synapse",),
    ),
    Service(name="media_workers", title="media workers", groups=(MEDIA,), verbs=("files",), tags=("synapse",)),
    Service(
        name="background_workers",
        title="background workers",
        groups=(BACKGROUND,),
        verbs=("files",),
        tags=("synapse",),
    ),
    Service(
        name="nginx",
        title="nginx",
        groups=(NGINX_GROUP,),
        least=1,
        verbs=("install", "files", "activate"),
        tags=("nginx",),
        listeners=(
            Listener(name="http_public", about="redirects and ACME challenges", port=80, public=True),
            Listener(name="https_public", about="clients", port=443, public=True),
            Listener(name="federation_public", about="other servers", port=8448, public=True),
        ),
        column="proxy",
    ),
    Service(
        name="watchdog",
        title="watchdog",
        groups=SYNAPSE_GROUPS,
        verbs=("files", "activate"),
        stage="watch",
        tags=("synapse",),
    ),
)

GROUPS = tuple(dict.fromkeys(group for service in SERVICES for group in service.groups))
"""The inventory groups that the fleet is made of."""


def visited(
    verb: Verb,
    *,
    stage: Stage | None = None,
    run_tags: Collection[str] = ("all",),
    skip_tags: Collection[str] = (),
) -> tuple[Service, ...]:
    """Returns the services that a verb visits, in the order of the table.

    Args:
        verb: the verb.
        stage: only services of this stage; None for all.
        run_tags: the tags that the run is limited to; ``all`` selects every service.
        skip_tags: the tags that the run leaves out.
    """
    return tuple(
        service
        for service in SERVICES
        if verb in service.verbs
        and stage in (None, service.stage)
        and ("all" in run_tags or set(service.tags) & set(run_tags))
        and not set(service.tags) <= set(skip_tags)
    )
