# SPDX-License-Identifier: GPL-3.0-or-later
"""Synapse releases: which are supported and what each needs of its host."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .errors import TopologyError


@dataclass(frozen=True, order=True)
class Release:
    """One Synapse release, ordered as its numbers are."""

    major: int
    minor: int
    patch: int = 0

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"

    @classmethod
    def of(cls, text: str) -> Release:
        """Reads the numbers of a release, as in the data that this collection ships."""
        return cls(*(int(number) for number in text.split(".")))

    def is_patch_of(self, other: Release) -> bool:
        """Returns whether both are of the same minor."""
        return (self.major, self.minor) == (other.major, other.minor)


OLDEST = Release(1, 130, 0)
"""The oldest release that is deployed: all secrets can be given as files from 1.126 on."""

NEWEST = Release(1, 163, 2)
"""The newest release whose routes and settings this collection knows. A newer one gets the routes of this one, and the
run says so."""

# Synapse's storage/engines/postgres.py and pyproject.toml at the named releases.
_POSTGRES_MINIMUM = ((Release(1, 143), 14), (Release(1, 122), 13))
_PYTHON_MINIMUM = ((Release(1, 142), (3, 10)), (Release(1, 119), (3, 9)))


def parse_release(value: object, variable: str = "synapse_version") -> Release:
    """Reads a release as the operator writes it, ``1.163.2`` or ``"1.163.0"``.

    Raises:
        TopologyError: it is not of this form, or older than what is supported.
    """
    match = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)", value) if isinstance(value, str) else None
    if match is None:
        raise TopologyError(
            variable,
            value,
            "a Synapse release has three numbers and no suffix",
            f'Write it as a string, for example {variable}: "{NEWEST}".',
        )
    release = Release.of(match[0])
    if release < OLDEST:
        raise TopologyError(
            variable,
            value,
            f"this collection deploys Synapse {OLDEST} and newer",
            f"Set {variable} to such a release, for example {NEWEST}.",
        )
    return release


def release_in(directory: str) -> Release | None:
    """Returns the release that a directory is named after (``…/releases/1.163.2-0123``); None if it is not."""
    match = re.match(r"(\d+\.\d+\.\d+)(?:-|$)", directory.rpartition("/")[2])
    return None if match is None else Release.of(match[1])


def nearest(known: Sequence[Release], release: Release) -> Release:
    """Returns the known release whose facts hold for another one: of the same minor, else the nearest older one.

    Args:
        known: the known releases, the oldest first.
        release: the other one; if all known ones are newer, it gets the oldest.
    """
    older = [one for one in known if one < release or one.is_patch_of(release)]
    return older[-1] if older else known[0]


def postgres_minimum(release: Release) -> int:
    """Returns the oldest major version of PostgreSQL that the release starts with (storage/engines/postgres.py)."""
    return next(version for since, version in _POSTGRES_MINIMUM if release >= since)


def python_minimum(release: Release) -> tuple[int, int]:
    """Returns the oldest Python that the release installs on (Synapse's pyproject.toml)."""
    return next(version for since, version in _PYTHON_MINIMUM if release >= since)


def python_problem(release: Release, host: str, python: str) -> TopologyError | None:
    """Returns why a release cannot run on a host with this Python (``3.11.2``); None if it can."""
    needed = python_minimum(release)
    if tuple(int(part) for part in python.split(".")[:2]) >= needed:
        return None
    return TopologyError(
        "synapse_version",
        str(release),
        f"it needs Python {needed[0]}.{needed[1]}, the host has {python}",
        "Upgrade the host's Debian, or choose an older release.",
        host,
    )


def postgres_problem(release: Release, host: str, postgres: str) -> TopologyError | None:
    """Returns why a release cannot use a host's PostgreSQL (``15``); None if it can."""
    if int(postgres.split(".", maxsplit=1)[0]) >= postgres_minimum(release):
        return None
    return TopologyError(
        "synapse_version",
        str(release),
        f"it needs PostgreSQL {postgres_minimum(release)}, the host has {postgres}",
        "Upgrade the cluster (pg_upgradecluster) and set postgres_version, or choose an older release.",
        host,
    )
