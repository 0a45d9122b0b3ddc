# SPDX-License-Identifier: GPL-3.0-or-later
"""Every wrong inventory is refused with the variable, the value, the reason and the fix."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.errors import TopologyError, did_you_mean
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.inputs import INPUTS
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.layout import pool_slot
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.names import near_variables
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.releases import (
    parse_release,
    postgres_problem,
    python_problem,
)
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.topology import build_topology

from tests.unit.fleets import SEVERAL_HOSTS, one_host, one_host_inputs, several_hosts, several_hosts_inputs

# A fix is a sentence that says what to do, or asks whether a known word was meant.
_FIX = re.compile(
    r"(?:Add|Choose|Did you mean|Known are|Leave|Move|Name|Put|Remove|Rename|Set|Upgrade|Use|Write)\b.*[.?]", re.DOTALL
)


def refusal(build: Callable[[], object]) -> TopologyError:
    """Returns the error, after a look at its form: ``variable [on host X] is value: reason. fix``."""
    with pytest.raises(TopologyError) as caught:
        build()
    for error in caught.value.all:
        where = f" on host {error.host}" if error.host else ""
        value = "not set" if error.value is None else repr(error.value)
        assert str(error) == f"{error.variable}{where} is {value}: {error.reason}. {error.fix}"
        assert _FIX.fullmatch(error.fix), error.fix
        assert error.reason
        assert not error.reason.endswith(".")
    return caught.value


def refused(variable: str, value: object, reason: str, fix: str, host: str | None = None, **variables: Any) -> None:
    """Asserts that a fleet on one host with these variables is refused with these words."""
    error = refusal(lambda: one_host(**variables))
    assert error.variable == variable
    assert error.value == value
    assert reason in error.reason
    assert fix in error.fix
    assert error.host == host


def refused_pool(variable: str, value: object, reason: str, fix: str, written: Any, name: str = "sync") -> None:
    """Asserts that a pool of generic workers is refused."""
    refused(f"generic_workers.{variable}", value, reason, fix, "synapse1", generic_workers={name: written})


def test_a_message_has_variable_host_value_reason_and_fix() -> None:
    assert str(TopologyError("a.b", 3, "it is odd", "Write 4.", host="h")) == "a.b on host h is 3: it is odd. Write 4."
    assert str(TopologyError("a", None, "it is needed", "Set it.")) == "a is not set: it is needed. Set it."


@pytest.mark.parametrize("host", ["../../etc", "a/b", "a\nb", "..", "."])
def test_a_host_whose_name_cannot_name_a_directory(host: str) -> None:
    error = refusal(lambda: one_host(host))
    assert (error.variable, error.value) == ("inventory", host)
    assert "the name of a host names directories" in error.reason


# The server name and other variables of the fleet


def test_a_missing_server_name() -> None:
    groups = {group: ["synapse1"] for group in SEVERAL_HOSTS}
    hosts = {"synapse1": {"synapse_preset": "monolith"}}
    error = refusal(lambda: build_topology({"groups": groups, "hosts": hosts}))
    assert str(error) == (
        "synapse_server_name is not set: every Matrix id of this server ends in it, and it can never be changed. "
        "Set synapse_server_name: example.org in group_vars/all."
    )


@pytest.mark.parametrize(
    "name", ["", "https://example.org", "example.org/", "Example.org", "a b", "-a.org", 7, True, ["example.org"]]
)
def test_a_server_name_that_is_none(name: object) -> None:
    refused(
        "synapse_server_name",
        name,
        "a server name is a DNS name in lower case",
        "without https://",
        synapse_server_name=name,
    )


@pytest.mark.parametrize(
    ("variable", "value", "reason", "fix"),
    [
        ("synapse_preset", "smal", "it is one of monolith, small", "Did you mean 'small'?"),
        ("synapse_preset", "zzz", "it is one of", "Known are: full, large"),
        ("synapse_transport", "udp", "it is one of auto, unix, tcp", "Known are: auto, tcp, unix."),
        ("synapse_cp_max", 0, "whole number of connections", "a number from 1 to 1000"),
        ("synapse_cp_max", "five", "whole number of connections", "without quotes"),
        ("synapse_cp_max", True, "whole number of connections", "without quotes"),
        ("synapse_public_baseurl", "matrix.example.org", "it is a URL", "Write https://matrix.example.org/."),
        ("synapse_public_baseurl", "https://a;b/", "it is a URL", "Write https://matrix.example.org/."),
        ("synapse_max_upload_size", "50 MB", "it is a size in bytes", "Write 50M."),
        ("synapse_report_stats", "maybe", "it is true or false", "without quotes"),
        ("synapse_jemalloc", 2, "it is true or false", "without quotes"),
        ("synapse_media_store_shared", "nope", "it is true or false", "without quotes"),
        ("synapse_media_store_path", "media", "it is an absolute path", "Write /var/lib/matrix-synapse/media, or"),
        ("synapse_media_store_path", "/home/media", "do not see /home", "Write /var/lib/matrix-synapse/media, or"),
        ("synapse_trusted_key_servers", 3, "it is a list", "one '- ' line"),
        ("synapse_extra_config", "(not shown)", "it is a mapping", "name: value lines"),
        ("synapse_main_settings", "(not shown)", "it is a mapping", "name: value lines"),
        ("postgres_port", 70000, "it is a whole number of a port", "a number from 1 to 65535"),
        ("postgres_tls", "2", "it is true or false", "without quotes"),
        ("postgres_tls_root_certificate", "root.pem", "it is an absolute path", "Write /etc/ssl/matrix/root.pem."),
        ("postgres_tls_root_certificate", "/root/ca.pem", "do not see /root", "Write /etc/ssl/matrix/root.pem."),
        ("synapse_metrics_allowed", {"net": 8}, "it is a list of networks", "Write a list of networks"),
        (
            "synapse_metrics_allowed",
            ["prometheus"],
            "the firewall looks names up only when",
            "Write a list of networks",
        ),
        ("redis_port", "6379.0", "it is a whole number of a port", "without quotes"),
        ("redis_package", "redis-servr", "it is one of redis-server, valkey-server", "Did you mean 'redis-server'?"),
    ],
)
def test_a_variable_of_the_wrong_form(variable: str, value: object, reason: str, fix: str) -> None:
    refused(variable, value, reason, fix, **{variable: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("variable", "value", "fix"),
    [
        ("synapse_address", "10.0.0.1/24", "Write 10.0.0.11."),
        ("synapse_address", 10, "Write 10.0.0.11."),
        ("synapse_address", "db1.example.org", "Write 10.0.0.11."),
        ("synapse_host_label", "a/b", "letters, digits, '-', '_' and '.'"),
        ("synapse_host_label", "-a", "letters, digits, '-', '_' and '.'"),
        ("generic_workers", "(not shown)", "name: value lines"),
        ("media_workers", "(not shown)", "name: value lines"),
        ("background_workers", "(not shown)", "name: value lines"),
    ],
)
def test_a_variable_of_one_host_of_the_wrong_form_names_the_host(variable: str, value: object, fix: str) -> None:
    variables: dict[str, Any] = {"generic_workers": {"sync": {}}, variable: value}
    error = refusal(lambda: one_host(**variables))
    assert (error.variable, error.value, error.host) == (variable, value, "synapse1")
    assert fix in error.fix


def test_a_host_whose_name_cannot_be_part_of_a_worker_name() -> None:
    error = refusal(lambda: one_host("häst", generic_workers={"sync": {}}))
    assert (error.variable, error.value, error.host) == ("synapse_host_label", "häst", "häst")
    assert "part of worker names" in error.reason
    assert "in host_vars" in error.fix


def test_the_model_has_a_case_for_every_input() -> None:
    """Each input with a check of its own is refused somewhere above: a value that no input takes."""
    assert [name for name, entry in INPUTS.items() if entry.problem(object()) is None] == []


def test_hosts_that_disagree_on_a_variable_of_the_fleet() -> None:
    error = refusal(lambda: several_hosts({"media1": {"synapse_server_name": "other.org"}}))
    assert (error.variable, error.value, error.host) == ("synapse_server_name", "other.org", "media1")
    assert "it is 'example.org' on background1, and all hosts of a fleet share it" in error.reason
    assert "group_vars/all" in error.fix


# Releases


@pytest.mark.parametrize(
    "version",
    ["1.163", "v1.163.2", "1.163.2rc1", "latest", "", 1, True, *(yaml.safe_load(text) for text in ("1.163", "1.140"))],
)
def test_a_release_that_is_none_among_them_the_floats_that_yaml_makes(version: object) -> None:
    refused(
        "synapse_version",
        version,
        "a Synapse release has three numbers and no suffix",
        'Write it as a string, for example synapse_version: "1.163.2".',
        synapse_version=version,
    )


@pytest.mark.parametrize("version", ["1.129.9", "1.84.0", "0.99.0"])
def test_a_release_that_is_too_old(version: str) -> None:
    refused(
        "synapse_version",
        version,
        "deploys Synapse 1.130.0 and newer",
        "Set synapse_version to such a release, for example 1.163.2.",
        synapse_version=version,
    )


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("nginx_admin_allowed", {"network": "192.0.2.0/24"}),
        ("nginx_admin_allowed", ["admin.example.org"]),
        ("nginx_admin_allowed", ["192.0.2.0/33"]),
        ("nginx_admin_allowed", [{"network": "192.0.2.0/24"}]),
        ("nginx_admin_allowed", ["all"]),
        ("nginx_trusted_proxies", ["proxy.example.org"]),
        ("nginx_trusted_proxies", ["192.0.2.1", "300.0.2.1"]),
    ],
)
def test_what_is_no_list_of_networks(variable: str, value: object) -> None:
    refused(variable, value, "network", "Write a list of networks", "synapse1", **{variable: value})


def test_networks_and_addresses_of_both_kinds_are_taken() -> None:
    one_host(nginx_admin_allowed=["192.0.2.1", "192.0.2.0/24", "2001:db8::/32", "::1"], nginx_trusted_proxies=[])


@pytest.mark.parametrize("version", ["1.130.0", "1.163.0", "1.163.9", "1.999.0"])
def test_the_oldest_and_newer_releases_are_supported(version: str) -> None:
    assert str(parse_release(version)) == version


@pytest.mark.parametrize(
    ("duty", "last", "since"),
    [
        ("device_lists", "1.134.0", "1.135.0"),
        ("thread_subscriptions", "1.135.0", "1.136.0"),
        ("quarantined_media_changes", "1.151.0", "1.152.0"),
    ],
)
def test_a_release_too_old_for_a_duty(duty: str, last: str, since: str) -> None:
    group = "media_workers" if duty.startswith("quarantined") else "generic_workers"
    duties = ["media", duty] if group == "media_workers" else [duty]
    variables: dict[str, Any] = {group: {"x": {"duties": duties}}}
    refused(
        f"{group}.x.duties",
        duty,
        f"Synapse has it since {since}, and synapse_version is {last}",
        "Remove the duty, or raise synapse_version.",
        "synapse1",
        synapse_version=last,
        **variables,
    )
    assert one_host(synapse_version=since, **variables).with_duty(duty)


@pytest.mark.parametrize(
    ("release", "python", "postgres", "reason"),
    [
        ("1.163.2", "3.9.2", "15", "it needs Python 3.10, the host has 3.9.2"),
        ("1.141.0", "3.8.10", "17", "it needs Python 3.9, the host has 3.8.10"),
        ("1.163.2", "3.11.2", "13", "it needs PostgreSQL 14, the host has 13"),
        ("1.130.0", "3.11.2", "12.4", "it needs PostgreSQL 13, the host has 12.4"),
    ],
)
def test_a_release_that_needs_a_newer_python_or_postgresql(
    release: str, python: str, postgres: str, reason: str
) -> None:
    parsed = parse_release(release)
    error = python_problem(parsed, "db1", python) or postgres_problem(parsed, "db1", postgres)
    assert error is not None
    assert (error.variable, error.value, error.host) == ("synapse_version", release, "db1")
    assert error.reason == reason
    assert "or choose an older release." in error.fix


def test_a_host_that_is_new_enough_is_fine() -> None:
    for postgres in ("14", "15.6", "17"):
        assert postgres_problem(parse_release("1.163.2"), "db1", postgres) is None
    assert python_problem(parse_release("1.163.2"), "db1", "3.10.0") is None


# Groups


@pytest.mark.parametrize("group", ["postgres", "synapse_main", "nginx"])
def test_a_group_that_does_not_exist(group: str) -> None:
    error = refusal(lambda: one_host(without=[group]))
    assert (error.variable, error.value) == ("inventory", None)
    assert error.reason == f"the group {group} does not exist or has no host"
    assert error.fix == f"Put a host into the group {group}."


def test_workers_without_redis() -> None:
    error = refusal(lambda: one_host(without=["redis"], generic_workers={"sync": {}}))
    assert (error.variable, error.value) == ("inventory", None)
    assert "the group redis does not exist or has no host, and workers talk through Redis" in error.reason
    assert error.fix == "Put a host into the group redis."


@pytest.mark.parametrize(
    ("misspelt", "meant"),
    [("generic_worker", "generic_workers"), ("postgresql", "postgres"), ("synapse-main", "synapse_main")],
)
def test_a_misspelt_group(misspelt: str, meant: str) -> None:
    groups = {group: ["synapse1"] for group in SEVERAL_HOSTS if group != meant} | {misspelt: []}
    hosts = {"synapse1": {"synapse_server_name": "example.org"}}
    error = refusal(lambda: build_topology({"groups": groups, "hosts": hosts}))
    assert (error.variable, error.value) == ("inventory", misspelt)
    assert "there is no such group" in error.reason
    assert error.fix == f"Did you mean the group '{meant}'?"


def test_groups_of_the_operator_that_are_named_alike_are_none_of_our_business() -> None:
    inputs = one_host_inputs(generic_workers={"sync": {}})
    inputs["groups"] |= {"generic_worker": [], "all": [], "ungrouped": [], "webservers": []}
    assert build_topology(inputs).workers


@pytest.mark.parametrize("group", ["postgres", "redis", "synapse_main"])
def test_two_hosts_in_a_group_that_takes_one(group: str) -> None:
    groups = {**SEVERAL_HOSTS, group: ["db1", "main1"]}
    error = refusal(lambda: several_hosts(groups=groups))
    assert (error.variable, error.value) == ("inventory", "db1, main1")
    assert error.reason == f"the group {group} takes one host"
    assert error.fix == "Leave one of them in it."


@pytest.mark.parametrize(
    ("group", "pools"),
    [("generic_workers", {"sync": {}}), ("media_workers", {"media": {}}), ("background_workers", {"pusher": {}})],
)
def test_pools_that_no_host_would_run(group: str, pools: dict[str, Any]) -> None:
    variables: dict[str, Any] = {group: pools}
    error = refusal(lambda: one_host(without=[group], **variables))
    assert (error.variable, error.value, error.host) == (group, ", ".join(pools), "synapse1")
    assert "no host would run these pools" in error.reason
    assert f"Put a host into the group {group}" in error.fix


def test_pools_that_no_host_would_run_and_that_are_none() -> None:
    error = refusal(lambda: one_host(without=["generic_workers"], generic_workers=3))
    assert (error.variable, error.value) == ("generic_workers", "(not shown)")


@pytest.mark.parametrize("group", ["generic_workers", "media_workers", "background_workers"])
def test_a_preset_whose_group_has_no_host(group: str) -> None:
    error = refusal(lambda: one_host(without=[group], synapse_preset="small"))
    assert (error.variable, error.value) == ("synapse_preset", "small")
    assert f"it has {group}, but the group {group} does not exist" in error.reason
    assert f"set {group}: {{}}" in error.fix


# Pools


@pytest.mark.parametrize(("duty", "fix"), [("synk", "Did you mean 'sync'?"), ("zzzz", "Known are: account_data")])
def test_an_unknown_duty(duty: str, fix: str) -> None:
    refused_pool("x.duties", duty, "there is no such duty", fix, {"duties": ["typing", duty]}, "x")


@pytest.mark.parametrize("duty", [3, None, ["sync"], {"sync": None}])
def test_a_duty_that_is_no_name(duty: object) -> None:
    error = refusal(lambda: one_host(generic_workers={"x": {"duties": [duty]}}))
    assert (error.variable, error.host) == ("generic_workers.x.duties", "synapse1")


@pytest.mark.parametrize("written", [{}, {"count": 2}, {"duties": None}, {"duties": ""}])
def test_a_pool_without_a_duty(written: dict[str, Any]) -> None:
    refused_pool("fast.duties", None, "'fast' is no duty itself", "Add duties: [...]", written, "fast")


@pytest.mark.parametrize("duties", [[], {"sync": None}, 3])
def test_duties_that_are_no_list_of_some(duties: object) -> None:
    refused_pool("x.duties", duties, "one duty or more, as a list", "duties: [client_reader]", {"duties": duties}, "x")


def test_a_duty_twice() -> None:
    duties = ["sync", "sync"]
    refused_pool("x.duties", duties, "a duty is there twice", "Name each duty once.", {"duties": duties}, "x")


@pytest.mark.parametrize("count", ["2.0", 1.0, 2.5, True, False, [2], "two"])
def test_a_count_that_is_no_whole_number(count: object) -> None:
    refused_pool("sync.count", count, "it is a whole number of workers", "Write count: 2", {"count": count})


@pytest.mark.parametrize("count", [-1, 41, 1000])
def test_a_count_that_cannot_be(count: int) -> None:
    refused_pool("sync.count", count, "a pool has 0 to 40 workers", "Choose a number in that range", {"count": count})


@pytest.mark.parametrize("name", ["main", "master"])
def test_a_worker_named_like_the_main_process(name: str) -> None:
    refused_pool(name, name, "no worker may be named so", "Choose another name.", {"duties": ["sync"]}, name)


@pytest.mark.parametrize("name", ["Sync", "a-b", "1a", "a b", "a/b", "ä", ""])
def test_a_pool_whose_name_cannot_be_part_of_a_path(name: str) -> None:
    refused_pool(name, name, "part of worker names and paths", "Use lower-case letters", {"duties": ["sync"]}, name)


@pytest.mark.parametrize("written", [2, None, "sync", ["sync"]])
def test_a_pool_that_is_no_mapping(written: object) -> None:
    refused_pool("sync", "(not shown)", "a pool is a mapping", "Write sync: {count: 1}.", written)


@pytest.mark.parametrize(("key", "fix"), [("cuont", "Did you mean 'count'?"), ("zz", "Known are: cache_factor")])
def test_an_unknown_setting_of_a_pool(key: str, fix: str) -> None:
    refused_pool(f"sync.{key}", "(not shown)", "a pool has no such setting", fix, {key: 1})


_WRONG_SETTINGS = [
    ("memory_max", "2 GB", "as in MemoryMax=", "Write 2G."),
    ("memory_max", 2, "as in MemoryMax=", "Write 2G."),
    ("cpu_quota", "1.5", "as in CPUQuota=", "Write 150%."),
    ("cpu_quota", 150, "as in CPUQuota=", "Write 150%."),
    ("cpu_quota", "0%", "as in CPUQuota=", "Write 150%."),
    ("memory_max", "0", "as in MemoryMax=", "Write 2G."),
    ("cp_max", 0, "whole number of connections", "without quotes"),
    ("cp_max", "5.5", "whole number of connections", "without quotes"),
    ("cp_max", True, "whole number of connections", "without quotes"),
    ("cache_factor", 0, "a number above 0", "Write 0.5, 1 or 2.0"),
    ("cache_factor", "one", "a number above 0", "Write 0.5, 1 or 2.0"),
    ("cache_factor", True, "a number above 0", "Write 0.5, 1 or 2.0"),
    ("extra_config", ["a"], "a mapping of Synapse options", "name: value lines"),
]
_WRONG_ENVIRONMENTS: list[tuple[object, str]] = [
    (["A=1"], "it is a mapping of environment variables"),
    ({"A-B": "1"}, "a name in it is not one of environment variables"),
    ({"": "x"}, "a name in it is not one of environment variables"),
    ({"A": 1.5}, "the value of A is not a string"),
    ({"A": "1\nB=2"}, "the value of A has a line break"),
    ({"A": "1\0"}, "the value of A has a line break or another control character"),
    ({"A": "\ud800"}, "the value of A has a line break or another control character"),
    ({"A": "1" * 131072}, "the value of A has more than 100000 bytes"),
]


@pytest.mark.parametrize(("setting", "value", "reason", "fix"), _WRONG_SETTINGS)
def test_a_setting_of_the_wrong_form(setting: str, value: object, reason: str, fix: str) -> None:
    shown = "(not shown)" if setting == "extra_config" else value
    refused_pool(f"sync.{setting}", shown, reason, fix, {setting: value})
    refused(f"synapse_main_settings.{setting}", shown, reason, fix, synapse_main_settings={setting: value})


@pytest.mark.parametrize(("environment", "reason"), _WRONG_ENVIRONMENTS)
def test_an_environment_of_the_wrong_form(environment: object, reason: str) -> None:
    error = refusal(lambda: one_host(generic_workers={"sync": {"env": environment}}))
    assert (error.variable, error.host) == ("generic_workers.sync.env", "synapse1")
    assert error.value == "(not shown)"
    assert reason in error.reason


def test_an_unknown_setting_of_main() -> None:
    refused(
        "synapse_main_settings.memory",
        "(not shown)",
        "there is no such setting",
        "Did you mean 'memory_max'?",
        synapse_main_settings={"memory": "2G"},
    )


def test_an_option_that_is_computed_is_refused_without_its_value() -> None:
    for variable, host, variables in (
        ("synapse_extra_config", None, {"synapse_extra_config": {"redis": {"password": "hidden"}}}),
        ("synapse_main_settings.extra_config", None, {"synapse_main_settings": {"extra_config": {"redis": "hidden"}}}),
        (
            "generic_workers.sync.extra_config",
            "synapse1",
            {"generic_workers": {"sync": {"extra_config": {"redis": "hidden"}}}},
        ),
    ):
        written: dict[str, Any] = dict(variables)
        refused(f"{variable}.redis", "(not shown)", "computed from the topology", "Remove it", host, **written)


@pytest.mark.parametrize(
    ("group", "duty", "reason", "fix"),
    [
        ("generic_workers", "media", "another kind of worker", "Move it to a pool of media_workers."),
        ("generic_workers", "media_background", "another kind of worker", "Move it to a pool of media_workers."),
        ("media_workers", "sync", "media workers serve only media", "Move it to a pool of generic_workers."),
        ("background_workers", "sync", "another kind of worker", "Move it to a pool of generic_workers."),
        (
            "media_workers",
            "pusher",
            "media workers serve only media",
            "Move it to a pool of generic_workers or background_workers.",
        ),
    ],
)
def test_a_duty_in_the_wrong_group(group: str, duty: str, reason: str, fix: str) -> None:
    variables: dict[str, Any] = {group: {duty: {}}}
    refused(f"{group}.{duty}.duties", duty, reason, fix, "synapse1", **variables)


def test_a_writer_of_quarantine_that_has_no_media() -> None:
    duties = ["quarantined_media_changes"]
    refused(
        "media_workers.x.duties",
        duties,
        "only a media worker can write",
        "Add media",
        "synapse1",
        media_workers={"x": {"duties": duties}},
    )


# Two where there may be one

_SINGLE_WRITERS = ["typing", "to_device", "account_data", "presence", "push_rules"]
_SINGLE_JOBS = ["sso", "user_directory", "appservices", "background_tasks"]


@pytest.mark.parametrize("duty", [*_SINGLE_WRITERS, *_SINGLE_JOBS])
def test_two_workers_of_a_duty_for_one_by_count(duty: str) -> None:
    what = f"the stream {duty} has one writer" if duty in _SINGLE_WRITERS else f"the duty {duty} is for one worker"
    refused_pool(
        f"{duty}.count", f"synapse1-{duty}-1 and synapse1-{duty}-2", what, f"Leave {duty} to one", {"count": 2}, duty
    )


@pytest.mark.parametrize("duty", [*_SINGLE_WRITERS, *_SINGLE_JOBS])
def test_two_workers_of_a_duty_for_one_by_two_pools(duty: str) -> None:
    refused(
        "generic_workers.b.duties",
        "synapse1-a-1 and synapse1-b-1",
        "in the whole fleet",
        f"Leave {duty} to one of them",
        "synapse1",
        generic_workers={"a": {"duties": [duty]}, "b": {"duties": ["sync", duty]}},
    )


@pytest.mark.parametrize("duty", [*_SINGLE_WRITERS, *_SINGLE_JOBS])
def test_two_workers_of_a_duty_for_one_on_two_hosts(duty: str) -> None:
    error = refusal(lambda: several_hosts(generic_workers={duty: {"count": 1}}))
    assert error.value == f"generic1-{duty}-1 and generic2-{duty}-1"
    assert error.variable.startswith(f"generic_workers.{duty}.")
    assert "in the whole fleet" in error.reason
    assert duty in error.fix
    assert error.host == "generic2"


def test_two_media_workers_that_run_the_background_jobs() -> None:
    refused(
        "media_workers.media_background.count",
        "synapse1-media_background-1 and synapse1-media_background-2",
        "the duty media_background is for one worker",
        "Leave media_background to one",
        "synapse1",
        media_workers={"media_background": {"count": 2}},
    )


def test_media_workers_on_two_hosts_without_a_shared_store() -> None:
    groups = {**SEVERAL_HOSTS, "media_workers": ["media1", "generic1"]}
    error = refusal(lambda: several_hosts(groups=groups, media_workers={"media": {}}))
    assert (error.variable, error.value) == ("media_workers", "generic1, media1")
    assert "need one media store" in error.reason
    assert "synapse_media_store_shared: true" in error.fix
    shared = several_hosts(groups=groups, media_workers={"media": {}}, synapse_media_store_shared=True)
    assert len(shared.with_duty("media")) == 2


# Clashes


def test_two_pools_of_the_same_name_on_a_host() -> None:
    error = refusal(
        lambda: one_host(
            generic_workers={"x": {"duties": ["pusher"]}}, background_workers={"x": {"duties": ["pusher"]}}
        )
    )
    assert error.variable in ("generic_workers.x", "background_workers.x")
    assert (error.value, error.host) == ("synapse1-x-1", "synapse1")
    assert "names and sockets must differ" in error.reason
    assert "Rename one of the pools" in error.fix


def test_two_hosts_of_the_same_label() -> None:
    error = refusal(
        lambda: several_hosts(
            {host: {"synapse_host_label": "w"} for host in ("generic1", "generic2")}, generic_workers={"sync": {}}
        )
    )
    assert (error.value, error.host) == ("w-sync-1", "generic2")
    assert "generic_workers on generic1 has a worker of the same name" in error.reason
    assert "synapse_host_label" in error.fix


def _names_with_one_slot() -> tuple[str, str]:
    seen: dict[int, str] = {}
    for number in range(1000):
        name = f"pool{number}"
        if pool_slot(name) in seen:
            return seen[pool_slot(name)], name
        seen[pool_slot(name)] = name
    raise AssertionError("no two names share a slot")


def test_two_pools_whose_ports_clash_by_chance() -> None:
    first, second = _names_with_one_slot()
    pools: dict[str, Any] = {first: {"duties": ["sync"]}, second: {"duties": ["login"]}}
    error = refusal(lambda: one_host(generic_workers=pools))
    assert error.variable in (f"generic_workers.{first}.port_slot", f"generic_workers.{second}.port_slot")
    assert error.value in range(10000, 17200)
    assert "would both use this port" in error.reason
    assert "to a free slot (40 to 179)" in error.fix
    pools[second]["port_slot"] = 40 if pool_slot(first) != 40 else 41
    assert len(one_host(generic_workers=pools).workers) == 2


def test_two_pools_with_the_same_slot_by_hand() -> None:
    pools = {"sync": {"port_slot": 50}, "login": {"port_slot": 50}}
    error = refusal(lambda: one_host(generic_workers=pools))
    assert error.value == 10000 + 50 * 40
    assert "synapse1-login-1 and synapse1-sync-1 would both use this port" in error.reason


@pytest.mark.parametrize("slot", [0, 14, 39, 180, -1, "39", 50.0, True])
def test_a_slot_that_is_not_free(slot: object) -> None:
    refused_pool(
        "sync.port_slot", slot, "the number of a slot of ports", "Choose one from 40 to 179.", {"port_slot": slot}
    )


@pytest.mark.parametrize("variable", ["postgres_port", "redis_port"])
def test_a_port_of_a_server_that_a_process_has_too(variable: str) -> None:
    variables: dict[str, Any] = {variable: 10000}
    error = refusal(lambda: one_host(**variables))
    assert error.value == 10000
    assert "would both use this port" in error.reason
    assert error.host == "synapse1"


def test_postgresql_and_redis_on_one_port() -> None:
    refused(
        "redis_port",
        5432,
        "postgres and redis would both use this port",
        "Choose another port.",
        "synapse1",
        redis_port=5432,
    )


def test_a_name_too_long_for_a_socket() -> None:
    label = "a" * 60
    error = refusal(lambda: one_host(synapse_host_label=label, generic_workers={"federation_sender": {}}))
    assert (error.variable, error.value) == ("synapse_host_label", f"{label}-federation_sender-1")
    assert "the path of its socket would be longer than 100 characters" in error.reason
    assert "Set a shorter synapse_host_label" in error.fix
    assert one_host(synapse_host_label="a" * 40, generic_workers={"federation_sender": {}}).workers


# Several hosts


def test_sockets_between_hosts() -> None:
    error = refusal(lambda: several_hosts(synapse_transport="unix"))
    assert (error.variable, error.value) == ("synapse_transport", "unix")
    assert "sockets do not leave a host" in error.reason
    assert error.fix == "Set it to auto or tcp."


def test_a_host_of_several_without_an_address() -> None:
    inputs = several_hosts_inputs()
    del inputs["hosts"]["media1"]["synapse_address"]
    error = refusal(lambda: build_topology(inputs))
    assert (error.variable, error.value, error.host) == ("synapse_address", None, "media1")
    assert "the others must reach this one" in error.reason
    assert "in its host_vars" in error.fix


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("10.0.0.1", "db1 has the same address"),
        ("127.0.0.1", "other hosts cannot reach this one at this address"),
        ("::1", "other hosts cannot reach this one at this address"),
        ("0.0.0.0", "other hosts cannot reach this one at this address"),  # noqa: S104
        ("2001:db8::6", "know hosts by addresses of one kind"),
    ],
)
def test_an_address_that_does_not_tell_a_host_of_several(address: str, reason: str) -> None:
    inputs = several_hosts_inputs()
    inputs["hosts"]["media1"]["synapse_address"] = address
    error = refusal(lambda: build_topology(inputs))
    assert (error.variable, error.value, error.host) == ("synapse_address", address, "media1")
    assert reason in error.reason


def test_one_address_written_in_two_ways() -> None:
    inputs = several_hosts_inputs()
    for number, variables in enumerate(inputs["hosts"].values()):
        variables["synapse_address"] = f"2001:db8::{number}"
    inputs["hosts"]["media1"]["synapse_address"] = "2001:DB8:0::0"
    error = refusal(lambda: build_topology(inputs))
    assert error.host == "media1"
    assert "has the same address" in error.reason


@pytest.mark.parametrize("group", ["generic_workers", "media_workers", "background_workers"])
@pytest.mark.parametrize("unset", [{}, {"value": None}])
def test_a_host_of_a_worker_group_for_which_nobody_has_said_what_it_runs(group: str, unset: dict[str, None]) -> None:
    inputs = one_host_inputs(generic_workers={}, media_workers={}, background_workers={})
    variables = inputs["hosts"]["synapse1"]
    del variables["synapse_preset"], variables[group]
    if unset:
        variables[group] = None
    error = refusal(lambda: build_topology(inputs))
    assert (error.variable, error.value, error.host) == (group, None, "synapse1")
    assert error.reason == f"the host is in the group {group} and would run nothing"
    assert f"{group}: {{}} for none, or set synapse_preset" in error.fix


@pytest.mark.parametrize("said", [{"generic_workers": {}}, {"synapse_preset": "monolith"}])
def test_no_workers_are_fine_if_that_is_what_the_inventory_says(said: dict[str, Any]) -> None:
    inputs = one_host_inputs(without=["media_workers", "background_workers"])
    del inputs["hosts"]["synapse1"]["synapse_preset"]
    inputs["hosts"]["synapse1"] |= said
    assert build_topology(inputs).workers == ()


# Questions to the topology


def test_a_worker_that_the_topology_does_not_have() -> None:
    topology = one_host(generic_workers={"sync": {}})
    error = refusal(lambda: topology.worker("synapse1-sync-2"))
    assert (error.variable, error.value) == ("worker", "synapse1-sync-2")
    assert "Did you mean 'synapse1-sync-1'?" in error.fix


def test_a_word_that_is_near_a_known_one_is_suggested_and_else_all_are_named() -> None:
    assert did_you_mean("synk", ["sync", "login"]) == "Did you mean 'sync'?"
    assert did_you_mean("zzz", ["sync", "login"]) == "Known are: login, sync."


# Names that nobody reads, and ports of others


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("synapse_verison", "synapse_version"),
        ("generic_worker", "generic_workers"),
        ("synapse_extraconfig", "synapse_extra_config"),
        ("postgress_port", "postgres_port"),
    ],
)
def test_a_misspelt_variable(name: str, meant: str) -> None:
    variables: dict[str, Any] = {name: "secret"}
    error = refusal(lambda: one_host(**variables))
    assert (error.variable, error.value) == (name, "(not shown)")
    assert error.fix == f"Did you mean '{meant}'?"


def test_no_input_of_a_role_is_taken_for_a_misspelt_one() -> None:
    roles = Path(__file__).resolve().parents[4] / "roles"
    specs = [yaml.safe_load(path.read_text())["argument_specs"] for path in roles.glob("*/meta/argument_specs.yml")]
    names = {name for spec in specs for entry in spec.values() for name in entry.get("options", {})}
    assert "synapse_log_level" in names
    assert names <= INPUTS.keys()
    assert near_variables(names - INPUTS.keys()) == {}


@pytest.mark.parametrize(("variable", "port"), [("postgres_port", 8448), ("redis_port", 443), ("postgres_port", 22)])
def test_a_port_that_nginx_or_ssh_has(variable: str, port: int) -> None:
    variables: dict[str, Any] = {variable: port}
    error = refusal(lambda: one_host(**variables))
    assert (error.variable, error.value) == (variable, port)
    assert "would both use this port" in error.reason
