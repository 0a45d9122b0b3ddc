# SPDX-License-Identifier: GPL-3.0-or-later
"""What a release of Synapse serves, to be asked about single requests: the routes that its processes register."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Dict, FrozenSet, Iterable, List, Mapping, Optional, Pattern, Tuple

from ..replay.messages import Request
from ..routes.families import Access, family_of
from ..routes.path_template import regex_of, sample, variable_parts

_MEDIA_SETTING = "enable_media_repo"
_MAS_SETTING = "matrix_authentication_service"
_ALTERNATIVES = re.compile(r"\{\w*:([\w./-]+(?:\|[\w./-]+)+)\}")
_TOKEN = "syt_dXNlcg_abcdefghij_0abcde"  # noqa: S105  # of no real user

# How ids may be written: as they are, with each special character encoded, with a slash in them, and without a server.
_WRITTEN: Tuple[Dict[str, str], ...] = (
    {"room": "!room:example.org", "user": "@user:example.org", "event": "$event:example.org", "": "word"},
    {"room": "%21room%3Aexample.org", "user": "%40user%3Aexample.org", "event": "%24event%3Aexample.org", "": "a%3Ab"},
    {"room": "%21ro%2Fom%3Aexample.org", "user": "%40us%2Fer%3Aexample.org", "event": "%24ev%2Fent", "": "a%2Fb"},
    {"room": "!v12roomWithoutServer"},
)


@dataclass(frozen=True)
class Served:
    """A route of the registry, ready to be matched.

    Attributes:
        path: its template.
        regex: matches its raw paths.
        methods: its methods, as registered.
        answers: the methods that are answered: those, HEAD with GET, and OPTIONS.
        main: the listener resources with which the main process serves it.
        worker: the listener resources with which a worker serves it.
        needs_media: whether only a process with the media repository serves it.
        writes: the stream that it writes; None for none.
        session: whether it needs a session in the memory of the process that began it.
        there: whether it is there with all optional settings off, and with all of them on.
    """

    path: str
    regex: Pattern[str]
    methods: FrozenSet[str]
    answers: FrozenSet[str]
    main: FrozenSet[str]
    worker: FrozenSet[str]
    needs_media: bool
    writes: Optional[str]
    session: bool
    there: Tuple[bool, bool]


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
        routes = list(routes)
        self.routes = [_served(route, route["path"], mas) for route in routes]
        self._matched: Dict[Tuple[str, bool], List[Served]] = {}
        self._by_folder: Dict[str, List[Served]] = {}
        self._cases: List[Case] = []
        for route in routes:
            for path in expand(route["path"]):
                folder = path.split("{")[0].rsplit("/", 1)[0]
                self._by_folder.setdefault(folder, []).append(_served(route, path, mas))

    def matching(self, raw_path: str, *, everything_on: bool) -> List[Served]:
        """Returns all routes whose pattern matches a raw path, with all optional settings on, or off."""
        key = raw_path, everything_on
        found = self._matched.get(key)
        if found is None:
            found = self._matched[key] = [route for route in self._find(raw_path) if route.there[everything_on]]
        return found

    def _find(self, raw_path: str) -> List[Served]:
        folder = raw_path.rsplit("/", 1)[0]
        found: List[Served] = []
        while True:
            found += [route for route in self._by_folder.get(folder, ()) if route.regex.fullmatch(raw_path)]
            if not folder:
                return found
            folder = folder.rsplit("/", 1)[0]

    def samples(self) -> List[str]:
        """Returns a raw path for each route and version."""
        return [sample(path) for route in self.routes if any(route.there) for path in expand(route.path)]

    def cases(self) -> List[Case]:
        """Returns a request for each route, method, version and way to write an id."""
        if not self._cases:
            found: Dict[Tuple[str, str, bool], Case] = {}
            for route in self.routes:
                everything_on = not route.there[False]
                if route.there[everything_on]:
                    for case in _cases(route, everything_on):
                        found.setdefault((case.request.method, case.request.path, everything_on), case)
            self._cases = list(found.values())
        return self._cases


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


@lru_cache(maxsize=4096)
def _pattern(path: str) -> Pattern[str]:
    return re.compile(regex_of(path))


def _served(route: Mapping[str, Any], path: str, mas: bool) -> Served:
    settings: List[str] = route["when"].split(" + ") if route["when"] else []
    methods = frozenset(route["methods"])
    return Served(
        path=path,
        regex=_pattern(path),
        methods=methods,
        answers=methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set()),
        main=frozenset(route["main"]),
        worker=frozenset(route["worker"]),
        needs_media=_MEDIA_SETTING in settings,
        writes=route["writes"],
        session=bool(route["session"]),
        there=(_is_there(settings, False, mas), _is_there(settings, True, mas)),
    )


def _is_there(settings: Iterable[str], everything_on: bool, mas: bool) -> bool:
    """Returns whether a route is there with all optional settings on, or off, and with MAS or not."""
    return all(
        setting == _MEDIA_SETTING
        or setting.startswith("!") != (mas if setting.lstrip("!") == _MAS_SETTING else everything_on)
        for setting in settings
    )


def _cases(route: Served, everything_on: bool) -> List[Case]:
    headers = (("Authorization", f"Bearer {_TOKEN}"),)
    return [
        Case(Request(method, path, headers), route.path, everything_on)
        for template in expand(route.path)
        if not _is_closed(template)
        for path in _raw_paths(template)
        for method in sorted(route.answers)
    ]


def _is_closed(template: str) -> bool:
    family = family_of(template)
    return family is not None and family.access is Access.CLOSED


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


__all__ = ("Case", "Registry", "Served", "expand")
