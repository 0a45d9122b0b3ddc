# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run is about to do to the processes and services of a fleet: in which order, and why.

Pure: it compares the topology with what a survey of the hosts saw. ``dependencies`` tells which processes a change
concerns, ``changes`` what becomes of each, ``turns`` which of them are away together, ``order`` what comes before what,
``waves`` what nginx does meanwhile, and ``effects`` what users notice.
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
        hosts: the hosts whose processes were asked; for processes of other hosts nothing is planned.
        proxies: whether the configuration of any nginx differs; None if none is asked in this run.
        needs: what the services below Synapse need.

    Returns:
        The plan; without waves if all is as it should be.
    """
    wishes = tuple(needs)
    changes = find_changes(topology, observed, frozenset(hosts), proxies)
    order = Order(changes, take_turns(changes), wishes)
    levels = order.graph.levels()
    waves = make_waves(order, levels)
    return Plan(
        waves=waves,
        effects=tuple(effects_of(changes, waves, wishes)),
        order=tuple(lines(order.graph, levels)) if waves else (),
    )
