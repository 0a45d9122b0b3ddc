# SPDX-License-Identifier: GPL-3.0-or-later
"""Where each request of a fleet goes: the routes of its release, our rules, and the pools that it has.

The result is a small table for each family of paths (``client/rooms``, ``federation``, ``admin/users`` …): the first
words of a path name its family, then the few patterns of that table are tried on the method and the raw path.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from ansible_collections.baremetal.synapse.plugins.module_utils.routes.families import family_of
from ansible_collections.baremetal.synapse.plugins.module_utils.routes.path_template import regex_of, sample

from ..model.duties import DUTIES
from ..model.topology import Topology
from .registry import Route, registry
from .rules import RULES, duty_of, rule_of, shape, table_name

MAIN_UPSTREAM = "synapse_main"
"""The upstream of the main process."""

_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS")
_SPLIT = re.compile(r"/(?![^{]*\})")


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What becomes of the requests of one route.

    Attributes:
        route: the route.
        duty: the duty it is for; None for the main process.
        upstream: the upstream that gets it.
        initial: the upstream of those requests that begin a sync; None if it is the same.
        rank: the place of its rule: what is asked for most comes first.
    """

    route: Route
    duty: str | None
    upstream: str
    initial: str | None = None
    rank: int = len(RULES)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One pattern of a table.

    Attributes:
        methods: the methods it is for, with HEAD and OPTIONS.
        regex: for the whole raw path.
        upstream: where the requests go.
        initial: where those go that begin a sync.
    """

    methods: tuple[str, ...]
    regex: str
    upstream: str
    initial: str | None


@dataclass(frozen=True, kw_only=True)
class Table:
    """The patterns of one family of paths.

    Attributes:
        family: the first words of its paths, as ``rules.table_name`` gives them.
        entries: the patterns, in the order in which nginx tries them.
        default: where everything else of the family goes.
    """

    family: str
    entries: tuple[Entry, ...]
    default: str


def upstream_of(duty: str | None) -> str:
    """Returns the name of the upstream of a duty, of main for None."""
    return MAIN_UPSTREAM if duty is None else f"synapse_{duty}"


def serving_duty(topology: Topology, duty: str | None, *, writer_only: bool = False) -> str | None:
    """Returns the duty whose workers serve the requests of another one; None for the main process.

    Args:
        topology: the fleet.
        duty: what the requests are for.
        writer_only: only the writer of the stream can answer: it has no fallback.
    """
    if duty is None:
        return None
    candidates = (duty,) if writer_only else (duty, *DUTIES[duty].fallback)
    return next((name for name in candidates if topology.with_duty(name)), None)


def uses_mas(topology: Topology) -> bool:
    """Returns whether the operator's configuration leaves logins to Matrix Authentication Service."""
    config = topology.options["synapse_extra_config"]
    features = config.get("experimental_features") or {}
    return any(
        isinstance(option, Mapping) and option.get("enabled") is True
        for option in (config.get("matrix_authentication_service"), features.get("msc3861"))
    )


@lru_cache(maxsize=32)
def decisions(topology: Topology) -> tuple[Decision, ...]:
    """Returns what becomes of each method of each route of the fleet's release."""
    mas = uses_mas(topology)
    found: dict[tuple[str, str], list[Route]] = {}
    for route in registry().of(topology.release):
        if route.is_there(mas=mas):
            for method in route.methods:
                found.setdefault((method, route.path), []).append(replace(route, methods=(method,)))
    return tuple(_decide(topology, _representative(alike)) for alike in found.values())


def _representative(alike: Sequence[Route]) -> Route:
    """Returns the route that decides for all those with its method and path, which differ in the settings they need.

    A worker gets it only if a worker serves it whenever main does.
    """
    on_main_only = [route for route in alike if not route.worker]
    certain = [route for route in alike if route.worker and not route.needs_setting]
    if on_main_only and not certain:
        return on_main_only[0]
    on_workers = [route for route in alike if route.worker]
    return min(on_workers, key=lambda route: (route.writes is None, not route.session), default=alike[0])


def _decide(topology: Topology, route: Route) -> Decision:
    duty = duty_of(route)
    rule = rule_of(route)
    rank = len(RULES) if rule is None else RULES.index(rule)
    if duty is not None and route.writes is not None and DUTIES[duty].stream != route.writes:
        duty = None
    if serving_duty(topology, duty, writer_only=route.writes is not None) is None:
        return Decision(route=route, duty=None, upstream=MAIN_UPSTREAM, rank=rank)
    initial = rule.initial if rule is not None else None
    if initial is not None and not topology.with_duty(initial):
        initial = None
    return Decision(
        route=route,
        duty=duty,
        upstream=upstream_of(duty),
        initial=None if initial is None else upstream_of(initial),
        rank=rank,
    )


@lru_cache(maxsize=32)
def tables(topology: Topology) -> tuple[Table, ...]:
    """Returns the tables of all families of which a worker serves something, by name."""
    families: dict[str, list[Decision]] = {}
    for decision in decisions(topology):
        family = family_of(decision.route.path)
        if family is not None and family.reader is not None:
            families.setdefault(table_name(decision.route.path), []).append(decision)
    found = (_table(name, families[name]) for name in sorted(families))
    return tuple(table for table in found if table.entries or table.default != MAIN_UPSTREAM)


