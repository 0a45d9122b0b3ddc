# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the tests that run against a deployed example inventory."""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Callable, Generator, Iterator

import pytest
from testinfra.host import Host
from testinfra.utils.ansible_runner import AnsibleRunner

from tests.support.deployment import LAYOUT, Deployment, connect, topology
from tools.matrix import Client

_JOURNAL_LINES = 30
_COMPLAINT = "^(WARNING|ERROR|CRITICAL|Traceback)|FATAL|emerg"


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """The deployed fleet. The inventories come from ANSIBLE_INVENTORY."""
    variables = AnsibleRunner.get_runner(None).get_variables(topology().main.host)
    host = connect(variables, tmp_path_factory.mktemp("ssh"))
    return Deployment(topology=topology(), variables=variables, host=host)


@pytest.fixture(scope="session")
def new_user(fleet: Deployment) -> Iterator[Callable[..., Client]]:
    """Makes users; every test has its own, for the rate limits are those of the example inventories."""
    clients: list[Client] = []

    def make(name: str, *, admin: bool = False) -> Client:
        (account,) = fleet.register(f"{name}_{secrets.token_hex(4)}", admin=admin)
        client = fleet.client(account)
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.__exit__(None, None, None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Shows, below a failed test, what the fleet's processes complain about."""
    report = yield
    deployment = getattr(item, "funcargs", {}).get("fleet")
    if report.failed and isinstance(deployment, Deployment):
        report.sections.append(("Warnings and errors in the journal", _complaints(deployment.host)))
    return report


def _complaints(host: Host) -> str:
    units = [LAYOUT["main_unit"], LAYOUT["worker_unit"].replace("@", "@*"), "nginx", "postgresql@*", "redis-server"]
    words = [
        "journalctl",
        "--no-pager",
        "-q",
        "-o",
        "short-precise",
        "--since=-60s",
        *(f"--unit={unit}" for unit in units),
    ]
    done = host.run(shlex.join([*words, f"--grep={_COMPLAINT}"]))
    lines = [line for line in str(done.stdout).splitlines() if "synapse.config.logger" not in line]
    return "\n".join(lines[-_JOURNAL_LINES:]) or "none"
