# SPDX-License-Identifier: GPL-3.0-or-later
"""The file of routes over releases: reading, adding and removing releases, writing.

A release is added to what the file says of each other release, so that the order of additions makes no difference.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tools.routes.errors import RoutesError
from tools.routes.install import numbers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

SCHEMA = 1
_REMAKE = "Restore the file, or generate it again with `python -m tools.routes add RELEASE…`."


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What makes a route the same in two releases.

    Attributes:
        path: the template of the whole raw path.
        methods: the methods as they are registered.
        main: the listener resources on which the main process serves it.
        worker: the listener resources on which a worker serves it.
        when: the setting that it depends on, None if it is always there.
        writes: the stream whose writer alone can serve it, None if any process can.
        session: it reads or writes a session in the memory of one process.
        lacks: what the objects of a worker lack, so that main alone serves it although workers register it.
    """

    path: str
    methods: tuple[str, ...]
    main: tuple[str, ...]
    worker: tuple[str, ...]
    when: str | None
    writes: str | None
    session: bool
    lacks: str | None = None


@dataclass(frozen=True)
class Served:
    """A route of one release, and the name of its servlet there."""

    identity: Identity
    servlet: str


@dataclass(frozen=True)
class Lasting:
    """A route over releases: from ``since`` on, and before ``until`` (None: still in the newest one)."""

    identity: Identity
    servlet: str
    since: str
    until: str | None


@dataclass(frozen=True)
class Book:
    """All that is known: the releases that were probed, oldest first, and the routes of each."""

    releases: tuple[str, ...] = ()
    routes: tuple[Lasting, ...] = ()

    def of(self, release: str) -> tuple[Served, ...]:
        """Returns the routes of one release.

        Raises:
            RoutesError: it was never probed.
        """
        if release not in self.releases:
            raise RoutesError(
                f"the file knows nothing of Synapse {release}: it has {', '.join(self.releases) or 'no release'}. "
                f"Add it with `python -m tools.routes add {release}`."
            )
        place = self.releases.index(release)
        return tuple(
            Served(route.identity, route.servlet)
            for route in self.routes
            if self.releases.index(route.since) <= place
            and (route.until is None or place < self.releases.index(route.until))
        )

    def before(self, release: str) -> str | None:
        """Returns the known release before this one, None if it is the oldest."""
        place = self.releases.index(release)
        return self.releases[place - 1] if place else None

    def replaced_by(self, release: str) -> tuple[str, ...]:
        """Returns the other patches of its minor, whose place a release takes: routes are looked up by minor."""
        minor = numbers(release)[:2]
        return tuple(name for name in self.releases if name != release and numbers(name)[:2] == minor)


def add(book: Book, release: str, routes: Iterable[Served]) -> Book:
    """Returns the book with a release put in, or in place of what it said of this release or a patch of its minor."""
    replaced = book.replaced_by(release)
    known = {name: {route.identity for route in book.of(name)} for name in book.releases if name not in replaced}
    fresh = {route.identity: route.servlet for route in routes}
    servlets = {route.identity: route.servlet for route in book.routes}
    known[release] = set(fresh)
    for identity, servlet in fresh.items():
        newest = max((name for name in known if identity in known[name]), key=numbers)
        if newest == release or identity not in servlets:
            servlets[identity] = servlet
    return _book(known, servlets)


def remove(book: Book, release: str) -> Book:
    """Returns the book without a release; what it does not know already is no error."""
    known = {name: {route.identity for route in book.of(name)} for name in book.releases if name != release}
    return _book(known, {route.identity: route.servlet for route in book.routes})


def _book(known: Mapping[str, set[Identity]], servlets: Mapping[Identity, str]) -> Book:
    releases = tuple(sorted(known, key=numbers))
    routes: list[Lasting] = []
    for identity in {identity for found in known.values() for identity in found}:
        since: str | None = None
        for release in releases:
            if identity in known[release]:
                since = since or release
            elif since is not None:
                routes.append(Lasting(identity, servlets[identity], since, release))
                since = None
        if since is not None:
            routes.append(Lasting(identity, servlets[identity], since, None))
    return Book(releases, tuple(sorted(routes, key=_order)))


def _order(route: Lasting) -> tuple[Any, ...]:
    one = route.identity
    return (one.path, one.methods, numbers(route.since), one.when or "", one.main, one.worker, one.writes or "")


