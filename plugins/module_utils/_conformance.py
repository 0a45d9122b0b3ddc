# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges an nginx configuration by what the processes behind it serve: every route, method, version and encoding.

Private to the collection. The verdict comes from the registry of the Synapse release (what a main process and a worker
really register), never from our rules: `Fleet.serves` is the judge, and a real nginx (`_replay`) shows where they go.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any, Dict, FrozenSet, Iterable, List, Mapping, Optional, Protocol, Sequence, Set, Tuple

from ._path_template import regex_of, sample, variable_parts
from ._replay import HTTPS, Recorded, Request, directives

MAIN = "main"
_MEDIA_SETTING = "enable_media_repo"
_MAS_SETTING = "matrix_authentication_service"
_ALTERNATIVES = re.compile(r"\{\w*:([\w./-]+(?:\|[\w./-]+)+)\}")
_INTERNAL = re.compile(r"/_synapse/(?:admin|mas)/")
_WELL_KNOWN = "/.well-known/"
# Of the fleet's own: systemd and the roles ask for it on the sockets.
_CLOSED = re.compile(r"/health(?:[/{]|$)")
_TOKEN = "syt_dXNlcg_abcdefghij_0abcde"  # noqa: S105  # of nobody
_SPREAD = 24
# Of documentation (RFC 5737): nobody's own network.
_STRANGERS = ("203.0.113.9", "198.51.100.9", "192.0.2.9")

# How ids may be written: as they are, with each special character encoded, with a slash in them, and without a server.
_WRITTEN: Tuple[Dict[str, str], ...] = (
    {"room": "!room:example.org", "user": "@user:example.org", "event": "$event:example.org", "": "word"},
    {"room": "%21room%3Aexample.org", "user": "%40user%3Aexample.org", "event": "%24event%3Aexample.org", "": "a%3Ab"},
    {"room": "%21ro%2Fom%3Aexample.org", "user": "%40us%2Fer%3Aexample.org", "event": "%24ev%2Fent", "": "a%2Fb"},
    {"room": "!v12roomWithoutServer"},
)

LEAKS: Tuple[str, ...] = (
    "/_synapse/replication/fed_send_edu/x",
    "/_synapse/metrics",
    "/_matrix/client/..%2f..%2f_synapse/replication/x",
    "/_matrix/client/..%2F..%2F_synapse/metrics",
    "/_matrix/client/%2e%2e/%2e%2e/_synapse/replication/x",
    "/_matrix/client/%2E%2E%2f%2E%2E%2f_synapse/admin/v1/users",
    "/_matrix/client/x%2F..%2F..%2F_synapse/admin/v1/users",
    "/_matrix/client/../../_synapse/admin/v1/users",
    "/_matrix/media/v3/download/..%2f..%2f..%2f..%2f_synapse/admin/v1/users",
    "/_matrix/federation/v1/..%2f..%2f..%2f_synapse/replication/x",
    "/_synapse/client/..%2freplication/x",
    "/_synapse/client/../admin/v1/users",
    "/%5fsynapse/admin/v1/users",
    "/_synapse/%61dmin/v1/users",
    "/_synapse/%72eplication/x",
    "/_matrix%2fclient/v3/sync",
    "//_synapse/admin/v1/users",
    "//_matrix/client/v3/sync",
    "/_matrix/../_synapse/admin/v1/users",
    "/_matrix/client/.%2e/%2e./_synapse/metrics",
    "/_matrix/client/..;/..;/_synapse/../../_synapse/metrics",
    "/health",
    "/_synapse",
    "/_matrix",
    "/x/_matrix/client/v3/sync",
)
"""Raw paths that no process may ever see."""


@dataclass(frozen=True)
class Member:
    """A process behind nginx.

    Attributes:
        name: its worker name, `main` for the main process.
        address: where nginx reaches it, as nginx's configuration writes it.
        resources: what its listener there serves: `client`, `federation`, `media`.
        media: whether it has the media repository.
        streams: the streams that it writes; main writes those that nobody else does.
    """

    name: str
    address: str
    resources: FrozenSet[str]
    media: bool
    streams: FrozenSet[str]

    @property
    def is_main(self) -> bool:
        """Whether it is the main process."""
        return self.name == MAIN


