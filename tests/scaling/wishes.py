# SPDX-License-Identifier: GPL-3.0-or-later
"""Random inventories, one legal change after the other."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.duties import DUTIES
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.releases import NEWEST

from benchmarks.load.fleet import LET_IN

Place = tuple[str, str]
"""A host and a pool on it."""

POOLS: dict[str, tuple[str, ...]] = {
    "reader": ("client_reader", "federation_reader", "federation_inbound", "room", "login"),
    "sync": ("sync", "initial_sync", "sliding_sync"),
    "events": ("events",),
    "pusher": ("pusher",),
    "federation_sender": ("federation_sender",),
    "media": ("media",),
    "media2": ("media",),
}
"""Pools whose number of workers changes, with their duties."""

WRITERS = ("writer", "writer2")
"""Pools of one worker, which exist while they have duties."""

# Persisters are pools of their own, and only media workers write the other one.
STREAMS = tuple(
    name
    for name, duty in DUTIES.items()
    if duty.stream is not None and name not in ("events", "quarantined_media_changes")
)
JOBS = ("background_tasks", "user_directory", "appservices")
SHARED = ("receipts", "device_lists", "thread_subscriptions")
"""Streams that two pools may share."""

_GROUPS = {
    "pusher": "background_workers",
    "federation_sender": "background_workers",
    "background": "background_workers",
}
_GROUPS |= {"media": "media_workers", "media2": "media_workers"}
_MOST = {"reader": 2, "sync": 3, "events": 2, "pusher": 2, "federation_sender": 2, "media": 2, "media2": 1}


@dataclass
class Wishes:
    """An inventory.

    Attributes:
        hosts: the hosts with workers; the first one has everything else, too.
        counts: workers of each pool of ``POOLS``.
        holders: the pools that have each stream and each job; none for main.
        factors: ``cache_factor`` of pools.
        options: of homeserver.yaml.
        variables: of the roles.
        monolith: whether there are no workers at all, whatever the pools say.
    """

    hosts: tuple[str, ...]
    counts: dict[Place, int] = field(default_factory=dict)
    holders: dict[str, tuple[Place, ...]] = field(default_factory=dict)
    factors: dict[Place, float] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    variables: dict[str, Any] = field(default_factory=dict)
    monolith: bool = False

    def of_host(self, host: str) -> dict[str, Any]:
        """Returns the variables of a host."""
        found: dict[str, Any] = {
            "generic_workers": {},
            "media_workers": {},
            "background_workers": {},
            "synapse_extra_config": {**LET_IN, **self.options},
            **self.variables,
        }
        for pool, settings in ({} if self.monolith else self._pools(host)).items():
            found[_GROUPS.get(pool, "generic_workers")][pool] = settings
        return found

    def _pools(self, host: str) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for (where, pool), count in self.counts.items():
            if where == host and count:
                found[pool] = {"count": count, "duties": list(POOLS[pool])}
        for duty, places in self.holders.items():
            for where, pool in places:
                if where == host:
                    found.setdefault(pool, {"count": 1, "duties": []})["duties"].append(duty)
        for (where, pool), factor in self.factors.items():
            if where == host and pool in found:
                found[pool]["cache_factor"] = factor
        return found


def first_wishes(hosts: Sequence[str], release: str | None = None) -> Wishes:
    """Returns the pools of inventories/single_host, and readers on the other hosts.

    Args:
        hosts: the hosts with workers, the first one with everything else.
        release: the release of Synapse, None for the newest, to which a walk may upgrade.
    """
    first = hosts[0]
    counts = {(first, pool): 1 for pool in ("reader", "pusher", "federation_sender", "media")} | {(first, "sync"): 2}
    counts |= {(host, pool): 1 for host in hosts[1:] for pool in ("reader", "sync")}
    holders: dict[str, tuple[Place, ...]] = dict.fromkeys(STREAMS, ((first, "writer"),))
    holders |= dict.fromkeys(JOBS, ((first, "background"),))
    return Wishes(tuple(hosts), counts, holders, variables={} if release is None else {"synapse_version": release})


def grown(wishes: Wishes) -> tuple[Wishes, str]:
    """Returns a change that costs nothing: more workers of two kinds, one of each host, and a setting of a pool."""
    found = deepcopy(wishes)
    for host in found.hosts:
        found.counts[host, "reader"] = 2
        found.counts[host, "sync"] = 3
    found.counts[found.hosts[0], "media"] = 2
    return found, "more readers, syncs and media workers"


def changed(wishes: Wishes, choice: random.Random) -> tuple[Wishes, str]:
    """Returns another inventory and what has changed, in words."""
    found = deepcopy(wishes)
    if found.monolith:
        found.monolith = False
        return found, "from a monolith to workers"
    kinds, weights = zip(*(kind for kind in _KINDS if kind[0] is not _upgrade or _is_old(found)), strict=True)
    return found, choice.choices(kinds, weights)[0](found, choice)


def _is_old(wishes: Wishes) -> bool:
    return bool(wishes.variables.get("synapse_version", str(NEWEST)) != str(NEWEST))


def _upgrade(wishes: Wishes, choice: random.Random) -> str:  # noqa: ARG001  a change like the others
    wishes.variables["synapse_version"] = str(NEWEST)
    return f"upgrade to {NEWEST}"


def _count(wishes: Wishes, choice: random.Random) -> str:
    host, pool = choice.choice(wishes.hosts), choice.choice(sorted(POOLS))
    if pool.startswith("media"):
        host = wishes.hosts[0]
    before = wishes.counts.get((host, pool), 0)
    after = choice.choice([count for count in range(_MOST[pool] + 1) if count != before])
    wishes.counts[host, pool] = after
    if not any(wishes.counts.get((wishes.hosts[0], name)) for name in ("media", "media2")):
        wishes.counts[wishes.hosts[0], "media2" if pool == "media" else "media"] = 1
    return f"{before} to {after} {pool} on {host}"


def _move(wishes: Wishes, choice: random.Random) -> str:
    duty = choice.choice([*STREAMS, *JOBS])
    pools = WRITERS if duty in STREAMS else ("background", "writer2")
    places: list[tuple[Place, ...]] = [(), *(((host, pool),) for host in wishes.hosts for pool in pools)]
    if duty in SHARED:
        places.append(tuple((wishes.hosts[0], pool) for pool in WRITERS))
    wishes.holders[duty] = choice.choice([place for place in places if place != wishes.holders[duty]])
    return f"{duty} to {wishes.holders[duty] or 'main'}"


def _factor(wishes: Wishes, choice: random.Random) -> str:
    pools = sorted({*(place for place, count in wishes.counts.items() if count), *sum(wishes.holders.values(), ())})
    chosen = choice.sample(pools, min(len(pools), choice.choice((1, 2)))) if pools else []
    for place in chosen:
        wishes.factors[place] = round(wishes.factors.get(place, 0.5) + 0.1, 1)
    return f"cache_factor of {chosen}"


def _option(wishes: Wishes, choice: random.Random) -> str:
    name = choice.choice(("max_avatar_size", "caches"))
    number = choice.randrange(1, 1000)
    wishes.options[name] = f"{number}M" if name == "max_avatar_size" else {"sync_response_cache_duration": f"{number}s"}
    return f"option {name}"


def _variable(wishes: Wishes, choice: random.Random) -> str:
    name, values = choice.choice(
        (("nginx_error_log_level", ("warn", "error", "notice")), ("synapse_log_level", ("INFO", "WARNING")))
    )
    wishes.variables[name] = choice.choice(values)
    return f"variable {name}"


def _transport(wishes: Wishes, choice: random.Random) -> str:
    if len(wishes.hosts) > 1:
        return _factor(wishes, choice)
    wishes.variables["synapse_transport"] = "unix" if wishes.variables.get("synapse_transport") == "tcp" else "tcp"
    return f"transport {wishes.variables['synapse_transport']}"


def _monolith(wishes: Wishes, choice: random.Random) -> str:  # noqa: ARG001  a change like the others
    wishes.monolith = True
    return "from workers to a monolith"


_KINDS: tuple[tuple[Callable[[Wishes, random.Random], str], int], ...] = (
    (_count, 40),
    (_move, 25),
    (_factor, 12),
    (_option, 10),
    (_variable, 5),
    (_transport, 5),
    (_monolith, 3),
    (_upgrade, 10),
)
"""The kinds of changes, and how often each is chosen."""
