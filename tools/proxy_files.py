# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints nginx's files of a fleet from the role's own templates, without a run of Ansible.

For tests and benchmarks that need many fleets and releases. ``tests/render`` shows that ``playbooks/render.yml`` gives
the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from ansible.plugins.filter.core import comment
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.inputs import INPUTS
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.layout import layout
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.schema import read_all
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.topology import Topology
from ansible_collections.baremetal.synapse.plugins.plugin_utils.rendering.quoting import quoted
from ansible_collections.baremetal.synapse.plugins.plugin_utils.routing.maps import proxy_maps
from ansible_collections.baremetal.synapse.plugins.plugin_utils.routing.proxy import (
    proxy_locations,
    proxy_server,
    proxy_upstreams,
)
from ansible_collections.baremetal.synapse.plugins.plugin_utils.servers.nginx_edge import proxy_edge
from ansible_collections.baremetal.synapse.plugins.plugin_utils.views.fleet import fleet
from jinja2 import Environment, FileSystemLoader, StrictUndefined

ROLE = Path(__file__).resolve().parent.parent / "roles" / "nginx"


@dataclass(frozen=True)
class ProxyFiles:
    """nginx's two files.

    Attributes:
        http: maps and upstreams, for the http block.
        site: the server blocks.
    """

    http: str
    site: str


def proxy_files(
    topology: Topology,
    settings: Mapping[str, Any] | None = None,
    *,
    debian: int = 13,
    tenants: Mapping[str, Any] | None = None,
) -> ProxyFiles:
    """Returns nginx's files of a fleet.

    Args:
        topology: the fleet.
        settings: variables of the role nginx that differ from its defaults; others may be among them.
        debian: the version of Debian on the hosts.
        tenants: what the module host_survey has found of nginx.
    """
    defaults = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())
    variables = read_all(INPUTS, {**defaults, "nginx_tls_self_signed": True, **(settings or {})})
    certificate = variables["nginx_tls_certificate"] or "/etc/ssl/certs/matrix-synapse.pem"
    key = variables["nginx_tls_certificate_key"] or "/etc/ssl/private/matrix-synapse.key"
    environment = Environment(
        loader=FileSystemLoader(ROLE / "templates"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701  # nginx's language, not HTML
    )
    environment.filters["comment"] = comment
    environment.filters["baremetal.synapse.quoted"] = quoted
    environment.filters["bool"] = bool
    host = topology.hosts_of("nginx")[0]
    surveyed = {"distribution": "Debian", "distribution_major_version": str(debian), "nginx": tenants}
    values = {
        **{f"__{name}": value for name, value in variables.items()},
        "ansible_managed": "Ansible managed",
        "topology_fleet": fleet(topology),
        "topology_layout": layout(),
        "__nginx_server": proxy_server(topology),
        "__nginx_maps": proxy_maps(topology),
        "__nginx_upstreams": proxy_upstreams(topology),
        "__nginx_locations": proxy_locations(topology),
        "__nginx_http2_directive": debian >= 13,
        "__nginx_edge": proxy_edge(topology, host, surveyed, variables),
        "__nginx_certificate": certificate,
        "__nginx_certificate_key": key,
    }
    return ProxyFiles(
        http=environment.get_template("http.conf.j2").render(values),
        site=environment.get_template("site.conf.j2").render(values),
    )
