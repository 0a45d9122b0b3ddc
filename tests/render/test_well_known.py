# SPDX-License-Identifier: GPL-3.0-or-later
"""A real nginx answers below ``/.well-known/matrix/`` what Synapse's own resources answer for the same inventory."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.topology import Topology
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.config import shared_config

from tests.render.test_printed_values import answer, nginx
from tests.unit.fleets import one_host
from tools.proxy_files import proxy_files
from tools.routes.install import environment

FOCI = [{"type": "livekit", "livekit_service_url": "https://rtc.example.org/$1'\\"}]
# What Synapse is told of secrets does not matter here.
SECRETS = {
    "macaroon_secret_key": "a",
    "worker_replication_secret": "b",
    "signing_key": "ed25519 a_test " + "A" * 43,
}
ASK = """
import json, sys
from types import SimpleNamespace
from synapse.config.homeserver import HomeServerConfig
from synapse.rest.well_known import ServerWellKnownResource, WellKnownBuilder

class Request:
    code = 200
    def setResponseCode(self, code):
        self.code = code
    def setHeader(self, name, value):
        pass

def finished(coroutine):
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value

found = []
for options in json.load(sys.stdin):
    config = HomeServerConfig()
    config.parse_config_dict(options, "", "")
    hs = SimpleNamespace(config=config, get_clock=lambda: None, get_auth=lambda: None)
    request = Request()
    server = ServerWellKnownResource(hs).render_GET(request)
    found.append({
        "client": finished(WellKnownBuilder(hs).get_well_known()),
        "server": json.loads(server) if request.code == 200 else None,
    })
print(json.dumps(found))
"""
FLEETS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "own name": {"synapse_public_baseurl": "https://matrix.example.org/"},
    "no slash": {"synapse_public_baseurl": "https://matrix.example.org"},
    "port": {"synapse_public_baseurl": "https://example.org:8443/"},
    "path": {"synapse_public_baseurl": "https://example.org/matrix"},
    "ipv6": {"synapse_server_name": "[2001:db8::1]"},
    "identity server": {"synapse_extra_config": {"default_identity_server": "https://id.example.org"}},
    "no identity server": {"synapse_extra_config": {"default_identity_server": ""}},
    "foci": {"synapse_extra_config": {"extra_well_known_client_content": {"org.matrix.msc4143.rtc_foci": FOCI}}},
    "all": {
        "synapse_extra_config": {
            "default_identity_server": "https://id.example.org",
            "serve_server_wellknown": True,
            "extra_well_known_client_content": {"a": {"b": [1, None, True]}, "c": "é"},
        },
    },
    "no server": {"synapse_extra_config": {"serve_server_wellknown": False}},
    "nothing more": {"synapse_extra_config": {"extra_well_known_client_content": {}}},
    "workers": {"synapse_preset": "small"},
}


def options_of(topology: Topology) -> dict[str, Any]:
    """Returns what Synapse reads, without the files of a host."""
    config = {name: value for name, value in shared_config(topology).items() if not name.endswith("_path")}
    return {**config, **SECRETS, "enable_media_repo": False}


def locations_of(topology: Topology) -> str:
    """Returns the locations of the site that answer."""
    site = proxy_files(topology).site
    return "\n".join(re.findall(r"^  location = /\.well-known/matrix/.*?^  }$", site, re.DOTALL | re.MULTILINE))


@pytest.fixture(scope="module")
def fleets() -> dict[str, Topology]:
    return {name: one_host(**variables) for name, variables in FLEETS.items()}


@pytest.fixture(scope="module")
def of_synapse(fleets: dict[str, Topology]) -> dict[str, Any]:
    """What Synapse answers for each fleet."""
    release = str(next(iter(fleets.values())).release)
    done = subprocess.run(
        [environment(release), "-c", ASK],
        input=json.dumps([options_of(topology) for topology in fleets.values()]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(zip(fleets, json.loads(done.stdout), strict=True))


@pytest.mark.parametrize("name", FLEETS)
def test_nginx_answers_as_synapse_does(
    name: str, fleets: dict[str, Topology], of_synapse: dict[str, Any], tmp_path: Path
) -> None:
    topology = fleets[name]
    with nginx(tmp_path, locations_of(topology)):
        client = json.loads(answer(tmp_path, "/.well-known/matrix/client"))
        server = answer(tmp_path, "/.well-known/matrix/server")
        assert b"404" in answer(tmp_path, "/.well-known/matrix/support")
    assert client == of_synapse[name]["client"]
    off = topology.options["synapse_extra_config"].get("serve_server_wellknown") is False
    assert (b"404" in server) == off
    if topology.options["synapse_extra_config"].get("serve_server_wellknown"):
        assert json.loads(server) == of_synapse[name]["server"]
    elif not off:
        # Synapse answers it only if it is told to; and it knows no other name than that of the server.
        assert json.loads(server)["m.server"].startswith(topology.public_name)


def test_the_operator_adds_answers(tmp_path: Path) -> None:
    support = {"contacts": [{"role": "m.role.admin", "matrix_id": "@admin:example.org"}]}
    added = {"server": {"m.server": "elsewhere.example.org:443"}, "support": support}
    with nginx(tmp_path, locations_of(one_host(synapse_well_known=added))):
        assert json.loads(answer(tmp_path, "/.well-known/matrix/support")) == support
        assert json.loads(answer(tmp_path, "/.well-known/matrix/server")) == added["server"]
