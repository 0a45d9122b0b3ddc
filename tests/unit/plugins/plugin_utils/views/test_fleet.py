# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles learn of the fleet."""

from __future__ import annotations

from ansible_collections.baremetal.synapse.plugins.plugin_utils.views.fleet import fleet

from tests.unit.fleets import one_host


def test_variables_of_the_operator_reach_the_roles() -> None:
    view = fleet(
        one_host(
            synapse_version="1.162.0",
            synapse_media_store_path="/srv/media",
            synapse_jemalloc=False,
            postgres_port=5433,
            redis_port=6380,
            redis_package="valkey-server",
        )
    )
    assert view["release"] == "1.162.0"
    assert view["media_store_path"] == "/srv/media"
    assert view["jemalloc"] is False
    assert view["database"]["port"] == 5433
    assert view["redis"] == {
        "package": "valkey-server",
        "group": "valkey",
        "socket": "/run/valkey-synapse/valkey-server.sock",
        "host": "synapse1",
        "address": "127.0.0.1",
        "port": 6380,
    }
