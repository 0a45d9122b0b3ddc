# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role redis deploys to a host, which variables it refuses, and what the server's answer means."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
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
    found = {"distribution": "Debian", "distribution_major_version": "13", "packages": list(packages)}
    return redis_server(fleet, "cache1", found, {"redis_maxmemory_mib": 0, **variables}, mode, PASSWORD)


def refused(topology: Topology, host: str, found: dict[str, Any], variables: dict[str, Any]) -> list[str]:
    return [str(problem) for problem in check(topology, host, found, variables)]


def answer(made: RedisServer, **changes: str) -> str:
    return json.dumps({**made.settings, **changes})


def test_one_host_has_a_socket_only() -> None:
    made = server()
    assert made.settings["port"] == "0"
    assert made.settings["unixsocket"] == "/run/redis/redis-server.sock"
    assert made.settings["requirepass"] == ""
    assert not made.with_password
    assert "-s /run/redis/redis-server.sock --json" in made.question[-1]


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
    assert (made.name, made.unit, made.program) == ("valkey", "valkey-server.service", "/usr/bin/valkey-server")
    assert [file["path"] for file in made.file_set["files"]] == [
        "/etc/valkey/matrix-synapse.conf",
        "/etc/systemd/system/valkey-server.service.d/matrix-synapse.conf",
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
                "redis_maxmemory_mib on host cache1 is -1: it is memory in MiB, a whole number from 0 on. Set it to 0"
                " for no limit.",
            ],
        ),
    ],
)
def test_variables_that_cannot_be(debian: str, package: str, memory: Any, expected: list[str]) -> None:
    found = {"distribution": "Debian", "distribution_major_version": debian}
    fleet = one_host(redis_package=package)
    assert refused(fleet, "cache1", found, {"redis_maxmemory_mib": memory}) == expected


@pytest.mark.parametrize("memory", ["much", 1.5, True])
def test_memory_that_is_no_number(memory: Any) -> None:
    (problem,) = refused(
        one_host(),
        "cache1",
        {"distribution": "Debian", "distribution_major_version": "13"},
        {"redis_maxmemory_mib": memory},
    )
    assert problem.startswith("redis_maxmemory_mib on host cache1 is ")


# -- the answer ------------------------------------------------------------------------------------------------------


def state(made: RedisServer, text: str, code: int = 0) -> RedisState:
    return redis_state(made, code=code, answer=text)


RESTART = {
    "unit": "redis-server.service",
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
    assert problem.startswith("save, requirepass on host cache1 differ from /etc/redis/matrix-synapse.conf")
    assert PASSWORD not in problem
    assert "another" not in problem
