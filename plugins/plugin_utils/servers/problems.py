# SPDX-License-Identifier: GPL-3.0-or-later
"""Refusals of a service's inputs, all of them at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..model.errors import TopologyError


def refusals(*checks: Callable[[], None]) -> list[TopologyError]:
    """Returns what the checks raise."""
    found = []
    for check in checks:
        try:
            check()
        except TopologyError as error:
            found.append(error)
    return found


def missing_files(host: str, needed: Mapping[str, str], found: Mapping[str, Any]) -> list[TopologyError]:
    """Returns an error for each file that a host needs and does not have.

    Args:
        host: the inventory name of the host.
        needed: the variable that names the file, by the path on the host.
        found: what the module host_survey returned for the host; a path that it was not asked for counts as there.
    """
    existing = found.get("paths", {})
    return [
        TopologyError(
            variable,
            path,
            "there is no such file on the host",
            "Put the file there, or leave the variable out.",
            host,
        )
        for path, variable in needed.items()
        if not existing.get(path, True)
    ]


__all__ = ("missing_files", "refusals")
