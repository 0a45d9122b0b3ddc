# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role redis deploys to a host, which variables it refuses, and what the server's answer means."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.inputs import INPUTS
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.schema import read_all
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.topology import Topology
from ansible_collections.baremetal.synapse.plugins.plugin_utils.servers.redis import (
    NOT_ACTIVE,
    Mode,
    RedisServer,
    RedisState,
    check,
    differing,
    redis_server,
    redis_state,
    restarted_problems,
)

from tests.unit.fleets import one_host, several_hosts

PASSWORD = "the-password"


def server(
    topology: Topology | None = None,
    mode: Mode = "deploy",
    packages: tuple[str, ...] = ("redis-server",),
    **variables: Any,
) -> RedisServer:
    fleet = one_host() if topology is None else topology
    found = {
        "distribution": "Debian",
        "distribution_major_version": "13",
        "packages": list(packages),
        "redis_instances": [instance("synapse", package) for package in packages],
    }
    typed = read_all(INPUTS, {"redis_maxmemory_mib": 0, **variables})
    return redis_server(fleet, "cache1", found, typed, mode, PASSWORD)


def instance(name: str, package: str = "redis-server", *, ours: bool = True, **content: Any) -> dict[str, Any]:
    """Returns an entry of what host_survey returns."""
    running = None if ours else bool(content)
    return {"package": package, "name": name, "ours": ours, "running": running, "content": content or None}


def refused(topology: Topology, host: str, found: dict[str, Any], variables: dict[str, Any]) -> list[str]:
    return [str(problem) for problem in check(topology, host, found, variables)]


def answer(made: RedisServer, **changes: str) -> str:
    return json.dumps({**made.settings, **changes})


def test_one_host_has_a_socket_only() -> None:
    made = server()
    assert made.settings["port"] == "0"
    assert made.settings["unixsocket"] == "/run/redis-synapse/redis-server.sock"
    assert made.settings["requirepass"] == ""
    assert not made.with_password
    assert "-s /run/redis-synapse/redis-server.sock --json" in made.question[-1]


def test_several_hosts_have_an_address_and_a_password() -> None:
    made = server(several_hosts())
    assert (made.settings["bind"], made.settings["port"]) == ("10.0.0.2", "6379")
    assert made.settings["requirepass"] == PASSWORD
    # The server's answer has it, the file must not.
    assert made.settings["unixsocket"] == ""
    assert "unixsocket" not in made.printed
    assert made.file_set["files"][0]["sensitive"]
    assert "-h 10.0.0.2 -p 6379 --json" in made.question[-1]
    assert PASSWORD not in made.question[-1]


def test_everything_is_named_after_the_package() -> None:
    made = server(one_host(redis_package="valkey-server"), packages=())
    assert made.packages == ("valkey-server",)
    assert not made.existed
    assert (made.group, made.unit, made.program) == (
        "valkey",
        "valkey-server@synapse.service",
        "/usr/bin/valkey-server",
    )
    assert [file["path"] for file in made.file_set["files"]] == [
        "/etc/valkey/valkey-synapse.conf",
        "/etc/systemd/system/valkey-server@synapse.service.d/matrix-synapse.conf",
    ]
    assert made.file_set["files"][0]["owner"] == "valkey"
    assert "exec valkey-cli " in made.question[-1]


def test_memory_is_given_in_bytes() -> None:
    assert server().settings["maxmemory"] == "0"
    assert server(redis_maxmemory_mib="64").settings["maxmemory"] == "67108864"


@pytest.mark.parametrize(
    ("debian", "package", "memory", "expected"),
    [
        ("12", "redis-server", 0, []),
        ("13", "valkey-server", "64", []),
        (
            "12",
            "valkey-server",
            -1,
            [
                "redis_package on host cache1 is 'valkey-server': Debian 12 does not have this package. Leave it out,"
                " or set it to redis-server.",
            ],
        ),
    ],
)
def test_variables_that_cannot_be(debian: str, package: str, memory: Any, expected: list[str]) -> None:
    found = {"distribution": "Debian", "distribution_major_version": debian}
    fleet = one_host(redis_package=package)
    assert refused(fleet, "cache1", found, {"redis_maxmemory_mib": memory}) == expected


# -- which instance, and who else uses it ----------------------------------------------------------------------------


def found_on(*instances: dict[str, Any], **more: Any) -> dict[str, Any]:
    known = {"distribution": "Debian", "distribution_major_version": "13", "packages": ["redis-server"]}
    return {**known, "redis_instances": list(instances), **more}


def deployed(found: dict[str, Any], topology: Topology | None = None) -> RedisServer:
    return redis_server(topology or one_host(), "synapse1", found, {}, "deploy", PASSWORD)


def test_synapse_gets_an_instance_of_its_own() -> None:
    theirs = instance("default", ours=False, keys=3, appendonly=True, port=6379)
    assert refused(one_host(), "synapse1", found_on(theirs), {}) == []
    made = deployed(found_on(theirs))
    assert (made.unit, made.include, made.existed) == ("redis-server@synapse.service", None, False)
    assert made.settings["dir"] == "/var/lib/redis-synapse"
    # It runs for others.
    assert made.idle_unit == ""


def test_the_server_that_the_package_starts_is_idle_only_if_the_run_has_installed_it() -> None:
    assert deployed(found_on(packages=[])).idle_unit == "redis-server.service"
    assert deployed(found_on(packages=[]), one_host(redis_instance="default")).idle_unit == ""


