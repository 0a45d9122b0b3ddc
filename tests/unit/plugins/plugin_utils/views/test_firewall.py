# SPDX-License-Identifier: GPL-3.0-or-later
"""Every private listener is closed to all but those who need it, and a worker more changes no rule."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.errors import TopologyError
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.topology import Topology, build_topology
from ansible_collections.baremetal.synapse.plugins.plugin_utils.views.firewall import firewall_rules

from tests.unit.fleets import ADDRESSES, SEVERAL_HOSTS, every_fleet, example, inventory, one_host, several_hosts

FLEETS = {name: fleet for name, fleet in every_fleet().items() if len(fleet.addresses) > 1}
CLUSTER = example("cluster")


def admitted(topology: Topology, host: str, port: int) -> list[str] | None:
    """Returns the networks from which a port of a host is reached; None if the rules leave it alone."""
    for listener in firewall_rules(topology, host)["listeners"]:
        first, _, last = listener["ports"].partition("-")
        if int(first) <= port <= int(last or first):
            return list(listener["sources"])
    return None


def hosts(topology: Topology, sources: list[str] | None) -> set[str]:
    """Returns the hosts whose addresses are among the networks."""
    networks = [ip_network(entry) for entry in sources or ()]
    return {host for host, address in topology.addresses.items() if any(ip_address(address) in n for n in networks)}


@pytest.mark.parametrize("topology", FLEETS.values(), ids=FLEETS)
def test_every_listener_is_open_for_those_who_need_it_and_for_nobody_else(topology: Topology) -> None:
    synapse = {process.host for process in topology.processes}
    for service, port in (("postgres", 5432), ("redis", 6379)):
        (host,) = topology.hosts_of(service)
        assert hosts(topology, admitted(topology, host, port)) == synapse
    for process in topology.processes:
        assert hosts(topology, admitted(topology, process.host, process.http_port)) == set(topology.hosts_of("nginx"))
        assert hosts(topology, admitted(topology, process.host, process.replication_port)) == synapse
        assert admitted(topology, process.host, process.metrics_port) == []


@pytest.mark.parametrize("port", [22, 80, 443, 8448, 9100, 32768])
def test_other_ports_are_left_alone(port: int) -> None:
    assert {host: admitted(CLUSTER, host, port) for host in CLUSTER.addresses} == dict.fromkeys(CLUSTER.addresses)


def test_a_host_without_private_listeners_needs_no_rules() -> None:
    assert firewall_rules(CLUSTER, "edge1")["listeners"] == []


def kept_away(topology: Topology, host: str, target: str, port: int) -> list[str] | None:
    """Returns the accounts of a host that may reach a port of a host; None if all may."""
    for rule in firewall_rules(topology, host)["users"]:
        first, _, last = rule["ports"].partition("-")
        if int(first) <= port <= int(last or first) and topology.addresses[target] in rule["addresses"]:
            return list(rule["users"])
    return None


@pytest.mark.parametrize("topology", FLEETS.values(), ids=FLEETS)
def test_people_on_a_host_go_through_nginx(topology: Topology) -> None:
    """Wherever nginx or Synapse may connect, people of the same host may not."""
    for process in topology.processes:
        for host in {process.host, *topology.hosts_of("nginx")}:
            assert kept_away(topology, host, process.host, process.http_port) == ["0", "100-999", "33"]
        for host in topology.process_hosts:
            assert kept_away(topology, host, process.host, process.replication_port) == ["0", "100-999"]
            assert kept_away(topology, host, process.host, process.metrics_port) is None


def test_a_host_that_may_not_connect_anyway_needs_no_such_rule() -> None:
    assert firewall_rules(CLUSTER, "db1")["users"] == []


def test_people_on_the_only_host_go_through_nginx_too() -> None:
    topology = one_host(synapse_preset="small", synapse_transport="tcp")
    assert kept_away(topology, "synapse1", "synapse1", topology.main.http_port) == ["0", "100-999", "33"]


def test_sockets_have_permissions_instead() -> None:
    assert firewall_rules(one_host(synapse_preset="small"), "synapse1")["users"] == []


@pytest.mark.parametrize("transport", ["unix", "tcp"])
def test_one_host_that_listens_on_loopback_is_not_reached_by_others(transport: str) -> None:
    topology = one_host(synapse_preset="small", synapse_transport=transport)
    assert firewall_rules(topology, "synapse1")["listeners"] == []


def test_one_host_that_listens_on_an_address_of_its_own_is_closed() -> None:
    topology = one_host(synapse_preset="small", synapse_transport="tcp", synapse_address="10.0.0.9")
    assert admitted(topology, "synapse1", topology.main.http_port) == ["10.0.0.9"]


def test_workers_and_pools_that_come_and_go_change_no_rule() -> None:
    pools: list[dict[str, Any]] = [{"sync": {"count": 1}}, {"sync": {"count": 9}, "client_reader": {}}]
    one, many = (several_hosts(generic_workers=written) for written in pools)
    for host in ADDRESSES:
        assert firewall_rules(one, host) == firewall_rules(many, host)


def test_metrics_are_open_for_the_networks_that_the_operator_names() -> None:
    allowed = ["10.9.0.0/24", "10.8.0.7", "2001:db8::/32", "10.8.0.7/32"]
    topology = several_hosts(synapse_metrics_allowed=allowed, generic_workers={"sync": {}})
    worker = topology.workers[0]
    assert admitted(topology, worker.host, worker.metrics_port) == ["10.8.0.7", "10.9.0.0/24"]


def test_rules_do_not_depend_on_how_an_address_is_written() -> None:
    written: dict[str, Any] = {
        host: {"synapse_address": f"2001:DB8:0::{number}"} for number, host in enumerate(ADDRESSES, 1)
    }
    found = firewall_rules(several_hosts_of(written), "db1")
    assert (found["family"], found["address"]) == ("ip6", "2001:db8::1")
    assert found["listeners"][0]["sources"][0] == "2001:db8::3"


def several_hosts_of(per_host: dict[str, Any]) -> Topology:
    """Returns the fleet with other addresses."""
    return build_topology(inventory(SEVERAL_HOSTS, {"synapse_server_name": "example.org"}, per_host))


def test_a_host_that_the_fleet_has_not_got() -> None:
    with pytest.raises(TopologyError, match=r"host is 'app3': the topology has no such host. Did you mean 'app"):
        firewall_rules(CLUSTER, "app3")


def test_a_host_of_workers_without_pools_takes_part_in_nothing() -> None:
    topology = several_hosts({"generic1": {"generic_workers": {"sync": {}}}, "generic2": {"generic_workers": {}}})
    assert firewall_rules(topology, "generic2")["listeners"] == []
    sources = admitted(topology, "db1", 5432)
    assert hosts(topology, sources) == {"main1", "generic1"}
