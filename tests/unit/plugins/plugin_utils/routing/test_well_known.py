# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told below ``/.well-known/matrix/``; tests/render compares it with what Synapse answers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.errors import TopologyError
from ansible_collections.baremetal.synapse.plugins.plugin_utils.routing.proxy import proxy_server, proxy_upstreams

from tests.unit.fleets import one_host
from tools.proxy_files import proxy_files

MAS = {"matrix_authentication_service": {"enabled": True, "endpoint": "http://127.0.0.1:8090", "secret": "x"}}


@pytest.mark.parametrize(("preset", "upstream"), [("monolith", "synapse_main"), ("medium", "synapse_client_reader")])
def test_synapse_tells_clients_of_matrix_authentication_service(preset: str, upstream: str) -> None:
    topology = one_host(synapse_preset=preset, synapse_extra_config=MAS)
    view = proxy_server(topology)
    assert view["well_known"]["client"] is None
    assert view["well_known_upstream"] == upstream
    assert upstream in {entry["name"] for entry in proxy_upstreams(topology)}
    site = proxy_files(topology).site
    location = site[site.index("location = /.well-known/matrix/client") :]
    assert f"proxy_pass http://{upstream};" in location[: location.index("}")]


def test_other_keys_than_the_computed_ones_may_be_added() -> None:
    view = proxy_server(one_host(synapse_well_known={"server": {"org.example": "x"}}))["well_known"]
    assert json.loads(view["server"]) == {"m.server": "example.org:443", "org.example": "x"}
    assert view["support"] is None


@pytest.mark.parametrize(
    ("added", "told"),
    [
        ({"client": {}}, "extra_well_known_client_content"),
        ({"sever": {}}, "Write server or support."),
        ({"server": {"m.server": "https://example.org"}}, "m.server is no name of a server"),
        ({"server": []}, "server: it is a mapping"),
        ({"support": {}}, "support: it has neither contacts nor a support_page"),
        ({"support": {"support_page": "here"}}, "support_page is no URL"),
        ({"support": {"contacts": [{"role": "m.role.admin"}]}}, "an email_address or a matrix_id"),
        ({"support": {"contacts": [{"matrix_id": "@a:b"}]}}, "each of contacts has a role"),
    ],
)
def test_an_answer_that_no_client_could_read_is_refused(added: dict[str, Any], told: str) -> None:
    with pytest.raises(TopologyError) as caught:
        one_host(synapse_well_known=added)
    assert told in str(caught.value)