@dataclass(frozen=True)
class _Served:
    """A route of the registry, ready to be matched."""

    path: str
    regex: Any
    methods: FrozenSet[str]
    main: FrozenSet[str]
    worker: FrozenSet[str]
    settings: Tuple[str, ...]
    writes: Optional[str]
    session: bool

    def is_there(self, everything_on: bool, mas: bool) -> bool:
        """Whether it is there with all optional settings on, or off, and with Matrix Authentication Service or not."""
        return all(
            setting == _MEDIA_SETTING
            or setting.startswith("!") != (mas if setting.lstrip("!") == _MAS_SETTING else everything_on)
            for setting in self.settings
        )

    def is_served_by(self, member: Member, method: str) -> bool:
        """Whether a process answers the method."""
        if method != "OPTIONS" and {"HEAD": "GET"}.get(method, method) not in self.methods:
            return False
        if _MEDIA_SETTING in self.settings and not member.media:
            return False
        return bool(member.resources & (self.main if member.is_main else self.worker))


@dataclass(frozen=True)
class Case:
    """One request, and what is to be known of it.

    Attributes:
        request: what is sent.
        path: the template of its route.
        everything_on: the settings under which it is judged.
    """

    request: Request
    path: str
    everything_on: bool


class Registry:
    """The routes of one release, to be asked."""

    def __init__(self, routes: Iterable[Mapping[str, Any]], *, mas: bool = False) -> None:
        """Reads routes in the form of routes.json.

        Args:
            routes: `path`, `methods`, `main`, `worker`, `when`, `writes` and `session` of each.
            mas: whether logins are left to Matrix Authentication Service.
        """
        self._mas = mas
        routes = list(routes)
        self.routes = [_served(route, route["path"]) for route in routes]
        self._matched: Dict[str, List[_Served]] = {}
        self._by_folder: Dict[str, List[_Served]] = {}
        for route in routes:
            for path in expand(route["path"]):
                folder = path.split("{")[0].rsplit("/", 1)[0]
                self._by_folder.setdefault(folder, []).append(_served(route, path))

    def matching(self, raw_path: str) -> List[_Served]:
        """Returns all routes whose pattern matches a raw path."""
        found = self._matched.get(raw_path)
        if found is None:
            found = self._matched[raw_path] = self._find(raw_path)
        return found

    def _find(self, raw_path: str) -> List[_Served]:
        folder = raw_path.rsplit("/", 1)[0]
        found: List[_Served] = []
        while True:
            found += [route for route in self._by_folder.get(folder, ()) if route.regex.fullmatch(raw_path)]
            if not folder:
                return found
            folder = folder.rsplit("/", 1)[0]

    def is_there(self, route: _Served, everything_on: bool) -> bool:
        """Returns whether a route is there with all optional settings on, or off."""
        return route.is_there(everything_on, self._mas)

    def is_ever_there(self, route: _Served) -> bool:
        """Returns whether a route is there with some settings."""
        return self.is_there(route, False) or self.is_there(route, True)

    def samples(self) -> List[str]:
        """Returns a raw path for each route and version."""
        there = [route for route in self.routes if self.is_ever_there(route)]
        return [sample(path) for route in there for path in expand(route.path)]

    def cases(self) -> List[Case]:
        """Returns a request for each route, method, version and way to write an id."""
        found: Dict[Tuple[str, str, bool], Case] = {}
        for route in self.routes:
            everything_on = not self.is_there(route, False)
            if not self.is_there(route, everything_on):
                continue
            for template in expand(route.path):
                for path in [] if _CLOSED.match(template) else _raw_paths(template):
                    for method in _methods(route.methods):
                        request = Request(method, path, (("Authorization", f"Bearer {_TOKEN}"),))
                        case = Case(request, route.path, everything_on)
                        found.setdefault((method, path, everything_on), case)
        return list(found.values())


