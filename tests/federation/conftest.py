# SPDX-License-Identifier: GPL-3.0-or-later
"""Two servers that federate, deployed at the same time on a host each, with an authority of their own."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.federation.authority import Authority
from tests.federation.bystanders import Bystanders, bystanders
from tests.federation.servers import EXAMPLE, OUTSIDE, Server, names_of, variables
from tools.layers import with_release
from tools.matrix import Client
from tools.runs import Run, disposable_fleet

NAMES = ("fed-a.test", "fed-b.test")
SENDERS = 3
_COMPLAINTS = (
    "journalctl -q --no-pager -o short-precise --since=-120s -u 'matrix-synapse*' -u nginx"
    " --grep '^(WARNING|ERROR|CRITICAL|Traceback)|emerg' | grep -v synapse.config.logger | tail -n 30"
)


@dataclass
class Servers:
    """The servers, and others that one of them talks to.

    Attributes:
        a: the one that changes its senders.
        b: the other one.
        bystanders: receive messages to devices from ``a``.
    """

    a: Server
    b: Server
    bystanders: Bystanders

    @property
    def ways(self) -> tuple[tuple[Server, Server], ...]:
        """Who talks to whom."""
        return (self.a, self.b), (self.b, self.a)


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Both servers, deployed."""
    suite = os.environ.get("MOLECULE_SUITE", "trixie")
    network = os.environ.get("MOLECULE_NETWORK", "10.88.110")
    authority = Authority(tmp_path_factory.mktemp("authority"))
    with ExitStack() as stack:
        made = []
        for name, last in zip(NAMES, (10, 11), strict=True):
            machine, address = f"{name.partition('.')[0]}-{suite}", f"{network}.{last}"
            fleet = stack.enter_context(
                disposable_fleet(
                    EXAMPLE,
                    machine=machine,
                    address=address,
                    suite=suite,
                    variables=variables(name),
                    layers=with_release(["synapse1"], suite),
                )
            )
            made.append(Server(name, address, fleet, tmp_path_factory.mktemp("ssh")))
        # Their address exists since the first host does.
        others = stack.enter_context(bystanders(authority, OUTSIDE, other=NAMES[1], senders=SENDERS))
        hosts = {server.address: names_of(server.name) for server in made}
        hosts[OUTSIDE] = [name.partition(":")[0] for name in others.names]
        with ThreadPoolExecutor(len(made)) as pool:
            for server, run in zip(made, pool.map(lambda server: _deploy(server, authority, hosts), made), strict=True):
                assert run.code == 0, f"{server.name}:\n{run.output[-4000:]}"
        yield Servers(a=made[0], b=made[1], bystanders=others)


def _deploy(server: Server, authority: Authority, hosts: dict[str, list[str]]) -> Run:
    server.prepare(authority, hosts)
    return server.fleet.run()


@pytest.fixture(scope="session")
def new_user() -> Iterator[Callable[..., Client]]:
    """Makes users of a server."""
    clients: list[Client] = []

    def make(server: Server, name: str) -> Client:
        (account,) = server.deployment.register(f"{name}_{secrets.token_hex(4)}")
        clients.append(server.deployment.client(account))
        return clients[-1]

    yield make
    for client in clients:
        client.__exit__(None, None, None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Shows, below a failed test, what the servers complain about."""
    report = yield
    deployed = getattr(item, "funcargs", {}).get("servers")
    if report.failed and isinstance(deployed, Servers):
        for server in (deployed.a, deployed.b):
            told = server.deployment.host.run(_COMPLAINTS)
            report.sections.append((f"Warnings and errors of {server.name}", str(told.stdout)))
    return report
