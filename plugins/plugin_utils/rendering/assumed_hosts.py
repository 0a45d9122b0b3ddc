# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run that only renders takes the hosts to be, instead of asking them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..model.inputs import INPUTS
from ..model.platform import platform_of
from ..model.values import plain

_DISTRIBUTION = "Debian"


def assumed_host(host: str, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the facts that the module host_survey would return for a host, as far as files depend on them.

    Args:
        host: the inventory name of the host.
        variables: of the host; those count that begin with ``render_``.

    Raises:
        TopologyError: one of them cannot be.
    """

    def value(name: str) -> Any:
        entry = INPUTS[name]
        return entry.read(plain(variables[name]), host) if name in variables else entry.default

    distribution = {"distribution": _DISTRIBUTION, "distribution_major_version": value("render_debian_version")}
    return {
        **distribution,
        "python_version": platform_of(host, distribution).python,
        "architecture": value("render_architecture"),
        "memtotal_mb": value("render_memory_mib"),
        "processor_vcpus": value("render_cpus"),
    }


__all__ = ("assumed_host",)