@dataclass
class Verdict:
    """What a replay has shown.

    Attributes:
        requests: how many were sent.
        misrouted: at a process that does not serve them, although another one does.
        at_non_writers: writes of a stream at a process that answers 500.
        leaks: what reached a process and must not.
        broken_affinities: what belongs to one process and met several.
        offloadable: what main served although a worker of this fleet could: methods and templates of paths.
        kept: the same, but with a reason: templates of paths.
        per_process: how many requests each process got.
        wrong_per_process: how many of them it cannot answer.
    """

    requests: int = 0
    misrouted: List[str] = field(default_factory=list)
    at_non_writers: List[str] = field(default_factory=list)
    leaks: List[str] = field(default_factory=list)
    broken_affinities: List[str] = field(default_factory=list)
    offloadable: Set[str] = field(default_factory=set)
    kept: Set[str] = field(default_factory=set)
    per_process: Counter[str] = field(default_factory=Counter)
    wrong_per_process: Counter[str] = field(default_factory=Counter)

    def add(self, other: Verdict) -> None:
        """Adds what another replay has shown."""
        self.requests += other.requests
        for name in ("misrouted", "at_non_writers", "leaks", "broken_affinities"):
            getattr(self, name).extend(getattr(other, name))
        self.offloadable |= other.offloadable
        self.kept |= other.kept
        self.per_process.update(other.per_process)
        self.wrong_per_process.update(other.wrong_per_process)

    @property
    def wrong(self) -> List[str]:
        """Everything that must not be, one line each."""
        return [
            *(f"misrouted: {line}" for line in self.misrouted),
            *(f"write at a non-writer: {line}" for line in self.at_non_writers),
            *(f"leak: {line}" for line in self.leaks),
            *(f"broken affinity: {line}" for line in self.broken_affinities),
        ]


class Sender(Protocol):
    """What sends requests through nginx: `_replay.Replay`, or something like it."""

    servers: Tuple[str, ...]

    def send(self, requests: Sequence[Request]) -> List[Recorded]:
        """Returns what becomes of each request."""


