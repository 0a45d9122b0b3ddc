# SPDX-License-Identifier: GPL-3.0-or-later
"""The servers for Redis of a host, and whether somebody uses them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.baremetal.synapse.plugins.module_utils._redis_instances import instances

INFO = "# Server\r\nredis_version:8.0.2\r\n# Keyspace\r\ndb0:keys=3,expires=0\r\ndb1:keys=4,expires=0\r\n"


class Host:
    """A host with a package for Redis, whose server answers, or does not."""

    def __init__(self, root: Path, settings: str = "", package: str = "redis-server") -> None:
        self.root, self.package, self.word = root, package, package.removesuffix("-server")
        self.active, self.info = True, INFO
        self.commands: list[tuple[list[str], Any]] = []
        self.write(f"usr/bin/{package}")
        self.write(f"etc/{self.word}/{self.word}.conf", settings)

    def write(self, path: str, text: str = "") -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def run(self, words: list[str], environ_update: Any = None) -> tuple[int, str, str]:
        self.commands.append((words, environ_update))
        if words[0] == "systemctl":
            return (0 if self.active else 3), "", ""
        answer = "appendonly\nyes\n" if words[-1] == "appendonly" else self.info
        return (0 if answer else 1), answer, ""


def test_a_host_without_the_packages_has_none(tmp_path: Path) -> None:
    assert instances(lambda *_words, **_more: (1, "", ""), tmp_path) == []


def test_the_server_of_the_package_is_asked_what_it_holds(tmp_path: Path) -> None:
    host = Host(tmp_path, 'bind 127.0.0.1 -::1\nport 6380\nrequirepass "hidden"\n')
    (found,) = instances(host.run, tmp_path)
    assert found == {
        "package": "redis-server",
        "name": "default",
        "ours": False,
        "running": True,
        "content": {"keys": 7, "appendonly": True, "port": 6380},
    }
    words, environment = host.commands[1]
    assert words == ["redis-cli", "-h", "127.0.0.1", "-p", "6380", "INFO"]
    assert environment == {"REDISCLI_AUTH": "hidden"}


@pytest.mark.parametrize("settings", ["port 0\nunixsocket /run/redis/own.sock\n"])
def test_a_server_with_a_socket_only_is_asked_there(tmp_path: Path, settings: str) -> None:
    host = Host(tmp_path, settings)
    instances(host.run, tmp_path)
    assert host.commands[1][0] == ["redis-cli", "-s", "/run/redis/own.sock", "INFO"]


def test_a_server_that_does_not_run_or_answer(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.info = "NOAUTH Authentication required."
    assert [(entry["running"], entry["content"]) for entry in instances(host.run, tmp_path)] == [(True, None)]
    host.active = False
    assert [(entry["running"], entry["content"]) for entry in instances(host.run, tmp_path)] == [(False, None)]


def test_the_server_of_an_existing_fleet_is_recognised_and_not_asked(tmp_path: Path) -> None:
    host = Host(tmp_path, package="valkey-server")
    host.write("etc/systemd/system/valkey-server.service.d/matrix-synapse.conf")
    (found,) = instances(host.run, tmp_path)
    assert (found["package"], found["ours"]) == ("valkey-server", True)
    assert host.commands == []


def test_further_instances_are_ours_or_somebody_elses(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.write("etc/redis/redis-synapse.conf", "#\n# Ansible managed\n#\nport 0\n")
    host.write("etc/redis/redis-shop.conf", "port 6400\n")
    host.write("etc/redis/redis-chat.conf", "port 0\n")
    host.write("etc/systemd/system/redis-server@chat.service.d/matrix-synapse.conf")
    _, *further = instances(host.run, tmp_path)
    assert {entry["name"]: entry["ours"] for entry in further} == {"chat": True, "shop": False, "synapse": True}
