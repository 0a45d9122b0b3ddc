# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet that carries out plans in memory: processes with their old or new configuration, and what nginx sends them.

What nginx does is read from its rendered configuration: upstreams, fallbacks, and the servers that it leaves out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.lifecycle.dependencies import (
    NESTED_OPTIONS,
    fingerprint_inputs,
    option_key,
    sharded_duties,
)
from ansible_collections.baremetal.synapse.plugins.plugin_utils.lifecycle.observed import Observed
from ansible_collections.baremetal.synapse.plugins.plugin_utils.lifecycle.replication import facts_of
from ansible_collections.baremetal.synapse.plugins.plugin_utils.lifecycle.steps import Plan, Step, Wave
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model import layout
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.duties import DUTIES
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.process import Process
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.releases import Release
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.topology import Topology
from ansible_collections.baremetal.synapse.plugins.plugin_utils.routing.decisions import (
    MAIN_UPSTREAM,
    fallback_duty,
    serving_duty,
    upstream_of,
)
from ansible_collections.baremetal.synapse.plugins.plugin_utils.routing.maps import proxy_maps
from ansible_collections.baremetal.synapse.plugins.plugin_utils.routing.proxy import proxy_upstreams
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.config import (
    main_config,
    shared_config,
    worker_config,
)
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.units import unit_of

Place = tuple[str, str]

SENDER_DUTIES = ("room", "client_reader", "federation_reader", "federation_inbound", "login")
"""Duties with requests that make events."""

SYNC_DUTIES = ("sync", "initial_sync", "sliding_sync")
"""Duties with requests for news."""

JOBS = ("appservices", "background_tasks", "media_background", "pusher", "federation_sender")
"""Duties without requests."""

_SENTENCES = {
    "Everything is unavailable for some seconds.": ("everything",),
    "What only the main process serves is unavailable for some seconds.": ("main",),
    "Sending waits for some seconds; acknowledged messages are kept.": ("events",),
    "Other servers get messages some seconds later.": ("federation_sender",),
    "Push notifications come some seconds later.": ("pusher",),
    "Sending may be answered with an error for some seconds although the message is kept: workers of the old release do"
    " not understand the new one.": ("unanswered",),
    "Syncs show nothing new for some seconds: workers of the old release do not understand the new one.": ("stale",),
    "Users notice nothing: other processes answer while one restarts.": (),
}


def named_by(effects: Iterable[str]) -> set[str]:
    """Returns the duties that a plan's effects name; also ``everything``, and ``main`` for what only main serves."""
    found: set[str] = set()
    for effect in effects:
        if effect in _SENTENCES:
            found.update(_SENTENCES[effect])
            continue
        if effect.startswith("Synapse "):
            found.add("downgrade")
            continue
        before, _, after = effect.partition(": ")
        names = (
            after.removesuffix(".")
            if before.startswith("Work in")
            else before.removeprefix("Requests for ").partition(" fail")[0]
        )
        assert set(names.split(", ")) <= set(DUTIES), effect
        found.update(names.split(", "))
    return found


