# SPDX-License-Identifier: GPL-3.0-or-later
"""Presets fill what the operator leaves open."""

from __future__ import annotations

import pytest
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.duties import DUTIES

from tests.unit.fleets import PRESET_NAMES, TRANSPORTS, names, one_host


def test_the_presets_are_those_of_the_design() -> None:
    assert PRESET_NAMES == ("monolith", "small", "medium", "large", "full")


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("preset", PRESET_NAMES)
def test_every_preset_is_a_fleet_on_one_host(preset: str, transport: str) -> None:
    topology = one_host(synapse_preset=preset, synapse_transport=transport)
    assert bool(topology.workers) == (preset != "monolith")


def test_presets_grow() -> None:
    sizes = [len(one_host(synapse_preset=preset).workers) for preset in ("monolith", "small", "medium", "large")]
    assert sizes == sorted(set(sizes))


def test_without_a_preset_a_fleet_is_a_monolith() -> None:
    assert one_host().workers == one_host(synapse_preset="monolith").workers == ()


def test_full_has_every_duty_and_two_of_everything_that_may_be_many() -> None:
    topology = one_host(synapse_preset="full")
    for duty in DUTIES.values():
        assert len(topology.with_duty(duty.name)) == (1 if duty.single else 2), duty.name


def test_what_the_operator_sets_wins_over_the_preset() -> None:
    small = one_host(synapse_preset="small")
    topology = one_host(synapse_preset="small", generic_workers={"sync": {"count": 3}})
    assert names(worker for worker in topology.workers if worker.group == "generic_workers") == [
        f"synapse1-sync-{index}" for index in (1, 2, 3)
    ]
    for group in ("media_workers", "background_workers"):
        assert [worker for worker in topology.workers if worker.group == group] == [
            worker for worker in small.workers if worker.group == group
        ]


def test_an_empty_variable_turns_a_group_of_the_preset_off() -> None:
    topology = one_host(synapse_preset="small", generic_workers={})
    assert {worker.group for worker in topology.workers} == {"media_workers", "background_workers"}
