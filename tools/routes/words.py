# SPDX-License-Identifier: GPL-3.0-or-later
"""The differences between two releases, as text for operators."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tools.routes.merge import Served

METHODS = ("GET", "PUT", "POST", "DELETE", "PATCH")
VERSIONS = ("api/v1", "r0", "v1", "v2", "v3", "unstable")
_VERSION = re.compile(r"(/_(?:matrix/(?:client|federation|key|media)|synapse/admin)/)\{version:([^}]*)\}")
# What may follow a path: nothing at all in a release that closes its pattern.
_OPEN = re.compile(r"\{rest\d?:[^}]*\}\Z")
_TAIL = re.compile(r"\{(?:slash\d?:/\?|rest\d?:[^}]*)\}\Z")


@dataclass(frozen=True)
class _Request:
    method: str
    path: str


@dataclass(frozen=True)
class _Facts:
    """All that the entries for one request say, each for its own condition."""

    main: frozenset[tuple[str, str | None]]
    worker: frozenset[tuple[str, str | None]]
    writes: str | None
    session: bool
    open: bool
    lacks: str | None

    @property
    def settings(self) -> tuple[str, ...]:
        found = {when for _, when in self.main | self.worker}
        return () if None in found else tuple(sorted(when for when in found if when is not None))


def difference(old: Iterable[Served], new: Iterable[Served]) -> list[str]:
    """Returns what an admin must know about a change of release.

    Args:
        old: the routes of the one release.
        new: the routes of the other.

    Returns:
        a line for each change, requests that change alike in several API versions in one; nothing if all is the same.
    """
    before, after = _facts(old), _facts(new)
    said: dict[tuple[str, str, str], list[str]] = {}
    for request in sorted({*before, *after}, key=lambda one: (one.path, one.method)):
        for sentence in _sentences(before.get(request), after.get(request)):
            prefix, version, rest = _split(request.path)
            said.setdefault((sentence, request.method, f"{prefix}\0{rest}"), []).append(version)
    lines: dict[tuple[str, str], list[str]] = {}
    for (sentence, method, place), versions in said.items():
        lines.setdefault((sentence, _joined(place, versions)), []).append(method)
    return [
        _line(sentence, " ".join(sorted(methods, key=METHODS.index)), path)
        for (sentence, path), methods in lines.items()
    ]


def _line(sentence: str, methods: str, path: str) -> str:
    head, _, tail = sentence.partition(": ")
    return f"{head}: {methods} {path}" + (f", {tail}" if tail else "")


def _facts(routes: Iterable[Served]) -> dict[_Request, _Facts]:
    found: dict[_Request, list[Served]] = {}
    for route in routes:
        for path in _expanded(route.identity.path):
            for method in route.identity.methods:
                found.setdefault(_Request(method, _TAIL.sub("", path)), []).append(route)
    return {
        request: _Facts(
            main=frozenset((name, one.identity.when) for one in entries for name in one.identity.main),
            worker=frozenset((name, one.identity.when) for one in entries for name in one.identity.worker),
            writes=next((one.identity.writes for one in entries if one.identity.writes), None),
            session=any(one.identity.session for one in entries),
            open=any(_OPEN.search(one.identity.path) for one in entries),
            lacks=next((one.identity.lacks for one in entries if one.identity.lacks), None),
        )
        for request, entries in found.items()
    }


def _sentences(old: _Facts | None, new: _Facts | None) -> list[str]:
    if new is None:
        return ["gone"]
    if old is None:
        who = "by main and workers" if new.main and new.worker else "by workers only" if new.worker else "by main only"
        more = [f"workers lack {new.lacks}"] if new.lacks else []
        more += [f"only with {_settings(new)}"] if new.settings else []
        more += [f"writes {new.writes}: must reach its writer"] if new.writes else []
        more += ["keeps a session in memory: must reach one process"] if new.session else []
        return [", ".join([f"new: {who}", *more])]
    return [sentence for judge in _JUDGES for sentence in judge(old, new)]


def _process(old: _Facts, new: _Facts) -> list[str]:
    found = []
    if bool(old.worker) != bool(new.worker):
        found.append("now served by workers too" if new.worker else f"no longer served by workers{_why(new)}")
    if bool(old.main) != bool(new.main):
        found.append("now served by main too" if new.main else "no longer served by main")
    return found


def _why(facts: _Facts) -> str:
    return f": they lack {facts.lacks}" if facts.lacks else ""


def _resources(old: _Facts, new: _Facts) -> list[str]:
    found = []
    for name, was, now in (("main", old.main, new.main), ("workers", old.worker, new.worker)):
        gained = {resource for resource, _ in now} - {resource for resource, _ in was}
        lost = {resource for resource, _ in was} - {resource for resource, _ in now}
        if was and gained:
            found.append(f"now on listeners with {', '.join(sorted(gained))} too: on {name}")
        if now and lost:
            found.append(f"no longer on listeners with {', '.join(sorted(lost))}: on {name}")
    return found


def _conditions(old: _Facts, new: _Facts) -> list[str]:
    if old.settings == new.settings:
        return []
    return [
        f"now only with setting: {_settings(new)}" if new.settings else f"no longer needs setting: {_settings(old)}"
    ]


def _stream(old: _Facts, new: _Facts) -> list[str]:
    if old.writes == new.writes:
        return []
    if new.writes is None:
        return [f"no longer bound to the writer of {old.writes}: any process that serves it will do"]
    return [f"now writes stream {new.writes}: must reach its writer"]


def _ending(old: _Facts, new: _Facts) -> list[str]:
    if old.open == new.open:
        return []
    return ["now with anything behind it too" if new.open else "now only as it is: nothing may follow it"]


def _session(old: _Facts, new: _Facts) -> list[str]:
    if old.session == new.session:
        return []
    return [
        "now keeps a session in memory: must reach one process"
        if new.session
        else "no longer keeps a session in memory: any process that serves it will do"
    ]


_JUDGES: tuple[Callable[[_Facts, _Facts], list[str]], ...] = (
    _process,
    _resources,
    _conditions,
    _stream,
    _session,
    _ending,
)


def _settings(facts: _Facts) -> str:
    return " or ".join(_plain(one) for one in facts.settings)


def _plain(when: str) -> str:
    return " and ".join(f"{part[1:]} off" if part.startswith("!") else part for part in when.split(" + "))


def _expanded(path: str) -> list[str]:
    found = _VERSION.match(path)
    if found is None:
        return [path]
    return [f"{found[1]}{version}{path[found.end() :]}" for version in found[2].split("|")]


def _split(path: str) -> tuple[str, str, str]:
    found = re.match(rf"(/_(?:matrix/(?:client|federation|key|media)|synapse/admin)/)({'|'.join(VERSIONS)})(?=/)", path)
    return (found[1], found[2], path[found.end() :]) if found else (path, "", "")


def _joined(place: str, versions: list[str]) -> str:
    prefix, rest = place.split("\0")
    if versions == [""]:
        return prefix + rest
    ordered = sorted(versions, key=VERSIONS.index)
    return prefix + (ordered[0] if len(ordered) == 1 else f"{{{'|'.join(ordered)}}}") + rest
