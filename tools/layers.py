# SPDX-License-Identifier: GPL-3.0-or-later
"""Example inventories that were deployed once and are kept as layers of disposable hosts, one layer for each host.

A scenario whose subject is not the first deployment boots its hosts from them and runs site.yml, which makes the
difference between the example and the scenario's own inventory. A layer is named by all that it was made from, so it is
never used after a change of the collection, of the inventory or of the image.

    .venv/bin/python -m tools.layers single_host --suite trixie     # deploys it if need be; prints the layers as JSON
    .venv/bin/python -m tools.layers --release main1 app1           # of hosts that have the release alone

A scenario whose subject is the first deployment, but not that of the release, boots bare hosts that have the release.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from tools.hosts import host, image, layer
from tools.hosts.process import locked, say
from tools.hosts.settings import SUITES
from tools.runs import ROOT, disposable_fleet, example_hosts

# What a deployed host depends on, besides the image and the inventory. The requirements have the version of Ansible.
SOURCES = ("galaxy.yml", "meta", "playbooks", "plugins", "roles", "requirements/dev.txt", "ansible.cfg")
# How a layer is made is written here.
MAKERS = ("tools/layers.py", "tools/runs.py", "tools/hosts")
# What has the release of Synapse, and the example that a host is deployed with to build it.
RELEASE = ("opt/matrix-synapse/releases", "opt/matrix-synapse/uv")
BUILT_BY = "single_host"
# A network in which no scenario has hosts.
NETWORKS = dict(zip(SUITES, ("10.88.252", "10.88.253"), strict=True))


def digest(paths: Iterable[Path], *words: str) -> str:
    """Returns a hash of files, folders and words; what Python compiles is left out.

    Args:
        paths: files and folders; their contents count, and their names within them.
        words: more that the hash depends on.
    """
    total = hashlib.sha256(json.dumps(words).encode())
    for top in paths:
        files = [top] if top.is_file() else sorted(path for path in top.rglob("*") if path.is_file())
        for path in files:
            if "__pycache__" not in path.parts:
                content = path.read_bytes()
                total.update(f"\n{top.name} {path.relative_to(top)} {len(content)}\n".encode())
                total.update(content)
    return total.hexdigest()[:12]


def prefix(example: str, suite: str) -> str:
    """Returns what the names of all layers of an example on a suite begin with, outdated ones too."""
    return f"{example}-{suite}-"


def name(example: str, suite: str, root: Path = ROOT) -> str:
    """Returns what the names of the current layers of an example on a suite begin with."""
    sources = [root / source for source in (*SOURCES, *MAKERS, f"inventories/{example}")]
    return prefix(example, suite) + digest(sources, image.fingerprint(suite))


def layers_of(hosts: Sequence[str], start: str) -> dict[str, str]:
    """Returns the names of layers by hosts of the inventory."""
    return {each: f"{start}-{each}" for each in hosts}


def ensure(example: str, suite: str) -> dict[str, str]:
    """Returns the layers of a deployed example by the names of its hosts; deploys and saves it if there are none.

    Scenarios side by side that want the same one wait until the first has made it.
    """
    start = name(example, suite)
    wanted = layers_of(example_hosts(example), start)
    with locked(f"layer-{prefix(example, suite)}"):
        if not all(map(layer.known, wanted.values())):
            say(f"Deploying {example} on Debian {suite}, once, for scenarios that start from it.")
            # Those that an interrupted run has saved, too: hosts of one fleet share secrets.
            for leftover in wanted.values():
                layer.forget(leftover)
            _deploy(example, suite, wanted)
            layer.forget_outdated(prefix(example, suite), start)
    return wanted


def with_release(hosts: Iterable[str], suite: str) -> dict[str, str]:
    """Returns the layer of bare hosts that have the built release, by the hosts that are named.

    It is a part of the layer of ``BUILT_BY``, which is deployed if need be.
    """
    (deployed,) = ensure(BUILT_BY, suite).values()
    wanted = f"release-{deployed}"
    with locked(f"layer-release-{suite}"):
        if layer.known(wanted) is None and (source := layer.known(deployed)) is not None:
            layer.keep_part(source, wanted, RELEASE)
            layer.forget_outdated(f"release-{prefix(BUILT_BY, suite)}", wanted)
    return dict.fromkeys(hosts, wanted)


def _deploy(example: str, suite: str, wanted: dict[str, str]) -> None:
    machine = f"layer-{example}-{suite}".replace("_", "-")
    with disposable_fleet(example, machine=machine, address=f"{NETWORKS[suite]}.10", suite=suite) as fleet:
        run = fleet.run()
        if run.code != 0:
            raise RuntimeError(f"{example} was not deployed:\n{run.output[-4000:]}")
        for each, kept in wanted.items():
            host.save(fleet.machines[each], kept)


def _ensure_one(names: Sequence[str], suite: str) -> dict[str, str]:
    (example,) = names
    return ensure(example, suite)


def main() -> None:
    """Prints the layers of an example."""
    parser = argparse.ArgumentParser(prog="tools.layers", description="Deploy an example as layers, if need be.")
    parser.add_argument("names", nargs="+", help="an example, or hosts with --release")
    parser.add_argument("--suite", choices=SUITES, default=SUITES[0])
    parser.add_argument("--release", action="store_true", help="of bare hosts that have the built release")
    options = parser.parse_args()
    print(json.dumps((with_release if options.release else _ensure_one)(options.names, options.suite)))


if __name__ == "__main__":
    main()
