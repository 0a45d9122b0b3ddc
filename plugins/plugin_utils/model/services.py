# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of services: one row for each part of a fleet that runs on hosts.

Firewall, budgets, checks of ports and groups, diagram, metrics, the plan and the playbooks walk these rows; none of
them names a service. A new service is a row here and a role of the same name with a task file for each of its verbs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import partial

from ..servers import nginx_edge, postgres_inputs, postgres_tenants, redis
from . import layout, nginx_tls
from .budgets import connections_of_processes, memory_of_postgres, memory_of_processes, memory_of_redis
from .duties import BACKGROUND, GENERIC, MEDIA
from .host_rules import (
    check_media_store,
    check_python,
    check_root_certificate,
    check_synapse_package,
    synapse_paths,
)
from .service import NGINX, POSTGRES, REDIS, Listener, Service, Stage, Verb

MAIN_GROUP = "synapse_main"
SYNAPSE_GROUPS = (MAIN_GROUP, GENERIC, MEDIA, BACKGROUND)

# Root, and the accounts of services, among which is Synapse's own; not those of people (from 1000 on), nor nobody.
_OF_SERVICES = ("0", "100-999")
_OF_NGINX = "33"  # www-data, the same on every Debian

_edge = partial(Listener, public=True, unless=nginx_tls.ends_elsewhere)

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
        name=POSTGRES,
        title="PostgreSQL",
        groups=(POSTGRES,),
        least=1,
        most=1,
        verbs=("install", "gather", "files", "activate", "verify"),
        tags=("postgres",),
        listeners=(
            Listener(name="postgresql", about="PostgreSQL, for Synapse", port="postgres_port", clients=("synapse",)),
        ),
        memory=memory_of_postgres,
        paths=postgres_inputs.paths,
        checks=(postgres_inputs.check, postgres_tenants.check_tenants, postgres_tenants.check_running),
        restart_effect="While PostgreSQL restarts, all that needs the database fails or waits for some seconds.",
        column="services",
        serves="SQL",
    ),
    Service(
        name=REDIS,
        title="Redis",
        groups=(REDIS,),
        most=1,
        workers_need_it="workers talk through Redis",
        verbs=("install", "gather", "files", "activate", "verify"),
        tags=("redis",),
        listeners=(Listener(name="redis", about="Redis, for Synapse", port="redis_port", clients=("synapse",)),),
        memory=memory_of_redis,
        checks=(redis.check,),
        restart_effect="While Redis restarts, news between processes wait for some seconds.",
        column="services",
        serves="replication",
    ),
    Service(
        name="synapse",
        title="Synapse",
        groups=SYNAPSE_GROUPS,
        of_processes=True,
        verbs=("install", "files", "remove"),
        tags=("synapse",),
        listeners=(
            Listener(
                name="http",
                about="HTTP of Synapse's processes, for nginx",
                port=layout.HTTP_BASE,
                count=layout.BAND,
                of_processes=True,
                clients=("nginx",),
                users=(*_OF_SERVICES, _OF_NGINX),
            ),
            Listener(
                name="replication",
                about="what they ask each other",
                port=layout.REPLICATION_BASE,
                count=layout.BAND,
                of_processes=True,
                clients=("synapse",),
                users=_OF_SERVICES,
            ),
            Listener(
                name="metrics",
                about="their metrics, for synapse_metrics_allowed",
                port=layout.METRICS_BASE,
                count=layout.BAND,
                of_processes=True,
                networks="synapse_metrics_allowed",
                metrics="synapse",
            ),
        ),
        units=("matrix-synapse.service", "matrix-synapse-worker@*.service"),
        memory=memory_of_processes,
        connections=connections_of_processes,
        paths=synapse_paths,
        checks=(check_python, check_synapse_package, check_root_certificate, check_media_store),
    ),
    Service(
        name="synapse_main",
        title="main process",
        groups=(MAIN_GROUP,),
        of_processes=True,
        least=1,
        most=1,
        verbs=("secrets", "files"),
        tags=("synapse",),
        secrets_for=("postgres", "redis"),
    ),
    Service(
        name="generic_workers",
        title="generic workers",
        groups=(GENERIC,),
        of_processes=True,
        verbs=("files",),
        tags=("synapse",),
    ),
    Service(
        name="media_workers",
        title="media workers",
        groups=(MEDIA,),
        of_processes=True,
        verbs=("files",),
        tags=("synapse",),
    ),
    Service(
        name="background_workers",
        title="background workers",
        groups=(BACKGROUND,),
        of_processes=True,
        verbs=("files",),
        tags=("synapse",),
    ),
    Service(
        name=NGINX,
        title="nginx",
        groups=(NGINX,),
        least=1,
        verbs=("install", "files", "activate"),
        tags=("nginx",),
        listeners=(
            _edge(name="http_public", about="redirects and ACME challenges", port=layout.HTTP_PORT),
            _edge(name="https_public", about="clients", port=layout.HTTPS_PORT),
            _edge(name="federation_public", about="other servers", port=layout.FEDERATION_PORT),
        ),
        units=("nginx.service",),
        paths=nginx_tls.paths,
        checks=(nginx_tls.check, nginx_edge.check_tenants),
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


def groups_of(services: Iterable[Service]) -> tuple[str, ...]:
    """Returns the inventory groups that services run in, in the order of the table."""
    return tuple(dict.fromkeys(group for service in services for group in service.groups))


def visited(
    verb: Verb,
    *,
    stage: Stage | None = None,
    run_tags: Collection[str] = ("all",),
    skip_tags: Collection[str] = (),
    services: Iterable[Service] = SERVICES,
) -> tuple[Service, ...]:
    """Returns the services that a verb visits, in the order of the table.

    Args:
        verb: the verb.
        stage: only services of this stage; None for all.
        run_tags: the tags that the run is limited to; ``all`` selects every service.
        skip_tags: the tags that the run leaves out.
        services: the table.
    """
    return tuple(
        service
        for service in services
        if verb in service.verbs
        and stage in (None, service.stage)
        and ("all" in run_tags or _tags(service, verb) & set(run_tags))
        and service.name not in skip_tags
        and not _tags(service, verb) <= set(skip_tags)
    )


def _tags(service: Service, verb: Verb) -> set[str]:
    return {*service.tags, *(service.secrets_for if verb == "secrets" else ())}


def tags_problem(run_tags: Collection[str]) -> str:
    """Returns why a run with these tags would deploy nothing; empty if they select a service."""
    known = sorted({tag for service in SERVICES for tag in service.tags})
    if {"all", *known} & set(run_tags):
        return ""
    return (
        f"--tags is {','.join(run_tags)}: none of these tags selects a service, so the run would deploy nothing."
        f" Name one or more of {', '.join(known)}, or run without --tags."
    )


__all__ = (
    "MAIN_GROUP",
    "NGINX",
    "POSTGRES",
    "REDIS",
    "SERVICES",
    "SYNAPSE_GROUPS",
    "groups_of",
    "tags_problem",
    "visited",
)
