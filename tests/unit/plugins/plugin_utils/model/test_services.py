# SPDX-License-Identifier: GPL-3.0-or-later
"""A service is a row of one table: a made-up row appears wherever services are dealt with."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, get_args

import pytest
from ansible_collections.baremetal.synapse.plugins.plugin_utils.lifecycle.host_checks import host_problems
from ansible_collections.baremetal.synapse.plugins.plugin_utils.lifecycle.service_needs import service_needs
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.errors import TopologyError
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.inputs import INPUTS
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.inventory import gather
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.kinds import number
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.schema import Input
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.service import Listener, Service, Verb
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.services import (
    SERVICES,
    groups_of,
    tags_problem,
    visited,
)
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.topology import Topology, build_topology
from ansible_collections.baremetal.synapse.plugins.plugin_utils.views.connections import connection_budget
from ansible_collections.baremetal.synapse.plugins.plugin_utils.views.diagram import diagram
from ansible_collections.baremetal.synapse.plugins.plugin_utils.views.firewall import firewall_rules
from ansible_collections.baremetal.synapse.plugins.plugin_utils.views.memory import host_memory
from ansible_collections.baremetal.synapse.plugins.plugin_utils.views.metrics import metrics_targets
from ansible_collections.baremetal.synapse.plugins.plugin_utils.views.visits import visits

from tests.unit.fleets import ADDRESSES, SEVERAL_HOSTS
from tools.docs_tables import ROOT

SURVEY: dict[str, Any] = {
    "distribution": "Debian",
    "distribution_major_version": "13",
    "python_version": "3.13.5",
    "memtotal_mb": 4096,
    "processor_vcpus": 2,
}

# The preset "small" on several hosts: one host of each group.
GROUPS = {**SEVERAL_HOSTS, "generic_workers": ["generic1"]}


def _memory(
    _topology: Topology, _host: str, _memory_mib: int, variables: Mapping[str, Any]
) -> Iterator[tuple[str, int]]:
    yield "Archive", int(variables.get("archive_mib") or 100)


def _check(
    _topology: Topology, host: str, _found: Mapping[str, Any], variables: Mapping[str, Any]
) -> Iterator[TopologyError]:
    if variables.get("archive_mib") == 0:
        yield TopologyError("archive_mib", 0, "the archive needs memory", "Set it to 1 or more.", host)


ARCHIVE = Service(
    name="archive",
    title="Archive",
    groups=("archive",),
    least=1,
    most=2,
    verbs=("install", "files", "activate", "remove"),
    tags=("archive",),
    listeners=(
        Listener(name="archive", about="the archive", port=5500, count=2, clients=("postgres",), metrics="archives"),
    ),
    memory=_memory,
    connections=3,
    checks=(_check,),
    restart_effect="While the archive restarts, nothing is archived.",
    column="services",
    serves="archiving",
)


def build(row: Service = ARCHIVE, hosts: tuple[str, ...] = ("vault1",), **variables: Any) -> Topology:
    """Returns a fleet of several hosts with one more service."""
    table = (*SERVICES, row)
    groups = {**GROUPS, **{group: list(hosts) for group in row.groups}}
    addresses = {**ADDRESSES, "vault1": "10.0.0.20", "vault2": "10.0.0.21", "vault3": "10.0.0.22"}
    common = {"synapse_server_name": "example.org", "synapse_preset": "small", **variables}
    members = {host for names in groups.values() for host in names}
    hostvars = {host: {**common, "synapse_address": addresses[host]} for host in members}
    return build_topology(gather(groups, hostvars, table), table)


def refusal(row: Service = ARCHIVE, hosts: tuple[str, ...] = ("vault1",), **variables: Any) -> TopologyError:
    """Returns why the fleet with one more service cannot be."""
    with pytest.raises(TopologyError) as caught:
        build(row, hosts, **variables)
    return caught.value


# The table


def test_names_and_listeners_are_there_once() -> None:
    names = [service.name for service in SERVICES]
    listeners = [listener.name for service in SERVICES for listener in service.listeners]
    assert len(set(names)) == len(names)
    assert len(set(listeners)) == len(listeners)


@pytest.mark.parametrize("service", SERVICES, ids=[service.name for service in SERVICES])
def test_a_row_refers_to_what_exists(service: Service) -> None:
    assert service.verbs
    assert set(service.verbs) <= set(get_args(Verb))
    assert service.tags
    for listener in service.listeners:
        assert set(listener.clients) <= {row.name for row in SERVICES}
        assert isinstance(listener.port, int) or listener.port in INPUTS
        assert listener.networks is None or listener.networks in INPUTS
        assert not (listener.public and (listener.clients or listener.networks))
    assert service.serves is None or service.column == "services"
    assert service.most is None or service.least <= service.most


@pytest.mark.parametrize("service", SERVICES, ids=[service.name for service in SERVICES])
def test_no_two_listeners_of_a_service_share_a_port(service: Service) -> None:
    options = {name: entry.default for name, entry in INPUTS.items()}
    ports = [
        port
        for listener in service.listeners
        for port in range(listener.first_port(options), listener.first_port(options) + listener.count)
    ]
    assert len(set(ports)) == len(ports)


def test_inputs_of_a_service_are_those_of_a_row() -> None:
    assert {entry.on for entry in INPUTS.values()} - {None} <= {service.name for service in SERVICES}


# A row more


def test_its_group_is_one_of_the_fleet() -> None:
    topology = build(hosts=("vault1", "vault2"))
    assert groups_of(topology.services)[-1] == "archive"
    assert topology.hosts_of(ARCHIVE) == topology.hosts_of("archive") == ("vault1", "vault2")
    assert topology.host_of("archive") == "vault1"
    assert topology.address_of("archive") == "10.0.0.20"


@pytest.mark.parametrize(
    ("row", "hosts", "reason", "fix"),
    [
        (
            ARCHIVE,
            (),
            "the group archive does not exist or has no host",
            "Put a host into the group archive.",
        ),
        (
            ARCHIVE,
            ("vault1", "vault2", "vault3"),
            "the group archive takes 2 hosts at most",
            "Leave 2 of them in it.",
        ),
        (
            replace(ARCHIVE, least=2),
            ("vault1",),
            "the group archive needs 2 hosts",
            "Put more hosts into the group archive.",
        ),
        (
            replace(ARCHIVE, least=0, workers_need_it="workers read it"),
            (),
            "the group archive does not exist or has no host, and workers read it",
            "Put a host into the group archive.",
        ),
    ],
)
def test_the_number_of_its_hosts_is_checked(row: Service, hosts: tuple[str, ...], reason: str, fix: str) -> None:
    error = refusal(row, hosts)
    assert (error.variable, error.reason, error.fix) == ("inventory", reason, fix)


def test_what_only_workers_need_a_monolith_does_without() -> None:
    row = replace(ARCHIVE, least=0, workers_need_it="workers read it")
    assert build(row, (), synapse_preset="monolith").hosts_of("archive") == ()


def test_a_misspelt_group_is_told() -> None:
    table = (*SERVICES, ARCHIVE)
    groups = {**GROUPS, "archiv": ["vault1"]}
    hostvars = {host: {"synapse_server_name": "example.org"} for names in groups.values() for host in names}
    with pytest.raises(TopologyError, match="Did you mean the group 'archive'"):
        build_topology(gather(groups, hostvars, table), table)


def test_it_is_visited_on_its_hosts_and_taken_away_elsewhere() -> None:
    topology = build()
    assert visits(topology, "vault1", "install") == ["firewall", "archive"]
    assert "archive" not in visits(topology, "db1", "install")
    assert "archive" in visits(topology, "db1", "remove")
    assert "archive" not in visits(topology, "vault1", "remove")
    assert visits(topology, "vault1", "files", run_tags=["archive"]) == ["archive"]
    assert [row.name for row in visited("remove", services=topology.services)] == ["synapse", "archive"]


def test_a_service_of_every_host_is_visited_on_every_host() -> None:
    topology = build(replace(ARCHIVE, groups=(), least=0, most=None))
    assert all("archive" in visits(topology, host, "install") for host in topology.addresses)
    assert set(topology.hosts_of("archive")) == set(ADDRESSES) - {"generic2"}


def test_the_firewall_closes_it_to_all_but_its_clients() -> None:
    topology = build()
    assert firewall_rules(topology, "vault1")["listeners"] == [
        {"name": "archive", "about": "the archive", "ports": "5500-5501", "sources": ["10.0.0.1"]}
    ]
    assert "archive" not in [entry["name"] for entry in firewall_rules(topology, "db1")["listeners"]]


def test_the_firewall_leaves_alone_what_is_public() -> None:
    row = replace(ARCHIVE, listeners=(Listener(name="archive", about="the archive", port=5500, public=True),))
    assert firewall_rules(build(row), "vault1")["listeners"] == []


def test_networks_of_an_input_are_admitted_beside_clients() -> None:
    listener = replace(ARCHIVE.listeners[0], networks="synapse_metrics_allowed")
    topology = build(replace(ARCHIVE, listeners=(listener,)), synapse_metrics_allowed=["10.9.0.0/24", "2001:db8::/32"])
    assert firewall_rules(topology, "vault1")["listeners"][0]["sources"] == ["10.0.0.1", "10.9.0.0/24"]


def test_its_memory_and_its_checks_count(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = Input(name="archive_mib", about="Memory.", kind=number(0, 9999, "MiB"), per_host=True, role="archive")
    monkeypatch.setitem(INPUTS, "archive_mib", entry)
    topology = build()
    assert host_memory(topology, "vault1", 4096, {"archive_mib": 300})["parts"] == [{"name": "Archive", "mib": 300}]
    assert host_memory(topology, "db1", 4096, {"postgres_settings": {"shared_buffers": "1GB"}})["sum"] == 1024

    def problems(host: str, **variables: Any) -> list[str]:
        return host_problems(topology, {host: {"seen": SURVEY, **variables}}, surveyed="seen")

    assert problems("vault1") == []
    assert problems("vault1", archive_mib=0) == [
        "archive_mib on host vault1 is 0: the archive needs memory. Set it to 1 or more."
    ]
    assert problems("main1", archive_mib=0) == []
    (problem,) = problems("vault1", archive_mib="much")
    assert "archive_mib on host vault1 is 'much': it is a whole number of MiB" in problem
    (problem,) = problems("vault1", archive_mib="5000")
    assert "memory_max on host vault1 is '5000 MiB'" in problem


def test_its_connections_are_admitted() -> None:
    topology = build(replace(ARCHIVE, connections=150), ("vault1", "vault2"))
    budget = connection_budget(topology)
    own = [part for part in budget["parts"] if part["name"].startswith("Archive")]
    assert own == [{"name": f"Archive on {host}", "connections": 150} for host in ("vault1", "vault2")]
    assert budget["sum"] == 300 + connection_budget(build(replace(ARCHIVE, connections=0)))["sum"]
    assert budget["max_connections"] == 400


def test_it_is_drawn_with_lines_from_the_processes() -> None:
    picture = diagram(build())
    without = diagram(build(replace(ARCHIVE, column=None, serves=None)))
    assert "Archive on vault1" in picture
    assert ">Archive</text>" in picture
    assert ">archiving</text>" in picture
    assert picture.count('class="line archiving"') > 3
    assert ".line.sql,.line.replication,.line.archiving{stroke:" in picture
    assert "Archive" not in without
    assert "archiving" not in without


def test_lines_to_more_services_stay_in_the_space_between_the_columns() -> None:
    rows = [
        replace(
            ARCHIVE,
            name=f"more{number}",
            title=f"More {number}",
            serves=f"use {number}",
            groups=("nginx",),
            least=0,
            most=None,
            listeners=(),
        )
        for number in range(5)
    ]
    table = (*SERVICES, *rows)
    hostvars = {
        host: {"synapse_server_name": "example.org", "synapse_address": address, "synapse_preset": "small"}
        for host, address in ADDRESSES.items()
    }
    picture = diagram(build_topology(gather(GROUPS, hostvars, table), table))
    right_of_processes, left_of_services = 416 + 276, 784
    for line in range(5):
        vertical = picture.split(f'class="line use-{line}"')[0].rsplit('points="', 1)[1]
        x = float(vertical.split(",")[0])
        assert right_of_processes < x < left_of_services


def test_prometheus_finds_its_metrics() -> None:
    assert metrics_targets(build())[-1] == {
        "targets": ["10.0.0.20:5500"],
        "labels": {"job": "archives", "index": "1", "instance": "example.org", "host": "vault1"},
    }


def test_the_plan_is_asked_to_restart_it() -> None:
    topology = build(hosts=("vault1", "vault2"))
    step = {"unit": "archive.service", "action": "restart", "reason": "its settings change"}
    database = {"unit": "postgresql@17-main.service", "action": "restart", "reason": "port changes", "moves": "port"}
    variables: dict[str, dict[str, Any]] = {host: {} for host in topology.addresses}
    variables["vault1"] = {"archive_step": step}
    variables["vault2"] = {"archive_step": {}}
    variables["db1"] = {"postgres_step": database}
    # Not of its hosts, and not a service that the plan may restart.
    variables["main1"] = {"archive_step": step, "synapse_step": step}
    needs = service_needs(topology, variables, list(topology.addresses))
    assert needs == [
        {
            "service": "postgres",
            "title": "PostgreSQL",
            "host": "db1",
            **database,
            "effect": "While PostgreSQL restarts, all that needs the database fails or waits for some seconds.",
        },
        {
            "service": "archive",
            "title": "Archive",
            "host": "vault1",
            **step,
            "effect": ARCHIVE.restart_effect,
            "moves": "",
        },
    ]
    assert service_needs(topology, {"db1": {}}, ["db1"]) == []


# Ports


def test_two_services_of_a_host_with_the_same_port_are_refused() -> None:
    row = replace(ARCHIVE, listeners=(Listener(name="archive", about="the archive", port=8448),))
    error = refusal(row, ("proxy1",))
    assert (error.variable, error.value, error.host) == ("inventory", 8448, "proxy1")
    assert error.reason == "nginx and archive would both use this port"
    assert error.fix == "Run nginx and archive on different hosts."
    assert build(row, ("vault1",))


def test_ssh_keeps_its_port() -> None:
    row = replace(ARCHIVE, listeners=(Listener(name="archive", about="the archive", port=22),))
    assert refusal(row).reason == "SSH and archive would both use this port"


@pytest.mark.parametrize("port", [5500, 5501])
def test_what_has_a_variable_gives_way(port: int) -> None:
    error = refusal(ARCHIVE, ("db1",), postgres_port=port)
    assert (error.variable, error.value, error.host) == ("postgres_port", port, "db1")
    assert error.reason == "archive and postgres would both use this port"
    assert error.fix == "Choose another port."


def test_processes_give_way_and_take_no_more_than_their_ports_of_a_band() -> None:
    main = build().main
    row = replace(ARCHIVE, listeners=(Listener(name="archive", about="the archive", port=main.metrics_port),))
    error = refusal(row, ("main1",))
    assert (error.variable, error.host) == ("inventory", "main1")
    free = replace(ARCHIVE, listeners=(Listener(name="archive", about="the archive", port=main.metrics_port + 1),))
    assert build(free, ("main1",))


@pytest.mark.parametrize("tag", ["all", "synapse", "postgres", "redis"])
def test_a_run_of_a_part_makes_the_secrets_that_the_part_uses(tag: str) -> None:
    assert [service.name for service in visited("secrets", run_tags=[tag])] == ["synapse_main"]
    assert visited("secrets", run_tags=["nginx"]) == ()


WORKERS = ("generic_workers", "media_workers", "background_workers")
# What a part deploys besides the firewall; it leaves everything else of the fleet alone.
PARTS = {
    "postgres": {"postgres"},
    "redis": {"redis"},
    "synapse": {"synapse", "synapse_main", *WORKERS, "watchdog"},
    "nginx": {"nginx"},
    "firewall": set(),
}


@pytest.mark.parametrize("tag", PARTS)
def test_a_run_of_a_part_visits_nothing_of_the_other_parts(tag: str) -> None:
    verbs = [verb for verb in get_args(Verb) if verb != "secrets"]
    named = {service.name for verb in verbs for service in visited(verb, run_tags=[tag])}
    assert named == {"firewall", *PARTS[tag]}


def test_every_part_is_documented() -> None:
    text = (ROOT / "docs" / "operations.md").read_text()
    (listed,) = re.findall(r"^The parts are (.*?);", text, re.DOTALL | re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", listed)) == set(PARTS) == {tag for row in SERVICES for tag in row.tags}


def test_a_service_can_be_skipped_by_its_name() -> None:
    assert [service.name for service in visited("activate", stage="network", skip_tags=["firewall"])] == []
    # What the other parts of the fleet need stays closed.
    assert [service.name for service in visited("activate", stage="network", skip_tags=["postgres"])] == ["firewall"]
    assert "nginx" not in [service.name for service in visited("files", skip_tags=["nginx"])]


def test_tags_that_select_no_service_are_refused() -> None:
    for tags in (["all"], ["nginx"], ["matrix", "synapse"]):
        assert tags_problem(tags) == ""
    assert tags_problem(["matrix"]).startswith("--tags is matrix: none of these tags selects a service")
    assert "Name one or more of firewall, nginx, postgres, redis, synapse" in tags_problem(["ngnix"])
