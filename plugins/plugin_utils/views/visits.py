# SPDX-License-Identifier: GPL-3.0-or-later
"""Which roles a verb visits on a host."""

from __future__ import annotations

from collections.abc import Collection

from ..model.service import Stage, Verb
from ..model.services import visited
from ..model.topology import Topology


def visits(
    topology: Topology,
    host: str,
    verb: Verb,
    *,
    stage: Stage | None = None,
    run_tags: Collection[str] = ("all",),
    skip_tags: Collection[str] = (),
) -> list[str]:
    """Returns the names of the roles that a verb visits on a host, in the order of the table of services.

    ``remove`` visits the hosts that do not run a service, every other verb those that do.

    Args:
        topology: the fleet.
        host: the inventory name of the host; a host that is not of the fleet is not visited.
        verb: the verb.
        stage: only services of this stage; None for all.
        run_tags: the tags that the run is limited to.
        skip_tags: the tags that the run leaves out.
    """
    if host not in topology.addresses:
        return []
    services = visited(verb, stage=stage, run_tags=run_tags, skip_tags=skip_tags, services=topology.services)
    return [service.name for service in services if (host in topology.hosts_of(service)) != (verb == "remove")]


__all__ = ("visits",)
