# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a release of Synapse is installed."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from pathlib import Path

from ..model import layout
from ..model.errors import TopologyError
from ..model.topology import Topology

LOCKS_DIR = Path(__file__).resolve().parents[3] / "roles" / "synapse" / "files" / "requirements"
"""Where the collection has its locks, one for each release."""


def release_dir(topology: Topology, python: str) -> str:
    """Returns the directory of the fleet's release on a host.

    What is installed depends on the lock of the release and on the host's Python, so both name the directory: another
    lock, or a Python of another minor version, is another directory.

    Args:
        topology: the fleet.
        python: the version of the host's Python, ``3.13.5``.

    Raises:
        TopologyError: the collection has no lock for the release.
    """
    minor = python.rpartition(".")[0]
    digest = sha256((_lock(str(topology.release)) + minor).encode()).hexdigest()
    return f"{layout.RELEASES_DIR}/{topology.release}-{digest[:12]}"


def check_lock(topology: Topology) -> None:
    """Refuses a release that cannot be installed.

    Raises:
        TopologyError: the collection has no lock for the release.
    """
    _lock(str(topology.release))


@cache
def _lock(release: str) -> str:
    path = LOCKS_DIR / f"{release}.txt"
    if not path.is_file():
        locked = sorted(path.stem for path in LOCKS_DIR.glob("[0-9]*.txt"))
        raise TopologyError(
            "synapse_version",
            release,
            "the collection has no lock file for this release, which names and hashes every package to install",
            f"Run `make lock RELEASE={release}` in the checkout of the collection, or set synapse_version to a release"
            f" that has one: {', '.join(locked)}.",
        )
    return path.read_text().rstrip()


__all__ = ("LOCKS_DIR", "check_lock", "release_dir")
