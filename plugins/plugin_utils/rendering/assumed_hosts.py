# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run that only renders takes the hosts to be, instead of asking them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..model.errors import TopologyError
from ..model.platform import find_platform, supported
from ..model.values import counting_number, plain

_DISTRIBUTION = "Debian"

DEFAULTS: dict[str, Any] = {
    "render_debian_version": "13",
    "render_architecture": "x86_64",
    "render_memory_mib": 8192,
    "render_cpus": 4,
}
"""Variables that describe a host, and their defaults."""


def assumed_host(host: str, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the facts that the module host_survey would return for a host, as far as files depend on them.

    Args:
        host: the inventory name of the host.
        variables: of the host; those of ``DEFAULTS`` count.

    Raises:
        TopologyError: one of them cannot be.
    """
    said = {name: plain(variables.get(name, default)) for name, default in DEFAULTS.items()}
    version = str(said["render_debian_version"])
    platform = find_platform(_DISTRIBUTION, version)
    if platform is None:
        raise TopologyError(
            "render_debian_version",
            said["render_debian_version"],
            f"this collection knows {supported()}",
            "Set it to one of them, or leave it out.",
            host,
        )
    return {
        "distribution": platform.distribution,
        "distribution_major_version": platform.major_version,
        "python_version": platform.python,
        "architecture": str(said["render_architecture"]),
        "memtotal_mb": _number(host, "render_memory_mib", said),
        "processor_vcpus": _number(host, "render_cpus", said),
    }


def _number(host: str, name: str, said: Mapping[str, Any]) -> int:
    number = counting_number(said[name])
    if number is None:
        raise TopologyError(
            name, said[name], "it is a whole number from 1 on", f"Write {DEFAULTS[name]}, or leave it out.", host
        )
    return number


__all__ = ("DEFAULTS", "assumed_host")
