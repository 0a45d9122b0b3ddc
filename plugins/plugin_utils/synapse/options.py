# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of homeserver.yaml that each release of Synapse knows, and those of an inventory that it does not know.

Synapse ignores an option that it does not know, without a word. ``options.json`` beside this file is generated from the
source of the releases (``make routes RELEASE=…``), never written by hand. Options of experiments and of modules are not
in it, and are left alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher, get_close_matches
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from ..model.errors import TopologyError
from ..model.process import Process
from ..model.releases import Release, nearest
from ..model.topology import Topology

_FILE = Path(__file__).with_name("options.json")
_OPEN = "*"
_NEAR = 0.6
_MISSPELT = 0.8
"""How much alike two names are, from 0 to 1, to name one for the other, and to refuse it."""

Name = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Option:
    """An option, in the releases from ``since`` on and before ``until``; None if it still is."""

    name: Name
    since: Release
    until: Release | None

    def is_in(self, release: Release) -> bool:
        """Returns whether a release has it."""
        return self.since <= release and (self.until is None or release < self.until)


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of one release.

    Attributes:
        release: the release whose source was read.
        names: the options, as paths.
        others: the same of all releases that were read, with their first and last one.
    """

    release: Release
    names: frozenset[Name]
    others: tuple[Option, ...]

    @cached_property
    def _inside(self) -> Mapping[Name, frozenset[str]]:
        found: dict[Name, set[str]] = {}
        for name in self.names:
            found.setdefault(name[:-1], set()).add(name[-1])
        return {parent: frozenset(children) for parent, children in found.items()}

    def unknown(self, config: Mapping[str, Any], parent: Name = ()) -> Iterator[Name]:
        """Returns the options of a configuration that the release does not know."""
        inside = self._inside.get(parent, frozenset())
        if not inside or _OPEN in inside:
            return
        for key, value in config.items():
            name = (*parent, str(key))
            if str(key) not in inside:
                yield name
            elif isinstance(value, Mapping):
                yield from self.unknown(value, name)

    def near(self, name: Name) -> Name | None:
        """Returns the option that was probably meant: one spelt almost like it, or one inside another option."""
        spelt = _spelt(name[-1])
        found = get_close_matches(spelt, self._inside[name[:-1]], n=1, cutoff=_NEAR)
        if found:
            return (*name[:-1], found[0])
        moved = [other for other in self.names if len(other) > 1 and other[-1] == spelt]
        return moved[0] if len(name) == 1 and len(moved) == 1 else None

    def elsewhere(self, name: Name) -> Option | None:
        """Returns the option of another release with this name."""
        return next((option for option in reversed(self.others) if option.name == name), None)


@dataclass(frozen=True, kw_only=True)
class Unknown:
    """An option of the inventory that Synapse would ignore.

    Attributes:
        variable: where the inventory sets it.
        name: the option.
        host: the host whose variable it is, None if it is the same everywhere.
        reason: why it has no effect.
        near: the option that was probably meant.
    """

    variable: str
    name: str
    host: str | None
    reason: str
    near: str | None

    @property
    def misspelt(self) -> bool:
        """Whether it is surely the near one that was meant."""
        if self.near is None:
            return False
        spelt, near = _spelt(self.name), self.near.rpartition(".")[2]
        return SequenceMatcher(None, spelt, near).ratio() >= _MISSPELT

    @property
    def error(self) -> TopologyError:
        """The refusal of it."""
        return TopologyError(
            f"{self.variable}.{self.name}", "(not shown)", self.reason, f"Did you mean '{self.near}'?", self.host
        )

    @property
    def notice(self) -> str:
        """The line that a run shows."""
        meant = f" Did you mean '{self.near}'?" if self.near else ""
        return f"{self.variable}.{self.name} has no effect: {self.reason}.{meant}"


def _spelt(name: str) -> str:
    return name.rpartition(".")[2].replace("-", "_").lower()


@lru_cache(maxsize=1)
def _read() -> tuple[tuple[Release, ...], tuple[Option, ...]]:
    document = json.loads(_FILE.read_text(encoding="utf-8"))
    options = tuple(
        Option(name=tuple(name.split(".")), since=Release.of(since), until=None if until is None else Release.of(until))
        for name, since, until in document["options"]
    )
    return tuple(map(Release.of, document["releases"])), options


@lru_cache(maxsize=4)
def options_of(release: Release) -> Options:
    """Returns the options of a release: of a patch of its minor, else of the nearest older one that was read."""
    releases, options = _read()
    read = nearest(releases, release)
    return Options(
        release=read, names=frozenset(option.name for option in options if option.is_in(read)), others=options
    )


def unknown_options(topology: Topology) -> list[Unknown]:
    """Returns the options of an inventory that its release of Synapse does not know."""
    known = options_of(topology.release)
    return [
        _unknown(topology, known, variable, host, name)
        for (variable, host), config in _configured(topology).items()
        for name in known.unknown(config)
    ]


def is_read(release: Release) -> bool:
    """Returns whether the options of this minor were read."""
    return options_of(release).release.is_patch_of(release)


def refused_options(topology: Topology) -> list[Unknown]:
    """Returns those that are surely misspelt: the release was read, and knows one that is spelt almost like it."""
    return [unknown for unknown in unknown_options(topology) if _is_refused(topology, unknown)]


def option_notices(topology: Topology) -> list[str]:
    """Returns a line for each other option that has no effect: of another release, or of none."""
    return [unknown.notice for unknown in unknown_options(topology) if not _is_refused(topology, unknown)]


def _is_refused(topology: Topology, unknown: Unknown) -> bool:
    return unknown.misspelt and is_read(topology.release)


def _configured(topology: Topology) -> dict[tuple[str, str | None], Mapping[str, Any]]:
    """Returns what the inventory adds to the files of Synapse, by variable and host."""
    found: dict[tuple[str, str | None], Mapping[str, Any]] = {
        ("synapse_extra_config", None): topology.options["synapse_extra_config"],
        ("synapse_main_settings.extra_config", None): topology.main.settings.extra_config,
    }
    for worker in topology.workers:
        found[_variable(worker), worker.host] = worker.settings.extra_config
    return found


def _variable(worker: Process) -> str:
    return f"{worker.group}.{worker.pool}.extra_config"


def _unknown(topology: Topology, known: Options, variable: str, host: str | None, name: Name) -> Unknown:
    other = known.elsewhere(name)
    near = known.near(name) if other is None else None
    if other is not None:
        until = f" and before {other.until}" if other.until else ""
        reason = f"Synapse {topology.release} does not know it; Synapse {other.since} and later{until} does"
    else:
        reason = f"Synapse {topology.release} does not know it, and ignores it without a word"
    return Unknown(
        variable=variable,
        name=".".join(name),
        host=host,
        reason=reason,
        near=None if near is None else ".".join(near),
    )


__all__ = ("is_read", "option_notices", "options_of", "refused_options", "unknown_options")
