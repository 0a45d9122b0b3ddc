# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fleet that exists has of an earlier release of this collection, and keeps."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..model.service import REDIS
from .redis import recognised

if TYPE_CHECKING:
    from ..model.topology import Topology


def recognised_inputs(
    inputs: Mapping[str, Any], topology: Topology, host: str, found: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Returns the inputs of a fleet with what was found on its host, where the inventory leaves it open.

    Synapse's configuration names the socket of Redis, and only a fleet on one host has one. Everything else that a host
    has decides nothing on other hosts, so the roles read it from what was found.

    Args:
        inputs: what ``gather`` read from the inventory.
        topology: the fleet that follows from it.
        host: the inventory name of the host.
        found: what the module host_survey returned for the host.
    """
    instance = recognised(topology.options["redis_package"], found)
    if instance is None or not topology.unix or host != topology.host_of(REDIS) or topology.options["redis_instance"]:
        return inputs
    more = copy.deepcopy(dict(inputs))
    more["hosts"][host]["redis_instance"] = instance
    return more


__all__ = ("recognised_inputs",)