class Nginx:
    """The rendered configuration of a fleet's nginx."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self.upstreams = {entry["name"]: entry for entry in proxy_upstreams(topology)}
        fallbacks = next(entry for entry in proxy_maps(topology) if entry["variable"] == "$synapse_fallback")
        self.fallbacks = {entry["key"]: entry["value"] for entry in fallbacks["entries"]}

    def duties(self) -> set[str]:
        """Returns the duties that have an upstream."""
        return {duty for duty in DUTIES if upstream_of(duty) in self.upstreams}

    def servers(self, duty: str, held: Iterable[str]) -> Iterator[tuple[str, str | None]]:
        """Returns the processes that are tried for a duty, in order, with the duty for which each is listed."""
        name = upstream_of(duty)
        if name not in self.upstreams:
            yield "main", None
            return
        yield from self._listed(name, serving_duty(self.topology, duty), held)
        fallback = self.fallbacks.get(name, "")
        if fallback == MAIN_UPSTREAM:
            yield "main", None
        elif fallback:
            yield from self._listed(fallback, fallback_duty(self.topology, duty), held)

    def _listed(self, name: str, duty: str | None, held: Iterable[str]) -> Iterator[tuple[str, str | None]]:
        upstream = self.upstreams[name]
        for server in upstream["servers"]:
            if upstream["alone"] or server["process"] not in held:
                yield server["process"], None if server["process"] == "main" else duty


@lru_cache(maxsize=64)
def _options(topology: Topology) -> Mapping[str, str]:
    """Returns the options of homeserver.yaml as the fingerprint of a process names them."""
    found = {}
    for name, value in shared_config(topology).items():
        if name in NESTED_OPTIONS:
            found[name] = ""
            found.update({f"{name}.{key}": json.dumps(entry) for key, entry in value.items()})
        else:
            found[name] = json.dumps(value, default=str)
    return found


@lru_cache(maxsize=64)
def _wanted_inputs(topology: Topology) -> dict[str, dict[str, Any]]:
    return {
        name: entry
        for host in topology.addresses
        for name, entry in fingerprint_inputs(topology, host)["instances"].items()
    }


def _inputs(topology: Topology, process: Process) -> dict[str, str]:
    own = main_config(topology) if process.is_main else worker_config(topology, process)
    path = layout.MAIN_CONFIG if process.is_main else f"{layout.WORKERS_DIR}/{process.name}.yaml"
    ignored = _wanted_inputs(topology)[process.name]["ignored"]
    options = {
        option_key(key): value for key, value in _options(topology).items() if key.partition(".")[0] not in ignored
    }
    return {path: json.dumps(own, default=str), layout.CURRENT: str(topology.release), **options}


def changed_inputs(before: Topology, after: Topology, old: Process, new: Process) -> tuple[str, ...]:
    """Returns the inputs of a process that differ between two inventories."""
    then, now = _inputs(before, old), _inputs(after, new)
    return tuple(sorted(key for key in {*then, *now} if then.get(key) != now.get(key)))


class BrokenRuleError(AssertionError):
    """What must never be was."""


class SimulatedFleet:
    """A fleet between two inventories.

    Attributes:
        up: the processes that are up, True for those that run as the second inventory wants.
        away: what no process served at some moment, by duty; also ``main`` and ``everything``.
        new_routes: whether nginx has the configuration of the second inventory.
        held: the processes that nginx leaves out.
    """

    def __init__(self, before: Topology, after: Topology) -> None:
        self.before, self.after = before, after
        self.nginx = {False: Nginx(before), True: Nginx(after)}
        self.same_routes = all(view(before) == view(after) for view in (proxy_maps, proxy_upstreams))
        self.old = {(process.host, process.name): process for process in before.processes}
        self.new = {(process.host, process.name): process for process in after.processes}
        self.changed = {
            place: changed_inputs(before, after, process, self.new[place])
            for place, process in self.old.items()
            if place in self.new
        }
        self.up = {place: place in self.new and not self._restarts(place) for place in self.old}
        self.enabled = set(self.old)
        self.noted = {place: process.duties for place, process in self.old.items()}
        self.new_routes = self.same_routes
        self.held: frozenset[str] = frozenset()
        self.away: set[str] = set()
        self.log: list[str] = []
        self.main_alone = False
        self.stays = self._staying()
        if self.before.release > self.after.release:
            self.away.add("downgrade")

    @property
    def noticed(self) -> set[str]:
        """What the effects have to name: if everything was away, nothing else is named but a downgrade."""
        return self.away & {"everything", "downgrade"} if "everything" in self.away else self.away

    def _release(self, place: Place) -> Release:
        return (self.after if self.up[place] else self.before).release

    def __repr__(self) -> str:
        def workers(topology: Topology) -> str:
            return "; ".join(f"{worker.name} {','.join(worker.duties)}" for worker in topology.workers)

        return f"<{workers(self.before)}  ->  {workers(self.after)}>"

    def _restarts(self, place: Place) -> bool:
        reloaded = _wanted_inputs(self.after)[place[1]]["reloaded"]
        return any(change not in reloaded for change in self.changed[place])

    def observed(self) -> list[Observed]:
        """Returns what a survey of the hosts sees now."""
        found = []
        for place in dict.fromkeys((*self.old, *self.new)):
            host, name = place
            process = self.new[place] if self.up.get(place) or place not in self.old else self.old[place]
            if place not in self.up and place not in self.new and place not in self.enabled:
                continue
            changed = self.changed.get(place, ()) if self.up.get(place) is False else ()
            reloaded = _wanted_inputs(self.after)[name]["reloaded"] if place in self.new else ()
            found.append(
                Observed(
                    name=name,
                    host=host,
                    unit=unit_of(process),
                    active="active" if place in self.up else "inactive",
                    enabled=place in self.enabled,
                    known=place in self.up,
                    duties=self.noted[place] if place in self.up else (),
                    changed=changed,
                    reloadable=tuple(change for change in changed if change in reloaded),
                    release=self._release(place) if place in self.up else None,
                )
            )
        return found

    def crash(self, number: int) -> None:
        """Lets one process end by itself; none, if there are not so many."""
        for place in sorted(self.up)[number : number + 1]:
            self.log.append(f"{place} crashes")
            del self.up[place]
            # nginx may still leave out those that the run before it was cut off was about to restart.
            self.stays = {duty: members for duty, members in self.stays.items() if place not in members}

    @property
    def proxies(self) -> bool:
        """Whether nginx has another configuration than the one that it is to have."""
        return not self.new_routes or bool(self.held)

    def carry_out(self, plan: Plan, waves: int | None = None) -> None:
        """Carries out a plan, or its first waves, and watches."""
        for wave in plan.waves[:waves]:
            self._wave(wave)

    def finish(self) -> None:
        """Expects that the fleet is what the second inventory wants."""
        if set(self.up) != set(self.new) or not all(self.up.values()):
            raise BrokenRuleError(f"left at the end: {self.up}")
        if self.proxies:
            raise BrokenRuleError(f"nginx at the end: new routes {self.new_routes}, held {self.held}")

    def _wave(self, wave: Wave) -> None:
        if wave.proxy is not None:
            self.new_routes = self.new_routes or wave.proxy == "apply"
            self.held = frozenset(wave.held)
            self.log.append(f"{wave.proxy} {wave.held}")
            self._watch("nginx")
        self._watch_fast_hosts(wave.steps)
        self._take_down(wave.steps)
        self._watch("down")
        self._bring_up(wave.steps)
        self._watch("up")

    def _watch_fast_hosts(self, steps: Sequence[Step]) -> None:
        """Watches the lists if one host is through with a wave before the others begin: only waves are waited for."""
        hosts = {step.host for step in steps}
        for host in hosts if len(hosts) > 1 else ():
            kept = dict(self.up)
            for step in steps:
                if step.host == host and step.action in ("stop", "retire"):
                    self.up.pop((step.host, step.name), None)
                elif step.host == host and step.action in ("start", "restart"):
                    self.up[step.host, step.name] = True
            self._watch_lists()
            self._watch_senders()
            self.up = kept

    def _take_down(self, steps: Iterable[Step]) -> None:
        for step in steps:
            place = step.host, step.name
            self.log.append(f"{step.action} {step.name}{' drained' if step.drain else ''}")
            if step.action in ("stop", "retire", "restart"):
                if place not in self.up and step.action != "retire":
                    raise BrokenRuleError(f"{step.name} is not up")
                self.up.pop(place, None)
            if step.action in ("stop", "retire"):
                self.stays = {duty: members - {place} for duty, members in self.stays.items()}
            if step.action == "retire":
                self.enabled.discard(place)

    def _bring_up(self, steps: Iterable[Step]) -> None:
        for step in steps:
            place = step.host, step.name
            if step.action in ("start", "restart"):
                if place in self.up:
                    raise BrokenRuleError(f"{step.name} is up already")
                self.up[place] = True
                self.noted[place] = self.new[place].duties
                self.enabled.add(place)
            if step.action == "reload":
                self.up[place] = True

    def _watch(self, moment: str) -> None:
        self.log.append(f"  {moment}: up {sorted((name, new) for (_, name), new in self.up.items())}")
        self._watch_lists()
        self._watch_senders()
        self._watch_pools()
        self._watch_requests()
        self._watch_work()
        self._watch_news()

    # Lists of writers, senders and pushers

    def holders(self, duty: str, new: bool) -> set[Place]:
        """Returns the processes that have a duty by one of the inventories."""
        topology = self.after if new else self.before
        workers = {(worker.host, worker.name) for worker in topology.with_duty(duty)}
        return workers or {(topology.main.host, topology.main.name)}

    def lists_differ(self, duty: str) -> bool:
        """Tells whether a duty changes hands."""
        then, now = ([worker.name for worker in topology.with_duty(duty)] for topology in (self.before, self.after))
        return then != now

    def _watch_lists(self) -> None:
        some_new = [place for place, new in self.up.items() if new and self.changed.get(place, ("new",))]
        for duty in DUTIES:
            # Single sign-on is where nginx sends it; Synapse has no option for it.
            if not self.lists_differ(duty) or duty == "sso":
                continue
            then, now = self.holders(duty, new=False), self.holders(duty, new=True)
            old = {place for place in then if self.up.get(place) is False}
            new = {place for place in now if self.up.get(place)}
            if (duty in sharded_duties() or DUTIES[duty].single) and old and new:
                raise BrokenRuleError(f"{duty}: {new} beside {old}")
            left_off = old - now
            if DUTIES[duty].stream is not None and left_off and some_new:
                raise BrokenRuleError(f"{duty}: {some_new} wait for {left_off}, which they do not know")

    def _watch_senders(self) -> None:
        if not self.lists_differ("events"):
            return
        for duty in SENDER_DUTIES:
            for place in self.serving(duty):
                new = self.up[place]
                for target in self.holders("events", new=new):
                    if target in self.up and self.up[target] is not new:
                        raise BrokenRuleError(f"{place} serves {duty} and sends to {target}, which has another list")

    # Requests

    def serving(self, duty: str) -> list[Place]:
        """Returns the processes that answer the requests of a duty now."""
        found: list[Place] = []
        for name, needed in self.nginx[self.new_routes].servers(duty, self.held):
            place = next((place for place in self.up if place[1] == name), None)
            if name == "main" and found:
                break
            if place is not None and self._answers(place, needed, duty):
                found.append(place)
        return found

    def _answers(self, place: Place, needed: str | None, duty: str) -> bool:
        new = self.up[place]
        if needed is not None:
            # What needs no restart for its duties has the old ones until it restarts.
            return (new and needed in self.new[place].duties) or needed in self.noted[place]
        return not DUTIES[duty].exclusive or not (self.after if new else self.before).with_duty(duty)

    def _watch_requests(self) -> None:
        main = any(name == "main" for _, name in self.up)
        if not main:
            self.away.add("main")
        if not self.up and (self.before.workers):
            self.away.add("everything")
        for duty in self.nginx[False].duties() | self.nginx[True].duties():
            upstreams = self.nginx[self.new_routes].upstreams
            only_main = upstream_of(duty) not in upstreams and not main
            if not only_main and not self.serving(duty):
                self.away.add(duty)

    def _staying(self) -> dict[str, set[Place]]:
        """Returns for each duty with requests the workers that have it before and after."""
        found = {}
        for duty in self.nginx[False].duties() & self.nginx[True].duties():
            members = {(worker.host, worker.name) for worker in self.before.with_duty(duty)} & {
                (worker.host, worker.name) for worker in self.after.with_duty(duty)
            }
            if len(members) > 1:
                found[duty] = members
        return found

    def _watch_pools(self) -> None:
        if any(self.up[place] is False and self._is_deaf(place) for place in self.up) or self.main_alone:
            # Workers that get no news restart together, and main serves.
            self.main_alone = True
            return
        # While persisters change, main may stand in for all that send by the old list.
        held = set() if self.lists_differ("events") else self.held
        for duty, members in self.stays.items():
            if len(members) > 1 and not any(place in self.up and place[1] not in held for place in members):
                raise BrokenRuleError(f"{duty}: all of {members} are away together")

    # Releases

    def _watch_news(self) -> None:
        if self.before.release == self.after.release:
            return
        for kind, duties in (("unanswered", SENDER_DUTIES), ("stale", SYNC_DUTIES)):
            for place in {place for duty in duties for place in self.serving(duty)}:
                if self._is_deaf(place):
                    if self.up[place]:
                        raise BrokenRuleError(f"{place} of the new release gets no news")
                    self.away.add(kind)

    def _is_deaf(self, place: Place) -> bool:
        """Tells whether a process is told the position of a stream that its release does not know."""
        known = facts_of(self._release(place)).streams
        return any(
            stream not in known and other in self._announcers(writer, self.up[other])
            for other in self.up
            if other != place
            for stream, writer in facts_of(self._release(other)).streams.items()
        )

    def _announcers(self, writer: str, new: bool) -> set[Place]:
        topology = self.after if new else self.before
        duty = next((duty.name for duty in DUTIES.values() if duty.stream == writer), None)
        return {(topology.main.host, "main")} if duty is None else self.holders(duty, new)

    # Work without requests

    def _watch_work(self) -> None:
        for new in {self.up[place] for place in self.serving("room")}:
            same = not self.lists_differ("events")
            for target in self.holders("events", new=new or same):
                if target not in self.up or (self.up[target] is not new and not same):
                    self.away.add("events")
        for duty in JOBS:
            then, now = self.holders(duty, new=False), self.holders(duty, new=True)
            if {name for _, name in then | now} == {"main"}:
                continue
            if not self.lists_differ(duty):
                done = all(place in self.up for place in now)
            else:
                done = any(
                    all(self.up.get(place) is new for place in places) for places, new in ((then, False), (now, True))
                )
            if not done:
                self.away.add(duty)
