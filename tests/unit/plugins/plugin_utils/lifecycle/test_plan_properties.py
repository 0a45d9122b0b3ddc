# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans between random inventories: what must hold at every moment, whatever the change is.

``FUZZ=20`` tries more pairs (tests/support/examples.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.lifecycle.plan import make_plan
from ansible_collections.baremetal.synapse.plugins.plugin_utils.lifecycle.steps import Plan
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.duties import BACKGROUND, DUTIES, GENERIC, MEDIA
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.topology import Topology
from hypothesis import given, note
from hypothesis import strategies as st

from tests.support.examples import tried
from tests.unit.fleets import one_host, several_hosts
from tests.unit.simulated_fleet import SimulatedFleet, named_by

_POOLS = {GENERIC: ("p", "q", "r", "s"), MEDIA: ("m", "n"), BACKGROUND: ("b", "c")}
_SLOTS = {pool: 100 + number for number, pool in enumerate(name for names in _POOLS.values() for name in names)}


@dataclass
class Wishes:
    """An inventory of these tests, before it is checked.

    Attributes:
        counts: workers of each pool, 0 for none.
        many: duties of each pool that several workers may have.
        single: the pool of each duty that one worker may have; None for main.
        factors: ``cache_factor`` of each pool.
        shared: a setting that matters to all.
        tcp: whether processes reach each other over TCP.
        release: the release of Synapse.
    """

    counts: dict[str, int]
    many: dict[str, frozenset[str]]
    single: dict[str, str | None]
    factors: dict[str, int] = field(default_factory=dict)
    shared: int = 1
    tcp: bool = False
    release: str = "1.163.2"

    def topology(self, hosts: int) -> Topology:
        """Returns the checked fleet."""
        variables: dict[str, Any] = {group: dict(self._pools(group)) for group in _POOLS}
        options: dict[str, Any] = {
            "synapse_extra_config": {"rc_message": {"per_second": self.shared}},
            "synapse_version": self.release,
        }
        if hosts == 1:
            return one_host(synapse_transport="tcp" if self.tcp else "unix", **options, **variables)
        half = {"generic1": ("p", "r"), "generic2": ("q", "s")}
        own = {
            host: {GENERIC: {pool: entry for pool, entry in variables[GENERIC].items() if pool in pools}}
            for host, pools in half.items()
        }
        return several_hosts(own, **options, **{group: variables[group] for group in (MEDIA, BACKGROUND)})

    def _pools(self, group: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for pool in _POOLS[group]:
            singles = [duty for duty, holder in self.single.items() if holder == pool]
            duties = sorted(self.many[pool]) + singles
            if group == MEDIA and "media" not in duties and "quarantined_media_changes" in duties:
                duties.append("media")
            count = min(self.counts[pool], 1) if singles else self.counts[pool]
            if count and duties:
                factor = self.factors.get(pool, 1)
                yield pool, {"count": count, "duties": duties, "port_slot": _SLOTS[pool], "cache_factor": factor}


def _duties(group: str, *, single: bool) -> list[str]:
    return [duty.name for duty in DUTIES.values() if group in duty.groups and duty.single is single]


_SINGLES = {
    duty: [pool for group in _POOLS for pool in _POOLS[group] if group in DUTIES[duty].groups]
    for group in _POOLS
    for duty in _duties(group, single=True)
}


def _some(group: str) -> st.SearchStrategy[frozenset[str]]:
    return st.frozensets(st.sampled_from(_duties(group, single=False)), max_size=3)


@st.composite
def wishes(draw: st.DrawFn) -> Wishes:
    """Random inventories."""
    pools = [(group, pool) for group, names in _POOLS.items() for pool in names]
    return Wishes(
        counts={pool: draw(st.integers(0, 3)) for _, pool in pools},
        many={pool: draw(_some(group)) for group, pool in pools},
        single={duty: draw(st.sampled_from([None, None, *holders])) for duty, holders in _SINGLES.items()},
        tcp=False,
    )


@st.composite
def changing_fleets(draw: st.DrawFn) -> SimulatedFleet:
    """Random inventories, and what a few changes make of them."""
    before = draw(wishes())
    after = Wishes(
        dict(before.counts), dict(before.many), dict(before.single), dict(before.factors), before.shared, before.tcp
    )
    groups = {pool: group for group, names in _POOLS.items() for pool in names}
    pool = st.sampled_from(sorted(groups))
    for kind in draw(
        st.lists(st.sampled_from(("count", "duties", "single", "factor", "shared", "tcp")), min_size=1, max_size=5)
    ):
        if kind == "count":
            after.counts[draw(pool)] = draw(st.integers(0, 3))
        elif kind == "duties":
            name = draw(pool)
            after.many[name] = draw(_some(groups[name]))
        elif kind == "single":
            duty = draw(st.sampled_from(sorted(_SINGLES)))
            after.single[duty] = draw(st.sampled_from([None, *_SINGLES[duty]]))
        elif kind == "factor":
            after.factors[draw(pool)] = 2
        elif kind == "shared":
            after.shared = 2
        elif draw(st.integers(0, 9)) == 0:
            after.tcp = True
    before.release, after.release = draw(
        st.sampled_from((*[("1.163.2", "1.163.2")] * 8, ("1.152.1", "1.163.2"), ("1.163.2", "1.152.1")))
    )
    hosts = draw(st.sampled_from((1, 1, 2)))
    return SimulatedFleet(before.topology(hosts), after.topology(hosts))


def plan_of(fleet: SimulatedFleet) -> Plan:
    return make_plan(fleet.after, fleet.observed(), fleet.after.addresses, fleet.proxies)


def described(fleet: SimulatedFleet, plan: Plan) -> str:
    lines = [f"wave {wave.proxy} {wave.held}: {[(s.action, s.name) for s in wave.steps]}" for wave in plan.waves]
    lines += [f"effects {plan.effects}"]
    return "\n".join([*lines, *plan.order, *fleet.log])


_SETTINGS = tried(250)


@_SETTINGS
@given(changing_fleets())
def test_a_plan_is_safe_at_every_moment_and_announces_what_users_notice(fleet: SimulatedFleet) -> None:
    found = plan_of(fleet)
    try:
        fleet.carry_out(found)
        fleet.finish()
        assert named_by(found.effects) == fleet.noticed
    except Exception:
        note(described(fleet, found))
        raise
    assert plan_of(fleet).waves == ()


@_SETTINGS
@given(changing_fleets(), st.integers(0, 20), st.integers(0, 20))
def test_a_plan_that_was_cut_off_is_finished_by_the_next_one(fleet: SimulatedFleet, waves: int, crashed: int) -> None:
    first = plan_of(fleet)
    fleet.carry_out(first, waves)
    fleet.crash(crashed)
    second = plan_of(fleet)
    try:
        fleet.carry_out(second)
        fleet.finish()
    except Exception:
        note(described(fleet, first))
        note("second plan")
        note(described(fleet, second))
        raise
