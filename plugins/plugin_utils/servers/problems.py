# SPDX-License-Identifier: GPL-3.0-or-later
"""Refusals of a service's inputs as sentences: variable, host, value, reason, fix."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from ..model.errors import TopologyError


def problems_of(*checks: Callable[[], None]) -> list[str]:
    """Returns the sentences of all checks that refuse something."""
    found = []
    for check in checks:
        try:
            check()
        except TopologyError as error:
            found.append(str(error))
    return found


def missing_files(host: str, needed: Mapping[str, str], existing: Collection[str]) -> list[str]:
    """Returns a sentence for each file that a host needs and does not have.

    Args:
        host: the inventory name of the host.
        needed: the variable that names the file, by the path on the host.
        existing: the paths that exist on the host.
    """
    return [
        str(
            TopologyError(
                variable,
                path,
                "there is no such file on the host",
                "Put the file there, or leave the variable out.",
                host,
            )
        )
        for path, variable in needed.items()
        if path not in existing
    ]
