# SPDX-License-Identifier: GPL-3.0-or-later
"""Random values of every input, and random fleets. More of them: ``FUZZ=50 pytest -k fuzz``."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.duties import DUTIES, GENERIC
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.errors import TopologyError
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.inputs import INPUTS
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.inputs.pools import POOL_INPUTS
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.schema import Input
from hypothesis import given
from hypothesis import strategies as st

from tests.support.examples import tried
from tests.unit.fleets import one_host, one_host_inputs, several_hosts

SECRET = "hunter2"

fuzz = tried(40)

# What people write by mistake, what programs choke on, and anything else.
_ODD = ["", " ", "0", "-1", "1e9", "true", "no", "null", "[]", "{}", "[1,", "{'a': 1}", "a,b", "/", "\u0663", "x" * 300]
_NASTY = ["a\nb", "a;b", "a b", '"', "'", "{{ x }}", "$(id)", "%n", "\x00", "a: b", "#", "10.0.0.1/33", "::1%eth0"]
_TEXTS = st.sampled_from([*_ODD, *_NASTY]) | st.text(max_size=12)
_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | _TEXTS
ANY = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3), max_leaves=6
)
_PYTHON = re.compile(r"Traceback|<class|AnsibleTagged|object at 0x|NoneType|TypeError|KeyError")
_ENTRIES = [*INPUTS.values(), *POOL_INPUTS.values()]


def with_secret(value: Any) -> Any:
    """Returns a value with a secret in each of its texts."""
    if isinstance(value, str):
        return f"{value}{SECRET}"
    if isinstance(value, list):
        return [with_secret(entry) for entry in value]
    if isinstance(value, dict):
        return {key: with_secret(entry) for key, entry in value.items()}
    return value


@pytest.mark.parametrize("entry", _ENTRIES, ids=lambda entry: entry.name)
def test_fuzz_a_value_is_refused_in_words_or_has_its_type(entry: Input) -> None:
    @fuzz
    @given(ANY)
    def check(value: Any) -> None:
        problem = entry.problem(value, "h1")
        if problem is None:
            typed = entry.read(value)
            # What was read is a value of the input itself, and stays as it is.
            assert entry.problem(typed) is None
            assert repr(entry.read(typed)) == repr(typed)
            return
        assert problem.variable == entry.name
        assert str(problem).startswith(f"{entry.name} on host h1 is ")
        assert problem.fix.endswith((".", "?"))
        assert not _PYTHON.search(str(problem).replace(repr(value), ""))

    check()


@pytest.mark.parametrize("entry", [entry for entry in _ENTRIES if entry.secret], ids=lambda entry: entry.name)
def test_fuzz_a_secret_is_in_no_message(entry: Input) -> None:
    @fuzz
    @given(ANY)
    def check(value: Any) -> None:
        problem = entry.problem(with_secret(value))
        assert problem is None or SECRET not in str(problem)

    check()


@fuzz
@given(st.dictionaries(st.sampled_from(sorted(INPUTS)), ANY, max_size=5), ANY)
def test_fuzz_an_inventory_is_built_or_refused_with_all_problems(variables: dict[str, Any], pool: Any) -> None:
    variables = {name: value for name, value in variables.items() if not INPUTS[name].internal}
    secrets = {name: with_secret(value) if INPUTS[name].secret else value for name, value in variables.items()}
    given_pools = {GENERIC: {"sync": with_secret(pool)}}
    wrong = {
        name
        for name, value in secrets.items()
        if INPUTS[name].problem(value) and INPUTS[name].service in (None, "nginx", "postgres", "redis", "watchdog")
    }
    try:
        one_host(**{**given_pools, **secrets})
    except TopologyError as error:
        assert wrong <= {one.variable for one in error.all}
        # A message shows the name of a wrong key, and no value.
        assert SECRET not in str(error)
        assert not _PYTHON.search(str(error))
    else:
        assert wrong == set()


_MANY = [duty.name for duty in DUTIES.values() if not duty.single and GENERIC in duty.groups]
_POOL = st.fixed_dictionaries(
    {"count": st.integers(0, 40), "duties": st.lists(st.sampled_from(_MANY), min_size=1, max_size=4, unique=True)},
    optional={"memory_max": st.sampled_from(["1G", "infinity", "5%"]), "cp_max": st.integers(1, 20)},
)
_POOLS = st.dictionaries(st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True), _POOL, max_size=4)


@fuzz
@given(_POOLS, st.sampled_from(["unix", "tcp"]))
def test_fuzz_names_sockets_and_ports_of_a_fleet_are_its_own(pools: dict[str, Any], transport: str) -> None:
    pools = {name: pool for name, pool in pools.items() if name not in ("main", "master")}
    try:
        topology = one_host(generic_workers=pools, synapse_transport=transport)
    except TopologyError as error:
        # Pools of free names may share ports by chance.
        assert all(one.variable.endswith(".port_slot") for one in error.all)
        return
    assert len(topology.workers) == sum(pool["count"] for pool in pools.values())
    assert max(Counter(process.name for process in topology.processes).values()) == 1
    ports = [port for process in topology.processes for port in (process.http_port, process.replication_port)]
    assert len(set(ports)) == len(ports)
    for duty in _MANY:
        expected = sum(pool["count"] for pool in pools.values() if duty in pool["duties"])
        assert len(topology.with_duty(duty)) == expected


@fuzz
@given(st.integers(0, 40), st.integers(0, 40))
def test_fuzz_another_number_of_workers_renames_and_renumbers_nothing_else(before: int, after: int) -> None:
    def places(count: int) -> dict[str, int]:
        topology = several_hosts(generic_workers={"sync": {"count": count}, "own": {"duties": ["login"], "count": 2}})
        return {f"{process.host} {process.name}": process.http_port for process in topology.processes}

    first, second = places(before), places(after)
    shared = first.keys() & second.keys()
    assert {name: first[name] for name in shared} == {name: second[name] for name in shared}
    assert len(shared) >= min(len(first), len(second))


def test_a_text_of_the_command_line_is_the_same_as_the_value_in_yaml() -> None:
    texts: dict[str, Any] = {
        "synapse_cp_max": "7",
        "synapse_jemalloc": "no",
        "synapse_metrics_allowed": "10.0.0.0/8, 192.0.2.1",
        "synapse_extra_config": '{"enable_registration": true}',
        "generic_workers": "{'sync': {'count': '2', 'cache_factor': '0.5', 'env': {'A': 1}}}",
    }
    values: dict[str, Any] = {
        "synapse_cp_max": 7,
        "synapse_jemalloc": False,
        "synapse_metrics_allowed": ["10.0.0.0/8", "192.0.2.1"],
        "synapse_extra_config": {"enable_registration": True},
        "generic_workers": {"sync": {"count": 2, "cache_factor": 0.5, "env": {"A": "1"}}},
    }
    first, second = one_host(**texts), one_host(**values)
    assert first.options == second.options
    assert first.processes == second.processes
    assert one_host_inputs(**texts) != one_host_inputs(**values)