class Fleet:
    """The processes behind an nginx, judged by the registry of their release."""

    def __init__(self, registry: Registry, members: Sequence[Member], kept_on_main: Iterable[str] = ()) -> None:
        """Takes the processes.

        Args:
            registry: the routes of the release.
            members: all processes with a listener for nginx.
            kept_on_main: templates of paths that stay on main for a written reason.
        """
        self.registry = registry
        self.members = {member.address: member for member in members}
        self._kept = frozenset(kept_on_main)
        self._upstreams: Dict[str, FrozenSet[str]] = {}
        self._writers: Dict[str, Set[str]] = {}
        for member in members:
            for stream in member.streams:
                self._writers.setdefault(stream, set()).add(member.name)

    def serves(self, member: Member, method: str, raw_path: str, everything_on: bool) -> List[_Served]:
        """Returns the routes with which a process answers a request."""
        return [
            route
            for route in self.registry.matching(raw_path)
            if self.registry.is_there(route, everything_on) and route.is_served_by(member, method)
        ]

    def judge(self, replay: Sender, http_conf: str, site_conf: str) -> Verdict:
        """Sends everything through nginx and says what was wrong.

        Args:
            replay: a running nginx with the configuration.
            http_conf: the part of the configuration with the upstreams.
            site_conf: the server blocks, which tell who may use the admin API.
        """
        verdict = Verdict()
        self._upstreams = upstreams_of(http_conf)
        for address in set(replay.servers) - set(self.members):
            verdict.leaks.append(f"nginx names {address}, which is no HTTP listener of this fleet")
        inside, outside = _sources(site_conf)
        cases = [case for case in self.registry.cases() if inside or not _INTERNAL.match(case.request.path)]
        requests = [_from(case.request, inside) for case in cases]
        for case, recorded in zip(cases, replay.send(requests)):
            self._judge_case(verdict, case, recorded)
        self._judge_leaks(verdict, replay, inside, outside)
        self._judge_rooms(verdict, replay)
        self._judge_users(verdict, replay)
        self._judge_sources(verdict, replay)
        self._judge_sessions(verdict, replay, inside)
        return verdict

    def _name(self, address: str) -> str:
        member = self.members.get(address)
        return address if member is None else member.name

    def _pool(self, address: str) -> str:
        """Returns the smallest upstream that has an address."""
        names = [name for name, addresses in self._upstreams.items() if address in addresses]
        return min(names, key=lambda name: (len(self._upstreams[name]), name), default=address)

    def _judge_leaks(self, verdict: Verdict, replay: Sender, inside: Optional[str], outside: Optional[str]) -> None:
        """What nobody may ask for, and what only some may, asked by one who may not."""
        internal = sorted({path for path in self.registry.samples() if _INTERNAL.match(path)})
        requests = [_from(Request("GET", path), inside) for path in LEAKS]
        if outside is not None:
            requests += [_from(Request("GET", path), outside) for path in internal]
        verdict.requests += len(requests)
        for request, recorded in zip(requests, replay.send(requests)):
            if recorded.tried:
                verdict.leaks.append(
                    f"GET {request.path} from {request.source} reached {self._name(recorded.tried[0])}"
                )

    def _judge_rooms(self, verdict: Verdict, replay: Sender) -> None:
        """One room meets one process, whoever asks and however its id is written; rooms are spread."""
        cases = [
            (
                f"!room{number}",
                Request(
                    method,
                    f"/_matrix/client/{version}/rooms/{written.format(number)}/{rest}",
                    (("Authorization", f"Bearer syt_dXNlcj{who}_abcdefghij_0abcde"),),
                    f"127.0.2.{who}",
                ),
            )
            for number in range(_SPREAD)
            for who, written in enumerate(
                ("!room{}:example.org", "%21room{}%3Aexample.org", "!room{}%3aexample.org"), 1
            )
            for method, version, rest in (
                ("GET", "v3", "messages?dir=b"),
                ("GET", "r0", "members"),
                ("PUT", "v3", "send/m.room.message/1"),
                ("GET", "v1", "hierarchy"),
            )
        ]
        self._judge_keys(verdict, replay, "room", cases)

    def _judge_case(self, verdict: Verdict, case: Case, recorded: Recorded) -> None:
        method, path = case.request.method, case.request.path
        shown = f"{method} {path}"
        if not self._any(method, path, case.everything_on):
            # A slash too many, mostly: there is no right process, so nothing to be judged.
            return
        verdict.requests += 1
        if not recorded.tried:
            if not (path.startswith(_WELL_KNOWN) and recorded.status in (200, 404, 405)):
                verdict.misrouted.append(f"{shown} is refused by nginx with {recorded.status}")
            return
        member = self.members.get(recorded.tried[0])
        if member is None:
            return
        verdict.per_process[member.name] += 1
        if len(recorded.tried) > 1 or recorded.raw_path != path:
            verdict.misrouted.append(f"{shown} arrived as {recorded.raw_path} at {len(recorded.tried)} processes")
        served = self.serves(member, method, path, case.everything_on)
        if served:
            self._judge_served(verdict, case, member, served)
        else:
            verdict.misrouted.append(f"{shown} went to {member.name}")
            verdict.wrong_per_process[member.name] += 1

    def _judge_served(self, verdict: Verdict, case: Case, member: Member, served: Sequence[_Served]) -> None:
        method, path = case.request.method, case.request.path
        if method == "OPTIONS":
            return
        streams = {route.writes for route in served if route.writes}
        for stream in streams:
            if member.name not in self._writers.get(stream, {MAIN}):
                verdict.at_non_writers.append(f"{method} {path} writes {stream} and went to {member.name}")
                verdict.wrong_per_process[member.name] += 1
        if streams or not member.is_main:
            return
        others = (other for other in self.members.values() if not other.is_main)
        if any(self.serves(other, method, path, case.everything_on) for other in others):
            if case.path in self._kept:
                verdict.kept.add(case.path)
            else:
                verdict.offloadable.add(f"{method} {case.path}")

    def _any(self, method: str, path: str, everything_on: bool) -> bool:
        """Whether a process of the fleet would answer, or a monolith in its place."""
        alone = Member(MAIN, "", frozenset(("client", "federation")), True, frozenset())
        return any(self.serves(member, method, path, everything_on) for member in (*self.members.values(), alone))

    def _judge_users(self, verdict: Verdict, replay: Sender) -> None:
        """One user's syncs meet one process, with any token, in the header or in the query; users are spread."""
        tokens_of = {
            "user": ("syt_dXNlcj{}_abcdefghij_0abcde", "syt_dXNlcj{}_klmnopqrst_1fghij"),
            "token": ("mat_opaque{}Token",),
        }
        for kind, tokens in tokens_of.items():
            for method, path, more in (
                ("GET", "/_matrix/client/v3/sync", "since=s1&"),
                ("GET", "/_matrix/client/v3/sync", ""),
                ("GET", "/_matrix/client/v3/initialSync", ""),
                ("POST", "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync", ""),
            ):
                cases = [
                    (f"{kind} {number}", request)
                    for number in range(_SPREAD)
                    for token in (template.format(number) for template in tokens)
                    for request in (
                        Request(method, f"{path}?{more}timeout=0", (("Authorization", f"Bearer {token}"),)),
                        Request(method, f"{path}?{more}access_token={token}"),
                        Request(method, f"{path}?access_token={token}&{more}timeout=0"),
                    )
                ]
                self._judge_keys(verdict, replay, f"{path.rsplit('/', 1)[1]}?{more}", cases)

    def _judge_sources(self, verdict: Verdict, replay: Sender) -> None:
        """Transactions of one server meet one process."""
        sources = [f"127.0.1.{number + 1}" for number in range(_SPREAD)]
        cases = [
            (source, Request("PUT", f"/_matrix/federation/v1/send/{number}", source=source))
            for number in range(2)
            for source in sources
        ]
        self._judge_keys(verdict, replay, "/send/ of one server", cases)

    def _judge_keys(self, verdict: Verdict, replay: Sender, what: str, cases: Sequence[Tuple[str, Request]]) -> None:
        verdict.requests += len(cases)
        homes: Dict[str, Set[str]] = {}
        for (key, _), recorded in zip(cases, replay.send([request for _, request in cases])):
            homes.setdefault(key, set()).update(recorded.tried)
        verdict.broken_affinities += [
            f"{what} ({key}) met {', '.join(sorted(self._name(address) for address in met)) or 'nobody'}"
            for key, met in homes.items()
            if len(met) != 1
        ]
        used = set().union(*homes.values())
        pool = self._upstreams.get(self._pool(next(iter(used))), frozenset()) if used else frozenset()
        if len(used) == 1 and len(pool) > 1:
            verdict.broken_affinities.append(f"{what}: all of them meet {self._name(next(iter(used)))} alone")

    def _judge_sessions(self, verdict: Verdict, replay: Sender, inside: Optional[str]) -> None:
        """What a process remembers for a while (single sign-on) is asked of that process, main or a worker."""
        requests = [
            _from(Request(method, path), inside)
            for route in self.registry.routes
            if route.session and route.worker and route.path not in self._kept and self.registry.is_ever_there(route)
            for path in map(sample, expand(route.path))
            for method in sorted(route.methods)
        ]
        verdict.requests += len(requests)
        met = {self._name(address) for recorded in replay.send(requests) for address in recorded.tried}
        if len(met) > 1:
            verdict.broken_affinities.append(f"sessions of single sign-on met {', '.join(sorted(met))}")


