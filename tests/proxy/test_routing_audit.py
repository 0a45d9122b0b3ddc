# SPDX-License-Identifier: GPL-3.0-or-later
"""The module that audits a host, with a real nginx and the files of an example."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.baremetal.synapse.plugins.modules.routing_audit import AuditError, audit
from ansible_collections.baremetal.synapse.plugins.plugin_utils.routing.registry import registry
from ansible_collections.baremetal.synapse.plugins.plugin_utils.routing.rules import kept_on_main
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.config import (
    main_config,
    shared_config,
    worker_config,
)

from tools.conformance import fleet_at
from tools.nginx import nginx_binary
from tools.proxy_files import proxy_files

TOPOLOGY = fleet_at("single_host", registry().releases[-1])


@pytest.fixture
def host(tmp_path: Path) -> dict[str, Any]:
    """Returns the options of the module for a host with nginx's files."""
    files = proxy_files(TOPOLOGY, {"nginx_admin_allowed": ["127.0.0.0/8"]})
    options: dict[str, Any] = {"http_conf": str(tmp_path / "http.conf"), "site_conf": str(tmp_path / "site.conf")}
    Path(options["http_conf"]).write_text(files.http)
    Path(options["site_conf"]).write_text(files.site)
    routes = [dataclasses.asdict(route) for route in registry().of(TOPOLOGY.release)]
    own = [main_config(TOPOLOGY), *(worker_config(TOPOLOGY, worker) for worker in TOPOLOGY.workers)]
    return {
        **options,
        "registry": json.dumps({"release": str(TOPOLOGY.release), "routes": routes}, default=str),
        "processes": [json.dumps({"shared": shared_config(TOPOLOGY), "own": own, "mas": False})],
        "kept_on_main": list(kept_on_main()),
        "server_name": TOPOLOGY.server_name,
    }


def test_what_is_deployed_is_right(host: dict[str, Any]) -> None:
    result = audit(host, nginx_binary())
    assert (result["wrong"], result["wrong_count"]) == ([], 0)
    assert result["release"] == str(TOPOLOGY.release)
    requests = {row.split("|")[1].strip(): int(row.split("|")[3]) for row in result["table"][5:]}
    assert requests["main"] > 0
    assert sum(count > 0 for count in requests.values()) > 3


def test_a_pattern_that_somebody_changed_is_found(host: dict[str, Any]) -> None:
    path = Path(host["http_conf"])
    path.write_text(path.read_text().replace("/typing/", "/typingx/"))
    result = audit(host, nginx_binary())
    assert any("/typing/" in line for line in result["wrong"] + result["offloadable"])


def test_what_nginx_refuses_is_told_with_the_files(host: dict[str, Any]) -> None:
    path = Path(host["site_conf"])
    path.write_text(path.read_text().replace("merge_slashes off;", "no_such off;"))
    with pytest.raises(AuditError, match=rf'{path}: (?s:.*)unknown directive "no_such" in site.conf:[0-9]+'):
        audit(host, nginx_binary())
