# SPDX-License-Identifier: GPL-3.0-or-later
"""All problems of an inventory are reported at once, with names that the operator can change and without secrets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from ansible_collections.baremetal.synapse.plugins.plugin_utils.adapter import ReadableHosts
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.errors import TopologyError
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.inputs import INPUTS
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.inventory import gather
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.names import near_variables
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.schema import table_of
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.topology import Topology, build_topology
from ansible_collections.baremetal.synapse.plugins.plugin_utils.routing.proxy import proxy_upstreams
from jinja2.exceptions import TemplateSyntaxError, UndefinedError

from tests.unit.fleets import SEVERAL_HOSTS, one_host, one_host_inputs, several_hosts

SECRET = "hunter2"


def problems(**variables: Any) -> list[TopologyError]:
    """Returns what is wrong with a fleet on one host that has these variables."""
    with pytest.raises(TopologyError) as caught:
        one_host(**variables)
    return list(caught.value.all)


def test_problems_of_all_kinds_are_reported_together() -> None:
    found = problems(
        synapse_cp_max="many",
        nginx_http_port=70000,
        watchdog_interval="soon",
        worker_hide_config="maybe",
        synapse_verison="1.163.2",
        generic_workers={
            "sync": {"count": -1, "memory_max": "2 GB", "zz": 1},
            "typing": {"count": 2},
            "x": {"duties": ["synk"]},
        },
        synapse_extra_config={"redis": 1, "instance_map": 2},
        redis_port=22,
    )
    assert {(error.variable, error.host) for error in found} == {
        ("synapse_cp_max", None),
        ("nginx_http_port", "synapse1"),
        ("watchdog_interval", "synapse1"),
        ("worker_hide_config", "synapse1"),
        ("synapse_verison", None),
        ("generic_workers.sync.count", "synapse1"),
        ("generic_workers.sync.memory_max", "synapse1"),
        ("generic_workers.sync.zz", "synapse1"),
        ("generic_workers.typing.count", "synapse1"),
        ("generic_workers.x.duties", "synapse1"),
        ("synapse_extra_config.redis", None),
        ("synapse_extra_config.instance_map", None),
        ("redis_port", "synapse1"),
    }


def test_a_problem_of_several_hosts_is_one_line() -> None:
    with pytest.raises(TopologyError) as caught:
        several_hosts(synapse_limit_nofile=1, synapse_address="here")
    lines = str(caught.value).splitlines()
    hosts = "background1, generic1, generic2, main1, media1"
    assert f"synapse_limit_nofile on hosts {hosts} is 1: it is a whole number of open files. " in lines[0]


def test_a_variable_of_a_role_counts_only_where_the_role_runs() -> None:
    assert several_hosts({"db1": {"nginx_http_port": "x"}, "proxy1": {"postgres_memory_mib": "x"}})


@pytest.mark.parametrize(
    "variables",
    [
        {"synapse_extra_config": SECRET},
        {"synapse_extra_config": [SECRET]},
        {"synapse_main_settings": {"env": {"A": f"a\n{SECRET}"}}},
        {"synapse_main_settings": {"password": SECRET}},
        {"generic_workers": {"sync": SECRET}},
        {"generic_workers": {"sync": {"env": {"A": [SECRET]}, "password": SECRET, "extra_config": SECRET}}},
        {"media_workers": SECRET},
        {"postgres_settings": SECRET},
        {"synapse_install_environment": {"https_proxy": f"{SECRET}\n"}},
        {"synapse_signing_key": SECRET},
        {"synapse_registration_shared_secret": SECRET},
        {"synapse_secrets": SECRET},
        {"synapse_secrets": {"signing_key": SECRET}},
        {"synapse_extraconfig": SECRET},
    ],
)
def test_a_message_shows_no_secret(variables: dict[str, Any]) -> None:
    for error in problems(**variables):
        assert SECRET not in str(error)
        assert "(not shown)" in str(error)


def test_hosts_that_disagree_on_a_secret() -> None:
    hosts: dict[str, Any] = {"media1": {"synapse_extra_config": {"turn_shared_secret": SECRET}}}
    with pytest.raises(TopologyError) as caught:
        several_hosts(hosts, synapse_extra_config={"turn_shared_secret": f"{SECRET}2"})
    assert SECRET not in str(caught.value)
    assert "synapse_extra_config on host media1 is (not shown): it is another one on background1" in str(caught.value)


# Names


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("nginx_worker_connection", "nginx_worker_connections"),
        ("nginx_certificate", "nginx_tls_certificate"),
        ("ngnix_ipv6", "nginx_ipv6"),
        ("watchdog_intervall", "watchdog_interval"),
        ("postgress_memory_mib", "postgres_memory_mib"),
        ("synapse_loglevel", "synapse_log_level"),
        ("synaps_server_name", "synapse_server_name"),
        ("plan_confirm", "plan_confirmed"),
        ("rollout_drain_time", "rollout_drain_timeout"),
        ("render_memory", "render_memory_mib"),
        ("worker_hide_configs", "worker_hide_config"),
    ],
)
def test_a_misspelt_name_of_any_role_is_refused_with_the_near_one(name: str, meant: str) -> None:
    (error,) = problems(**{name: SECRET})
    assert (error.variable, error.fix) == (name, f"Did you mean '{meant}'?")


@pytest.mark.parametrize(
    "name",
    """postgresql_version postgresql_port nginx_vhosts nginx_worker_processes nginx_error_log nginx_access_log
    redis_maxmemory redis_package_name redis_bind_interface
    matrix_synapse_version ansible_port ansible_host synapse_extra_config_vault
    vault_synapse_extra_config firewall_rules media_root plan run_as_user worker_count certbot_admin_email""".split(),
)
def test_variables_of_others_are_left_alone(name: str) -> None:
    assert near_variables([name]) == {}


def test_a_group_with_one_letter_less_is_refused_if_it_has_hosts_of_its_own() -> None:
    groups = {**SEVERAL_HOSTS, "generic_worker": ["extra1"]}
    with pytest.raises(TopologyError, match="Did you mean the group 'generic_workers'"):
        several_hosts(groups=groups)
    # The hosts of another application.
    assert several_hosts(groups={**SEVERAL_HOSTS, "postgresql": ["extra1"]})
    # A name for hosts that are in the right group anyway.
    assert several_hosts(groups={**SEVERAL_HOSTS, "generic_worker": ["generic1"]})


def test_an_input_is_in_the_schema_once() -> None:
    entry = INPUTS["nginx_ipv6"]
    with pytest.raises(ValueError, match="the input nginx_ipv6 is in the schema twice"):
        table_of([entry], [entry])


# Ports


@pytest.mark.parametrize(
    ("variables", "variable"),
    [
        ({"redis_port": 10000}, "redis_port"),
        ({"postgres_port": 6379}, "postgres_port"),
        ({"redis_port": 5432}, "redis_port"),
        ({"redis_port": 10000 + 40 * 60, "generic_workers": {"sync": {"port_slot": 60}}}, "redis_port"),
    ],
)
def test_of_two_on_one_port_the_one_that_was_written_is_named(variables: dict[str, Any], variable: str) -> None:
    assert {error.variable for error in problems(**variables)} == {variable}


# Texts


def test_a_name_of_the_command_line_confirms_itself_alone() -> None:
    assert INPUTS["plan_confirmed"].read("gone-events-10") == ["gone-events-10"]
    assert INPUTS["plan_confirmed"].read("main, gone-events-10") == ["main", "gone-events-10"]


# Many workers


def test_the_memory_of_an_upstream_grows_with_its_workers() -> None:
    few = one_host(generic_workers={"client_reader": {"count": 2}})
    pools = {f"r{number}": {"duties": ["client_reader"], "count": 40, "port_slot": 60 + number} for number in range(5)}
    many = one_host(generic_workers=pools)

    def zone(topology: Topology) -> int:
        return max(entry["zone_kib"] or 0 for entry in proxy_upstreams(topology))

    # nginx needs less than 1 KiB for a server: 145 of them did not fit into 128 KiB.
    assert (zone(few), zone(many)) == (128, 400)


# Templates


class Lazy(dict[str, Any]):
    """A mapping whose values fail when they are read, as Ansible's do."""

    def __getitem__(self, key: str) -> Any:
        value = super().__getitem__(key)
        if isinstance(value, Exception):
            raise value
        return value

    def items(self) -> Any:
        return [(key, self[key]) for key in self]