def members_of(shared: Mapping[str, Any], own: Iterable[Mapping[str, Any]]) -> List[Member]:
    """Returns the processes that nginx may reach, from Synapse's own configuration files.

    Args:
        shared: homeserver.yaml.
        own: the file of each process that is read after it, of main and of the workers.
    """
    writers = shared.get("stream_writers") or {}
    found = []
    for config in own:
        name = str(config.get("worker_name", MAIN))
        in_lists = "master" if name == MAIN else name
        for listener in config.get("worker_listeners", config.get("listeners")) or ():
            resources = {str(word) for entry in listener.get("resources") or () for word in entry["names"]}
            if listener["type"] != "http" or "replication" in resources:
                continue
            found.append(
                Member(
                    name=name,
                    address=_address_of(listener),
                    resources=frozenset(resources),
                    media=bool({**shared, **config}.get(_MEDIA_SETTING, True)),
                    streams=frozenset(stream for stream, names in writers.items() if in_lists in names),
                )
            )
    return found


def _address_of(listener: Mapping[str, Any]) -> str:
    if "path" in listener:
        return f"unix:{listener['path']}"
    host = listener["bind_addresses"][0]
    return f"[{host}]:{listener['port']}" if ":" in host else f"{host}:{listener['port']}"


def expand(path: str) -> List[str]:
    """Returns the templates that a template with alternatives of literal words stands for."""
    match = _ALTERNATIVES.search(path)
    if match is None:
        return [path]
    return [
        template
        for word in match[1].split("|")
        for template in expand(f"{path[: match.start()]}{word}{path[match.end() :]}")
    ]