def text(book: Book) -> str:
    """Returns the file: one route a line, so that a change of a release reads as one."""
    lines = [
        json.dumps(
            {
                "path": route.identity.path,
                "methods": route.identity.methods,
                "main": route.identity.main,
                "worker": route.identity.worker,
                "when": route.identity.when,
                "writes": route.identity.writes,
                "session": route.identity.session,
                **({"lacks": route.identity.lacks} if route.identity.lacks else {}),
                "servlet": route.servlet,
                "since": route.since,
                "until": route.until,
            },
            ensure_ascii=False,
        )
        for route in book.routes
    ]
    head = f'{{"schema": {SCHEMA}, "releases": {json.dumps(book.releases)}, "routes": ['
    return head + ("\n" + ",\n".join(lines) + "\n" if lines else "") + "]}\n"


def write(book: Book, path: Path) -> None:
    """Writes the file, whole or not at all: others may read it meanwhile."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text(book))
    fresh.replace(path)


def read(path: Path) -> Book:
    """Reads the file; one that is not there is an empty book.

    Raises:
        RoutesError: it is no JSON, of another schema, or has a wrong field.
    """
    if not path.exists():
        return Book()
    try:
        document = json.loads(path.read_text())
    except ValueError as exc:
        raise RoutesError(f"{path.name} is no JSON ({exc}). {_REMAKE}") from exc
    where = path.name
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        found = document.get("schema") if isinstance(document, dict) else None
        raise RoutesError(f"{where} has the schema {found!r}, this tool reads {SCHEMA}. {_REMAKE}")
    releases = _texts(document, "releases", where)
    for release in releases:
        numbers(release)
    if list(releases) != sorted(set(releases), key=numbers):
        raise RoutesError(f"{where}, releases: they are not in order, or one is there twice. {_REMAKE}")
    routes = []
    for number, entry in enumerate(_list(document, "routes", where), start=1):
        place = f"{where}, route {number}"
        route = _served(entry, place)
        since, until = entry.get("since"), entry.get("until")
        if since not in releases or (until is not None and until not in releases):
            raise RoutesError(f"{place}: since {since!r} and until {until!r} are not both known releases. {_REMAKE}")
        routes.append(Lasting(route.identity, route.servlet, since, until))
    return Book(releases, tuple(routes))


def parse_probe(document: object, where: str) -> tuple[str, tuple[Served, ...]]:
    """Reads what the probe prints: the release and its routes.

    Raises:
        RoutesError: a field is missing or of a wrong kind.
    """
    if not isinstance(document, dict) or not isinstance(document.get("release"), str):
        raise RoutesError(f"{where} names no release: it is not what registry_probe.py prints.")
    routes = [
        _served(entry, f"{where}, route {number}")
        for number, entry in enumerate(_list(document, "routes", where), start=1)
    ]
    return document["release"], tuple(routes)


def _served(entry: object, place: str) -> Served:
    if not isinstance(entry, dict):
        raise RoutesError(f"{place} is no object. {_REMAKE}")
    for name, kinds in _FIELDS.items():
        if not isinstance(entry.get(name, _ABSENT), kinds):
            raise RoutesError(f"{place}: {name} is {entry.get(name)!r}, which it cannot be. {_REMAKE}")
    if not isinstance(entry.get("lacks", ""), str):
        raise RoutesError(f"{place}: lacks is {entry['lacks']!r}, which it cannot be. {_REMAKE}")
    identity = Identity(
        path=entry["path"],
        methods=_texts(entry, "methods", place),
        main=_texts(entry, "main", place),
        worker=_texts(entry, "worker", place),
        when=entry["when"],
        writes=entry["writes"],
        session=entry["session"],
        lacks=entry.get("lacks"),
    )
    return Served(identity, entry["servlet"])


_ABSENT = object()
_FIELDS: dict[str, tuple[type, ...]] = {
    "path": (str,),
    "when": (str, type(None)),
    "writes": (str, type(None)),
    "session": (bool,),
    "servlet": (str,),
}


def _list(entry: dict[str, Any], name: str, place: str) -> list[Any]:
    found = entry.get(name)
    if not isinstance(found, list):
        raise RoutesError(f"{place}: {name} is {found!r}, and has to be a list. {_REMAKE}")
    return found


def _texts(entry: dict[str, Any], name: str, place: str) -> tuple[str, ...]:
    found = _list(entry, name, place)
    if not all(isinstance(item, str) for item in found):
        raise RoutesError(f"{place}: {name} is {found!r}, and has to be a list of texts. {_REMAKE}")
    return tuple(found)