def refused_templates(variables: Mapping[str, Any]) -> list[TopologyError]:
    groups = one_host_inputs()["groups"]
    hosts = {"synapse1": Lazy({"synapse_server_name": "example.org", "synapse_preset": "monolith", **variables})}
    inputs = json.loads(json.dumps(gather(groups, ReadableHosts(hosts))))
    with pytest.raises(TopologyError) as caught:
        build_topology(inputs)
    return list(caught.value.all)


def test_templates_that_fail_are_named_with_the_way_inside_the_variable() -> None:
    mapping = Lazy({"name": UndefinedError("'user' is undefined"), "mail": UndefinedError("'mail' is undefined")})
    found = refused_templates({"synapse_extra_config": Lazy({"oidc_providers": [Lazy({"config": mapping})]})})
    assert [error.variable for error in found] == [
        "synapse_extra_config.oidc_providers.0.config.name",
        "synapse_extra_config.oidc_providers.0.config.mail",
    ]
    assert str(found[0]).startswith(
        "synapse_extra_config.oidc_providers.0.config.name on host synapse1 is (not shown): Ansible evaluates the"
        " template in it, and 'user' is undefined. If the template is for Synapse, write !unsafe before it"
    )


def test_a_template_that_fails_in_a_scalar_shows_none_of_its_text() -> None:
    (error,) = refused_templates({"nginx_http_port": TemplateSyntaxError(f"unexpected {SECRET}", 1)})
    assert (error.variable, error.host) == ("nginx_http_port", "synapse1")
    assert SECRET not in str(error)
    assert "Ansible evaluates the template in it, which fails." in str(error)