def upstreams_of(http_conf: str) -> Dict[str, FrozenSet[str]]:
    """Returns the addresses in each upstream of a configuration."""
    found = directives(http_conf)
    names = {item.start: item.words[1] for item in found if item.words[0] == "upstream" and len(item.words) == 2}
    members: Dict[str, Set[str]] = {name: set() for name in names.values()}
    for item in found:
        if item.words[0] == "server" and item.inside in names and len(item.words) > 1:
            members[names[item.inside]].add(item.words[1])
    return {name: frozenset(addresses) for name, addresses in members.items()}


def verdict_table(rows: Sequence[Tuple[str, Verdict]], title: str = "inventory") -> str:
    """Returns the table of several verdicts."""
    header = (title, "requests", "misrouted", "at a non-writer", "leaks", "broken affinities", "left on main", "kept")
    lines = [
        (
            name,
            str(verdict.requests),
            str(len(verdict.misrouted)),
            str(len(verdict.at_non_writers)),
            str(len(verdict.leaks)),
            str(len(verdict.broken_affinities)),
            str(len(verdict.offloadable)),
            str(len(verdict.kept)),
        )
        for name, verdict in rows
    ]
    widths = [max(len(line[column]) for line in (header, *lines)) for column in range(len(header))]
    found = []
    for line in (header, tuple("-" * width for width in widths), *lines):
        first, *others = (cell.rjust(width) for cell, width in zip(line, widths))
        found.append(f"| {' | '.join([first.strip().ljust(widths[0]), *others])} |")
    return "\n".join(found)


def _served(route: Mapping[str, Any], path: str) -> _Served:
    return _Served(
        path=path,
        regex=re.compile(regex_of(path)),
        methods=frozenset(route["methods"]),
        main=frozenset(route["main"]),
        worker=frozenset(route["worker"]),
        settings=tuple(route["when"].split(" + ")) if route["when"] else (),
        writes=route["writes"],
        session=bool(route["session"]),
    )


def _methods(methods: FrozenSet[str]) -> List[str]:
    return sorted({*methods, "OPTIONS"} | ({"HEAD"} if "GET" in methods else set()))


def _raw_paths(template: str) -> List[str]:
    found: List[str] = []
    names = [name for name, _ in variable_parts(template)]
    for written in _WRITTEN:
        if "" not in written and not any("room" in name for name in names):
            continue
        kinds = {name: next((kind for kind in ("room", "user", "event") if kind in name), "") for name in names}
        values = {name: written[kind] for name, kind in kinds.items() if kind in written and name != "rest"}
        found.append(sample(template, values))
    found.append(sample(re.sub(r"\{rest:[^}]*\}", "", template)))
    found.append(found[0] if found[0].endswith("/") else f"{found[0]}/")
    return list(dict.fromkeys(found))


def _sources(site_conf: str) -> Tuple[Optional[str], Optional[str]]:
    """Returns an address that may use the admin API and one that may not; None if there is none."""
    words = [item.words[1] for item in directives(site_conf) if item.words[0] == "allow" and len(item.words) == 2]
    if "all" in words:
        return "127.0.0.1", None
    allowed = [ip_network(word, strict=False) for word in words]
    outside = next((a for a in _STRANGERS if not any(ip_address(a) in network for network in allowed)), None)
    inside = min(allowed, key=lambda network: network.version, default=None)
    return (None if inside is None else str(inside.network_address)), outside


def _from(request: Request, source: Optional[str]) -> Request:
    if source is None or not _INTERNAL.match(request.path):
        return request
    return Request(request.method, request.path, request.headers, source, HTTPS, request.body)


__all__ = (
    "LEAKS",
    "Case",
    "Fleet",
    "Member",
    "Registry",
    "Verdict",
    "expand",
    "members_of",
    "verdict_table",
)
