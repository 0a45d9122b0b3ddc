# SPDX-License-Identifier: GPL-3.0-or-later
"""What roles have to know of the distribution of a host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..model.platform import platform_of
from ..model.topology import Topology


def platform(topology: Topology, host: str, found: Mapping[str, Any]) -> dict[str, Any]:
    """Returns packages and paths as the distribution of a host has them.

    Args:
        topology: the fleet.
        host: the inventory name of the host.
        found: what the module host_survey has found on it.

    Raises:
        TopologyError: the distribution is not supported.
    """
    known = platform_of(host, found)
    packages = {service: list(known.packages_of(service)) for service in known.packages}
    packages["synapse"] += [known.jemalloc] if topology.options["synapse_jemalloc"] else []
    return {
        "name": known.name,
        "packages": packages,
        "self_signed_packages": list(known.self_signed_packages),
        "nginx_http2_directive": known.nginx_http2_directive,
        "jemalloc_library": known.jemalloc_library.format(architecture=found["architecture"]),
    }


__all__ = ("platform",)
