# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports that other programs of a host have: refused, with the program."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.ports_in_use import check_ports_in_use
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.topology import Topology

from tests.unit.fleets import one_host, several_hosts


def taken(port: int, unit: str = "caddy.service", address: str = "0.0.0.0", program: str = "caddy") -> dict[str, Any]:  # noqa: S104
    return {"address": address, "port": port, "program": program, "unit": unit}


def refused(*ports: dict[str, Any], topology: Topology | None = None, host: str = "synapse1") -> list[str]:
    return [str(problem) for problem in check_ports_in_use(topology or one_host(), host, {"ports": list(ports)})]


@pytest.mark.parametrize("port", [80, 443, 8448])
def test_a_port_of_nginx_that_another_program_has(port: int) -> None:
    assert refused(taken(port, address="127.0.0.1")) == [
        f"inventory on host synapse1 is {port}: caddy (caddy.service) listens on this port, which nginx needs. Stop"
        " caddy there, or run nginx on another host."
    ]


def test_the_services_themselves_hold_their_ports() -> None:
    assert refused(taken(443, "nginx.service"), taken(24400, "matrix-synapse.service", "127.0.0.1")) == []
    worker = taken(24960, "matrix-synapse-worker@synapse1-sync-1.service", "127.0.0.1")
    assert refused(worker, topology=one_host(generic_workers={"sync": {}})) == []


def test_a_port_that_the_fleet_does_not_need_is_left_alone() -> None:
    assert refused(taken(22), taken(10000), taken(24401)) == []


def test_a_port_of_a_process() -> None:
    fleet = one_host(generic_workers={"sync": {"count": 2}})
    (problem,) = refused(taken(24961, "exporter.service", program="exporter"), topology=fleet)
    assert problem == (
        "generic_workers.sync.port_slot on host synapse1 is 24961: exporter (exporter.service) listens on this port,"
        " which Synapse needs. Stop exporter there, or set generic_workers.sync.port_slot so that it does not take this"
        " port."
    )
    (problem,) = refused(taken(24400))
    assert problem.startswith("inventory on host synapse1 is 24400: caddy")


@pytest.mark.parametrize(
    ("address", "count"),
    [("10.0.0.3", 1), ("::", 1), ("0.0.0.0", 1), ("::ffff:10.0.0.3", 1), ("127.0.0.1", 0), ("10.0.0.4", 0)],  # noqa: S104
)
def test_with_tcp_the_address_counts(address: str, count: int) -> None:
    problems = refused(taken(10000, address=address), topology=several_hosts(), host="main1")
    assert len(problems) == count


def test_a_program_of_a_container_has_no_name() -> None:
    (problem,) = refused(taken(443, "", program=""))
    assert "a program of a container listens on this port" in problem


def test_a_host_that_was_not_asked() -> None:
    assert list(check_ports_in_use(one_host(), "synapse1", {})) == []
