# SPDX-License-Identifier: GPL-3.0-or-later
"""Arguments that an operator adds to Synapse's connections to PostgreSQL."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.errors import TopologyError
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.config import main_config, shared_config

from tests.unit.fleets import one_host

KEEPALIVES = {"keepalives_idle": 60, "keepalives_interval": 10, "cp_reconnect": True}


def test_arguments_are_added_to_the_computed_ones_in_every_file() -> None:
    topology = one_host(synapse_database_args=KEEPALIVES, synapse_main_settings={"cp_max": 9})
    for config, cp_max in ((shared_config(topology), 5), (main_config(topology), 9)):
        arguments = config["database"]["args"]
        assert arguments.items() >= KEEPALIVES.items()
        assert arguments["dbname"] == "synapse"
        assert arguments["cp_max"] == cp_max


@pytest.mark.parametrize(
    ("arguments", "reason", "fix"),
    [
        ({"cp_max": 9}, "cp_max is computed", "synapse_cp_max"),
        ({"host": "db", "port": 1}, "host and port are computed", "postgres_port"),
        ({"password": "hunter2"}, "password is computed", "synapse_secrets.database_password"),
        ({"Keep-alive": 1}, "no valid name", "lower-case"),
        ({"keepalives_idle": [60]}, "keepalives_idle is no text", "one value"),
        ("keepalives_idle", "mapping", ""),
    ],
)
def test_what_is_computed_or_no_argument_is_refused_without_its_value(arguments: Any, reason: str, fix: str) -> None:
    with pytest.raises(TopologyError) as refused:
        one_host(synapse_database_args=arguments)
    message = str(refused.value)
    assert message.startswith("synapse_database_args is (not shown): ")
    assert reason in message
    assert fix in message
    assert "hunter2" not in message


def test_a_database_in_extra_config_is_refused_with_the_variable_that_serves() -> None:
    with pytest.raises(TopologyError, match="use synapse_database_args"):
        one_host(synapse_extra_config={"database": {"args": KEEPALIVES}})
