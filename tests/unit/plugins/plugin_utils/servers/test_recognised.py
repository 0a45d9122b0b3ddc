# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet of an earlier release keeps the socket of its Redis."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.topology import parse_topology
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.config import shared_config

from tests.unit.filters import load_filter
from tests.unit.fleets import one_host_inputs, several_hosts_inputs

OURS = {"package": "redis-server", "name": "default", "ours": True, "running": None, "content": None}


def socket(inputs: dict[str, Any], *instances: dict[str, Any], host: str = "synapse1") -> str:
    known = load_filter("recognised")(json.dumps(inputs), host, {"redis_instances": list(instances)})
    return str(shared_config(parse_topology(known))["redis"]["path"])


def test_a_fleet_on_one_host_keeps_its_socket() -> None:
    assert socket(one_host_inputs(), OURS) == "/run/redis/redis-server.sock"


@pytest.mark.parametrize(
    ("instances", "variables"),
    [
        ((), {}),
        (({**OURS, "ours": False},), {}),
        ((OURS, {**OURS, "name": "synapse"}), {}),
        ((OURS,), {"redis_instance": "synapse"}),
    ],
)
def test_every_other_one_has_a_socket_of_its_own(
    instances: tuple[dict[str, Any], ...], variables: dict[str, str]
) -> None:
    assert socket(one_host_inputs(**variables), *instances) == "/run/redis-synapse/redis-server.sock"


def test_the_text_stays_the_same_where_nothing_is_recognised() -> None:
    text = json.dumps(one_host_inputs())
    assert load_filter("recognised")(text, "synapse1", {"redis_instances": []}) == text
    several = json.dumps(several_hosts_inputs())
    assert load_filter("recognised")(several, "cache1", {"redis_instances": [OURS]}) == several