def test_an_existing_fleet_keeps_the_server_of_the_package() -> None:
    for fleet in (one_host(), several_hosts()):
        made = deployed(found_on(instance("default")), fleet)
        assert (made.unit, made.config_file) == ("redis-server.service", "/etc/redis/matrix-synapse.conf")
        assert (made.include, made.existed) == ("/etc/redis/redis.conf", True)
    # Once it has moved to an instance of its own, or if the inventory says so.
    assert deployed(found_on(instance("default"), instance("synapse"))).instance == "synapse"
    assert deployed(found_on(instance("default")), one_host(redis_instance="synapse")).instance == "synapse"
    # Another package is another server.
    assert deployed(found_on(instance("default", "valkey-server"))).instance == "synapse"


@pytest.mark.parametrize(
    ("content", "uses"),
    [
        ({"keys": 3, "appendonly": True, "port": 6379}, "holds 3 keys and keeps its data on disk (appendonly)"),
        ({"keys": 0, "appendonly": True, "port": 6379}, "keeps its data on disk (appendonly)"),
        ({"keys": 1, "appendonly": False, "port": 6379}, "holds 1 keys"),
    ],
)
def test_a_server_that_others_use_is_refused(content: dict[str, Any], uses: str) -> None:
    theirs = instance("default", ours=False, **content)
    assert refused(one_host(redis_instance="default"), "synapse1", found_on(theirs), {}) == [
        f"redis_instance on host synapse1 is 'default': redis-server.service {uses}: Synapse's settings would change it"
        " for those who use it. Leave the variable out: Synapse then gets an instance of its own."
    ]


def test_a_server_that_nobody_uses_may_be_taken() -> None:
    fleet = one_host(redis_instance="default")
    idle = instance("default", ours=False, keys=0, appendonly=False, port=6379)
    assert refused(fleet, "synapse1", found_on(idle), {}) == []
    assert refused(fleet, "synapse1", found_on(instance("default", ours=False)), {}) == []
    silent = {**instance("default", ours=False), "running": True}
    (problem,) = refused(fleet, "synapse1", found_on(silent), {})
    assert "redis-server.service does not answer, so it is unknown what is in it" in problem


def test_a_file_of_somebody_else_is_not_overwritten() -> None:
    (problem,) = refused(one_host(), "synapse1", found_on(instance("synapse", ours=False)), {})
    assert problem.startswith("redis_instance on host synapse1 is 'synapse': /etc/redis/redis-synapse.conf is there")


@pytest.mark.parametrize(
    ("address", "unit", "refusals"),
    [
        ("0.0.0.0", "redis-server.service", 1),  # noqa: S104
        ("10.0.0.2", "redis-server.service", 1),
        ("::", "redis-server.service", 1),
        ("127.0.0.1", "redis-server.service", 0),
        ("10.0.0.2", "redis-server@synapse.service", 0),
    ],
)
def test_a_port_that_another_program_has(address: str, unit: str, refusals: int) -> None:
    taken = {"address": address, "port": 6379, "program": "redis-server", "unit": unit}
    problems = refused(several_hosts(), "cache1", found_on(ports=[taken]), {})
    assert len(problems) == refusals
    assert all("6379: redis-server (redis-server.service) listens on it" in problem for problem in problems)
    # With a socket no port is taken.
    assert refused(one_host(), "synapse1", found_on(ports=[taken]), {}) == []


# -- the answer ------------------------------------------------------------------------------------------------------


def state(made: RedisServer, text: str, code: int = 0) -> RedisState:
    return redis_state(made, code=code, answer=text)


RESTART = {
    "unit": "redis-server@synapse.service",
    "action": "restart",
    "reason": "it does not have the settings of its file",
}


def test_a_server_as_it_is_wanted_needs_nothing() -> None:
    made = server()
    assert state(replace(made, existed=False), answer(made)) == RedisState()


@pytest.mark.parametrize("text", ["", "NOAUTH Authentication required.", "{}"])
def test_a_server_that_differs_is_a_step(text: str) -> None:
    assert state(server(), text) == RedisState(step=RESTART)
    made = server()
    assert state(made, answer(made, maxmemory="1")) == RedisState(step=RESTART)


def test_a_server_that_nothing_uses_yet_is_started_at_once() -> None:
    assert state(server(packages=()), "") == RedisState(start=True)
    assert state(server(), "", NOT_ACTIVE) == RedisState(start=True)


def test_check_mode_compares_with_what_would_be_written() -> None:
    made = server(mode="check")
    assert state(made, answer(made)) == RedisState()
    assert state(made, answer(made, maxmemory="1")) == RedisState(step=RESTART)
    assert state(made, "", NOT_ACTIVE) == RedisState(start=True)
    # On a bare host there is nothing to restart.
    assert state(replace(made, existed=False), "", 127) == RedisState()


def test_what_a_restarted_server_does_not_take_is_named_without_its_value() -> None:
    made = server(several_hosts())
    assert restarted_problems(made, answer(made)) == []
    assert differing(made, "") == list(made.settings)
    (problem,) = restarted_problems(made, answer(made, requirepass="another", save="60 1"))
    assert problem.startswith("save, requirepass on host cache1 differ from /etc/redis/redis-synapse.conf")
    assert PASSWORD not in problem
    assert "another" not in problem