def _table(name: str, of_family: Sequence[Decision]) -> Table:
    default = _default(of_family)
    ranked = sorted(of_family, key=lambda decision: (decision.rank, shape(decision.route.path)))
    entries = _entries([decision for decision in ranked if decision.upstream != default or decision.initial])
    return Table(family=name, entries=(*_exceptions(of_family, entries, default), *entries), default=default)


def _default(of_family: Sequence[Decision]) -> str:
    """Returns where the rest of a family goes: to main, or to most of its workers if the family is one for workers."""
    upstreams = [decision.upstream for decision in of_family if decision.upstream != MAIN_UPSTREAM]
    family = family_of(of_family[0].route.path)
    if family is None or not family.wholesale or not upstreams:
        return MAIN_UPSTREAM
    return max(sorted(set(upstreams)), key=upstreams.count)


def _entries(ranked: Iterable[Decision]) -> list[Entry]:
    """Returns one pattern for all routes that differ in one word only."""
    methods: dict[tuple[str, str | None, str], set[str]] = {}
    for decision in ranked:
        key = decision.upstream, decision.initial, decision.route.path
        methods.setdefault(key, set()).update(decision.route.methods)
    # Any process answers a browser's preflight: it goes with the reads, which have fallbacks.
    read = {path for (_, _, path), of_path in methods.items() if "GET" in of_path}
    groups: dict[tuple[str, str | None, tuple[str, ...]], list[str]] = {}
    for (upstream, initial, path), of_path in methods.items():
        preflight = {"OPTIONS"} if "GET" in of_path or path not in read else set()
        groups.setdefault((upstream, initial, _with_head(of_path | preflight)), []).append(path)
    return [
        Entry(methods=of_group, regex=regex, upstream=upstream, initial=initial)
        for (upstream, initial, of_group), paths in groups.items()
        for regex in _merged(paths)
    ]


def _exceptions(of_family: Sequence[Decision], entries: Sequence[Entry], default: str) -> list[Entry]:
    """Returns patterns for routes of main that a pattern for workers would take along."""
    if default != MAIN_UPSTREAM:
        return []
    taken = [
        decision
        for decision in of_family
        if decision.upstream == MAIN_UPSTREAM
        and any(
            set(entry.methods) & set(decision.route.methods) and re.fullmatch(entry.regex, sample(decision.route.path))
            for entry in entries
        )
    ]
    elsewhere = {
        (method, decision.route.path)
        for decision in of_family
        if decision.upstream != MAIN_UPSTREAM
        for method in decision.route.methods
    }
    return [
        Entry(methods=_with_head(methods), regex=regex_of(decision.route.path), upstream=MAIN_UPSTREAM, initial=None)
        for decision in taken
        if (methods := {method for method in decision.route.methods if (method, decision.route.path) not in elsewhere})
    ]


def _with_head(methods: Iterable[str]) -> tuple[str, ...]:
    wanted = set(methods)
    return tuple(method for method in _METHODS if method in wanted or (method == "HEAD" and "GET" in wanted))


def _merged(paths: Sequence[str]) -> list[str]:
    """Returns patterns for templates; those that differ in one literal word become one with alternatives."""
    rows: list[list[tuple[str, ...]]] = []
    for path in paths:
        words = [str(word) for word in _SPLIT.split(path)]
        for row in rows:
            differing = [index for index, word in enumerate(words) if len(row) == len(words) and row[index] != (word,)]
            if len(differing) == 1 and not any("{" in word for word in (*row[differing[0]], words[differing[0]])):
                row[differing[0]] += (words[differing[0]],)
                break
        else:
            rows.append([(word,) for word in words])
    return ["/".join(_alternation(words) for words in row) for row in rows]


def _alternation(words: tuple[str, ...]) -> str:
    regexes = [regex_of(word) for word in words]
    return regexes[0] if len(regexes) == 1 else f"(?:{'|'.join(regexes)})"


@lru_cache(maxsize=8)
def requested_duties(topology: Topology) -> frozenset[str]:
    """Returns the duties that some route of the release is for, whether or not a worker has them."""
    found = {duty_of(decision.route) for decision in decisions(topology)}
    found |= {rule.initial for decision in decisions(topology) if (rule := rule_of(decision.route)) is not None}
    return frozenset(duty for duty in found if duty is not None)


def fallback_upstream(topology: Topology, duty: str) -> str | None:
    """Returns the fallback of a duty: the upstream for its requests while all of its workers are unavailable.

    That is another pool and then main, or only main; None if no other process can serve the requests.
    """
    if DUTIES[duty].exclusive:
        return None
    other = fallback_duty(topology, duty)
    return MAIN_UPSTREAM if other is None else f"{upstream_of(other)}_then_main"


def fallback_duty(topology: Topology, duty: str) -> str | None:
    """Returns the duty whose pool is the fallback of another duty's pool; None if no pool is."""
    serving = serving_duty(topology, duty)
    served = {worker.name for worker in topology.with_duty(serving)} if serving is not None else set()
    others = (name for name in DUTIES[duty].fallback if {worker.name for worker in topology.with_duty(name)} - served)
    return next(others, None)


def in_use(topology: Topology) -> list[str]:
    """Returns the duties that have an upstream, in the order of the table of duties."""
    upstreams = {decision.upstream for decision in decisions(topology)}
    upstreams |= {decision.initial for decision in decisions(topology) if decision.initial is not None}
    return [name for name in DUTIES if upstream_of(name) in upstreams]
