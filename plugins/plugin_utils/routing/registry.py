# SPDX-License-Identifier: GPL-3.0-or-later
"""What the processes of each Synapse release really serve, as ``tools/routes`` read it from the releases themselves.

``routes.json`` beside this file is generated (``make routes RELEASE=…``) and reviewed, never written by hand. It says
nothing of our taste: which worker should serve what is in ``rules.py``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..model.errors import TopologyError
from ..model.releases import Release, nearest

SCHEMA = 1
"""The form of ``routes.json`` that this module reads."""

MEDIA_SETTING = "enable_media_repo"
"""The setting under which a process serves media (Synapse's config/repository.py)."""

MAS_SETTING = "matrix_authentication_service"
"""The setting under which logins are not Synapse's (config/mas.py; before 1.136 experimental_features.msc3861)."""

_FILE = Path(__file__).with_name("routes.json")


@dataclass(frozen=True, kw_only=True)
class Route:
    """Requests that a release serves.

    Attributes:
        path: a template of the whole raw path: ``{name}`` is one segment, ``{name:regex}`` what the regex matches.
        methods: the methods; HEAD goes with GET, OPTIONS with all.
        main: the listener resources with which the main process serves it; empty if it does not.
        worker: the listener resources with which a worker serves it; empty if none does.
        when: the settings under which it is so, joined by " + " (``!`` for one that is off); None for always.
        writes: the stream that it writes, if every process but the writer answers 500; else None.
        session: it needs a session in the memory of the process that began it.
        lacks: what the objects of a worker lack: workers register it, but only main can answer; None for nothing.
        servlet: the class of Synapse that serves it.
        since: the first known release in which it is so.
        until: the first known release in which it is no longer so; None if it still is.
    """

    path: str
    methods: tuple[str, ...]
    main: tuple[str, ...]
    worker: tuple[str, ...]
    when: str | None
    writes: str | None
    session: bool
    lacks: str | None = None
    servlet: str
    since: Release
    until: Release | None

    @property
    def settings(self) -> tuple[str, ...]:
        """The settings of ``when``, one by one."""
        return tuple(self.when.split(" + ")) if self.when else ()

    def is_there(self, *, mas: bool) -> bool:
        """Returns whether it is there with or without Matrix Authentication Service, as far as that decides."""
        return (f"!{MAS_SETTING}" if mas else MAS_SETTING) not in self.settings

    @property
    def needs_setting(self) -> bool:
        """Returns whether it depends on a setting of the operator's, apart from those that the topology decides."""
        return any(name.lstrip("!") not in (MEDIA_SETTING, MAS_SETTING) for name in self.settings)

    @property
    def needs_media(self) -> bool:
        """Returns whether only a process with the media repository serves it."""
        return MEDIA_SETTING in self.settings


@dataclass(frozen=True, kw_only=True)
class Registry:
    """The routes of all known releases.

    Attributes:
        releases: the releases that were read, oldest first.
        routes: what they serve.
    """

    releases: tuple[Release, ...]
    routes: tuple[Route, ...]

    def known(self, release: Release) -> Release:
        """Returns the release whose routes are used for another one: of the same minor, else the nearest older one."""
        return nearest(self.releases, release)

    def is_known(self, release: Release) -> bool:
        """Returns whether the minor of the release was read; patches bring no routes."""
        return self.known(release).is_patch_of(release)

    def of(self, release: Release) -> tuple[Route, ...]:
        """Returns the routes of a release, or of the nearest older one that is known."""
        known = self.known(release)
        return tuple(
            route for route in self.routes if route.since <= known and (route.until is None or known < route.until)
        )


def parse_registry(text: str, place: str = "routes.json") -> Registry:
    """Reads a file of routes.

    Args:
        text: its content.
        place: its name, for errors.

    Raises:
        TopologyError: it is no JSON, of another schema, or misses a part.
    """
    fix = "Use the routes.json of this release of the collection, or make it again: make routes RELEASE=…"
    try:
        document = json.loads(text)
    except ValueError as error:
        raise TopologyError(place, "(a file)", f"it is no JSON: {error}", fix) from error
    schema = document.get("schema") if isinstance(document, Mapping) else None
    if schema != SCHEMA:
        raise TopologyError(f"{place}: schema", schema, f"this collection reads schema {SCHEMA}", fix)
    try:
        return Registry(
            releases=tuple(sorted(Release.of(release) for release in document["releases"])),
            routes=tuple(_route(entry) for entry in document["routes"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise TopologyError(place, "(a file)", f"a part of it is missing or wrong: {error!r}", fix) from error


@lru_cache(maxsize=1)
def registry() -> Registry:
    """Returns the routes that this collection ships."""
    return parse_registry(_FILE.read_text(encoding="utf-8"), _FILE.name)


def _route(entry: Mapping[str, Any]) -> Route:
    return Route(
        path=str(entry["path"]),
        methods=tuple(entry["methods"]),
        main=tuple(entry["main"]),
        worker=tuple(entry["worker"]),
        when=entry["when"],
        writes=entry["writes"],
        session=bool(entry["session"]),
        lacks=entry.get("lacks"),
        servlet=str(entry["servlet"]),
        since=Release.of(entry["since"]),
        until=None if entry["until"] is None else Release.of(entry["until"]),
    )
