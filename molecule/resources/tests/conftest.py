# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the tests that run against a deployed example inventory."""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Callable, Generator, Iterator

import pytest
from testinfra.utils.ansible_runner import AnsibleRunner

from tests.support.deployment import LAYOUT, Deployment, Machine, connect, topology
from tools.matrix import Client

_JOURNAL_LINES = 30
_COMPLAINT = "^(WARNING|ERROR|CRITICAL|Traceback)|FATAL|emerg"


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """The deployed fleet. The inventories come from ANSIBLE_INVENTORY."""
    sockets = tmp_path_factory.mktemp("ssh")
    machines = {}
    for name in topology().addresses:
        variables = AnsibleRunner.get_runner(None).get_variables(name)
        machines[name] = Machine(name, variables, connect(variables, sockets))
    main = machines.pop(topology().main.host)
    return Deployment(topology=topology(), variables=main.variables, host=main.host, others=list(machines.values()))


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
        report.sections.append(("Warnings and errors in the journal", _complaints(deployment)))
    return report


def _complaints(deployment: Deployment) -> str:
    units = [LAYOUT["main_unit"], LAYOUT["worker_unit"].replace("@", "@*"), "nginx", "postgresql@*", "redis-server*"]
    words = [
        "journalctl",
        "--no-pager",
        "-q",
        "-o",
        "short-precise",
        "--since=-60s",
        *(f"--unit={unit}" for unit in units),
    ]
    lines = []
    for machine in deployment.machines.values():
        done = machine.host.run(shlex.join([*words, f"--grep={_COMPLAINT}"]))
        lines += [line for line in str(done.stdout).splitlines() if "synapse.config.logger" not in line]
    return "\n".join(lines[-_JOURNAL_LINES:]) or "none"
