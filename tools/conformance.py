# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks the routing: sends every request that a release serves, through a real nginx with the rendered configuration.

    .venv/bin/python -m tools.conformance                      # all example inventories, all releases that are shipped
    .venv/bin/python -m tools.conformance full --release 1.163.2

The registry of the release (``plugins/plugin_utils/routing/routes.json``) decides what is correct, never our rules.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / ".ansible" / "collections"))

from ansible_collections.baremetal.synapse.plugins.module_utils.conformance.judge import Fleet
from ansible_collections.baremetal.synapse.plugins.module_utils.conformance.members import Member, members_of
from ansible_collections.baremetal.synapse.plugins.module_utils.conformance.registry import Registry
from ansible_collections.baremetal.synapse.plugins.module_utils.conformance.verdict import Verdict, verdict_table
from ansible_collections.baremetal.synapse.plugins.module_utils.replay.messages import Recorded, Request
from ansible_collections.baremetal.synapse.plugins.module_utils.replay.replay import Replay
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.errors import TopologyError
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.inventory import pools_at
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.releases import OLDEST, Release, parse_release
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.topology import Topology, build_topology
from ansible_collections.baremetal.synapse.plugins.plugin_utils.routing.registry import registry
from ansible_collections.baremetal.synapse.plugins.plugin_utils.routing.rules import kept_on_main
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.config import (
    main_config,
    shared_config,
    worker_config,
)

from tools.inventory import load_inputs
from tools.nginx import nginx_binary
from tools.proxy_files import ProxyFiles, proxy_files

INVENTORIES = Path(__file__).resolve().parent.parent / "inventories"
# The admin API is routed as well, so some clients need access.
_SETTINGS = {"nginx_admin_allowed": ["127.0.0.0/8"]}


def example_names() -> list[str]:
    """Returns the names of the example inventories."""
    return sorted(path.name for path in INVENTORIES.iterdir())


def fleet_at(inventory: str, release: Release, *, mas: bool = False) -> Topology:
    """Returns an example inventory at a release, which may be older than any that is deployed.

    Args:
        inventory: the name of the example.
        release: the release.
        mas: whether its logins are left to Matrix Authentication Service.
    """
    inputs = load_inputs(INVENTORIES / inventory)
    at_least = max(release, OLDEST)
    for variables in inputs["hosts"].values():
        variables["synapse_version"] = str(at_least)
        if mas:
            more = variables.get("synapse_extra_config", {})
            variables["synapse_extra_config"] = {**more, "matrix_authentication_service": {"enabled": True}}
        for group in ("generic_workers", "media_workers", "background_workers"):
            if isinstance(variables.get(group), Mapping):
                # As an operator of that release would have them.
                variables[group] = pools_at(variables[group], at_least)
    return dataclasses.replace(build_topology(inputs), release=release)


def members(topology: Topology) -> list[Member]:
    """Returns the processes that nginx may reach, by the configuration that Synapse gets."""
    own = [main_config(topology), *(worker_config(topology, worker) for worker in topology.workers)]
    return members_of(shared_config(topology), own)


def registry_of(release: Release, *, mas: bool = False) -> Registry:
    """Returns what the release serves."""
    return Registry([dataclasses.asdict(route) for route in registry().of(release)], mas=mas)


class _Remembered:
    """A replay that sends a request once, for releases with the same configuration ask much the same."""

    def __init__(self, replay: Replay) -> None:
        self.servers = replay.servers
        self._replay = replay
        self._known: dict[Request, Recorded] = {}

    def send(self, requests: Sequence[Request]) -> list[Recorded]:
        """Returns what becomes of each request."""
        new = list(dict.fromkeys(request for request in requests if request not in self._known))
        self._known.update(zip(new, self._replay.send(new), strict=True))
        return [self._known[request] for request in requests]


def judge_all(inventories: Sequence[str], releases: Sequence[Release]) -> dict[tuple[str, Release], Verdict]:
    """Returns the verdict on each inventory at each release, with and without Matrix Authentication Service."""
    found = {(inventory, release): Verdict() for inventory in inventories for release in releases}
    for mas in (False, True):
        registries = {release: registry_of(release, mas=mas) for release in releases}
        for inventory in inventories:
            by_files: dict[ProxyFiles, list[Release]] = {}
            fleets = {release: fleet_at(inventory, release, mas=mas) for release in releases}
            for release, topology in fleets.items():
                by_files.setdefault(_without_comments(proxy_files(topology, _SETTINGS)), []).append(release)
            for files, alike in by_files.items():
                with Replay(nginx_binary(), files.http, files.site, host=fleets[alike[0]].public_name) as replay:
                    remembered = _Remembered(replay)
                    for release in alike:
                        judged = Fleet(registries[release], members(fleets[release]), kept_on_main())
                        found[inventory, release].add(judged.judge(remembered, files.http, files.site))
    return found


def _without_comments(files: ProxyFiles) -> ProxyFiles:
    return ProxyFiles(*(re.sub(r"(?m)^#.*\n", "", text) for text in (files.http, files.site)))


def main() -> int:
    """Prints the table of what the command line asks for; returns 1 if anything is wrong."""
    parser = argparse.ArgumentParser(prog="tools.conformance", description="Prove the routing.")
    parser.add_argument("inventories", nargs="*", metavar="INVENTORY", help="default: all examples")
    parser.add_argument("--release", action="append", help="default: all that are shipped")
    parser.add_argument("--left", action="store_true", help="list what is left on main although a worker could")
    options = parser.parse_args()
    unknown = sorted(set(options.inventories) - set(example_names()))
    if unknown:
        print(f"error: there is no inventory {unknown[0]!r}; choose of {', '.join(example_names())}.", file=sys.stderr)
        return 2
    try:
        releases = [_known(text) for text in options.release or ()] or list(registry().releases)
    except TopologyError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    rows = []
    wrong = []
    judged = judge_all(options.inventories or example_names(), releases)
    for (inventory, release), verdict in judged.items():
        rows.append((f"{inventory} {release}", verdict))
        wrong += [f"{inventory} {release}: {line}" for line in verdict.wrong]
        if options.left:
            print("\n".join(f"{inventory} {release}: left on main: {line}" for line in sorted(verdict.offloadable)))
    print(verdict_table(rows, "inventory and release"))
    print("\n".join(wrong[:100]))
    return 1 if wrong else 0


def _known(text: str) -> Release:
    found = next((known for known in registry().releases if str(known) == text), None)
    return found if found is not None else parse_release(text, "--release")


if __name__ == "__main__":
    sys.exit(main())
