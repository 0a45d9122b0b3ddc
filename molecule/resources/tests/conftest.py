# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the tests that run against a deployed example inventory."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Generator, Iterator

import pytest
from testinfra.host import Host
from testinfra.utils.ansible_runner import AnsibleRunner

from tests.support.deployment import LAYOUT, Deployment, connect, topology
from tools.matrix import Client

_JOURNAL_LINES = 30


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """The deployed fleet. The inventories come from ANSIBLE_INVENTORY."""
    variables = AnsibleRunner.get_runner(None).get_variables(topology().main.host)
    host = connect(variables, tmp_path_factory.mktemp("ssh"))
    return Deployment(topology=topology(), variables=variables, host=host)


@pytest.fixture(scope="session")
def host(fleet: Deployment) -> Host:
    """The host of all processes."""
    return fleet.host


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


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, "pytest.CallInfo[None]", None]:
    """Shows, below a failed test, what the fleet's processes complain about."""
    outcome = yield
    report = outcome.get_result()
    deployment = getattr(item, "funcargs", {}).get("fleet")
    if report.failed and isinstance(deployment, Deployment):
        report.sections.append(("Warnings and errors in the journal", _complaints(deployment.host)))


def _complaints(host: Host) -> str:
    units = f"-u '{LAYOUT['main_unit']}' -u '{LAYOUT['worker_unit'].replace('@', '@*')}' -u nginx -u postgresql@\\* -u redis-server"
    pattern = "^(WARNING|ERROR|CRITICAL|Traceback)|[Ff]ail|error"
    command = f"journalctl --no-pager -q -o short-precise --since -60s {units} -g '{pattern}' | tail -n {_JOURNAL_LINES}"
    return str(host.run(command).stdout) or "nothing"
