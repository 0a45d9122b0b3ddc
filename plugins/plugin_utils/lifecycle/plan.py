# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a run: the steps for the processes and services of a fleet, their order, and the reasons.

Pure: it compares the topology with a survey of the hosts. ``dependencies`` has the inputs of each process, ``changes``
the change of each process, ``turns`` the processes that restart together, ``order`` the steps and their order,
``waves`` the changes of nginx, and ``effects`` what users notice.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..model.topology import Topology
from .changes import find_changes
from .effects import effects_of
from .observed import Observed, ServiceNeed
from .order import Order, lines
from .steps import Plan
from .turns import take_turns
from .waves import make_waves


def make_plan(
    topology: Topology,
    observed: Iterable[Observed],
    hosts: Iterable[str],
    proxies: bool | None,
    needs: Iterable[ServiceNeed] = (),
) -> Plan:
    """Compares what the topology wants with what was seen.

    Args:
        topology: what is wanted.
        observed: the processes that were seen.
        hosts: the surveyed hosts; processes of other hosts get no steps.
        proxies: whether the configuration of any nginx differs; None if none is asked in this run.
        needs: what the services below Synapse need.

    Returns:
        The plan; without waves if all is as it should be.
    """
    wishes = tuple(needs)
    changes = find_changes(topology, observed, frozenset(hosts), proxies, moved=any(need.moves for need in wishes))
    order = Order(changes, take_turns(changes), wishes)
    levels = order.graph.levels()
    waves = make_waves(order, levels)
    return Plan(
        waves=waves,
        effects=tuple(effects_of(changes, waves, wishes)),
        order=tuple(lines(order.graph, levels)) if waves else (),
    )
