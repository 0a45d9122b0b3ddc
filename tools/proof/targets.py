# SPDX-License-Identifier: GPL-3.0-or-later
"""The routes of a fleet that go to workers: those that are to be proven."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.baremetal.synapse.plugins.module_utils.routes.path_template import regex_of, variable_parts
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.topology import Topology
from ansible_collections.baremetal.synapse.plugins.plugin_utils.routing.decisions import decisions, uses_mas
from ansible_collections.baremetal.synapse.plugins.plugin_utils.routing.registry import MAS_SETTING, Route, registry

Key = tuple[str, str]
"""A method, and the template of a path."""

# Synapse has them on, unless told otherwise.
_ON_BY_DEFAULT = ("enable_media_repo",)


@dataclass(frozen=True)
class Target:
    """A route that goes to workers.

    Attributes:
        method: the method.
        path: the template of the path.
        worker: the worker that nginx would send it to.
        initial: the worker for requests that begin a sync.
        alone: whether main cannot answer: it is not the writer of the stream, or has no media repository.
    """

    method: str
    path: str
    worker: str
    initial: str
    alone: bool

    @property
    def key(self) -> Key:
        """What it is recorded by."""
        return self.method, self.path

    def matches(self, method: str, raw_path: str) -> bool:
        """Returns whether a request is one of this route."""
        return method == self.method and re.fullmatch(regex_of(self.path), raw_path) is not None


def targets(topology: Topology) -> tuple[Target, ...]:
    """Returns the routes that go to workers, with the settings of the fleet.

    Of routes that match the same request, those with less variable parts come first.
    """
    there = {(method, route.path) for route in routes_there(topology) for method in route.methods}
    found = []
    for decision in decisions(topology):
        (method,) = decision.route.methods
        if decision.duty is None or (method, decision.route.path) not in there:
            continue
        worker = _first(topology, decision.upstream)
        initial = worker if decision.initial is None else _first(topology, decision.initial)
        alone = decision.route.writes is not None or decision.route.needs_media
        found.append(Target(method, decision.route.path, worker, initial, alone))
    return tuple(sorted(found, key=lambda target: (_variable(target.path), target.path, target.method)))


def routes_there(topology: Topology) -> Iterable[Route]:
    """Returns the routes of the release that the settings of the fleet switch on."""
    on = settings_on(topology.options["synapse_extra_config"])
    if uses_mas(topology):
        on.add(MAS_SETTING)
    for route in registry().of(topology.release):
        if all((name.lstrip("!") in on) != name.startswith("!") for name in route.settings):
            yield route


def settings_on(config: Mapping[str, Any]) -> set[str]:
    """Returns the settings of the registry that a configuration switches on."""
    found = {name for name in _ON_BY_DEFAULT if config.get(name, True)}
    for name, value in config.items():
        if name == "experimental_features":
            found |= {f"{name}.{flag}" for flag, given in value.items() if given}
        elif value.get("enabled", True) if isinstance(value, Mapping) else value:
            found.add(name)
    return found


def _variable(path: str) -> int:
    return sum(name != "version" for name, _ in variable_parts(path))


def _first(topology: Topology, upstream: str) -> str:
    duty = upstream.removeprefix("synapse_")
    return topology.with_duty(duty)[0].name
