# SPDX-License-Identifier: GPL-3.0-or-later
"""Sends each request to main and to a worker, and compares the answers."""

from __future__ import annotations

import contextlib
import json
import shlex
import time
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass

from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.topology import Topology
from ansible_collections.baremetal.synapse.plugins.plugin_utils.routing.decisions import uses_mas
from ansible_collections.baremetal.synapse.plugins.plugin_utils.routing.proxy import proxy_server
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.config import health

from tools.matrix import encoded
from tools.proof.cases import CASES, Case
from tools.proof.compare import normal
from tools.proof.errors import ProofError
from tools.proof.host import PROJECT, Answer, Host, Process
from tools.proof.provider import key_set
from tools.proof.targets import Key, Target, targets
from tools.proof.world import OUTSIDER, Exchange, World, authentication

# What a process has written reaches the others within moments, and their caches a little later.
_ATTEMPTS = 4
_PAUSE = 0.5


@dataclass(frozen=True)
class Result:
    """What became of one request.

    Attributes:
        target: the route.
        case: the request.
        problem: what is wrong; empty if both processes give the same answer, and the right one.
    """

    target: Target
    case: Case
    problem: str = ""


class Prover:
    """A running fleet whose routes are proven."""

    def __init__(self, topology: Topology, host: Host, processes: Mapping[str, Process]) -> None:
        self._processes = processes
        self._targets = targets(topology)
        duties = {duty for worker in topology.workers for duty in worker.duties}
        doors = {duty: processes[topology.with_duty(duty)[0].name] for duty in duties}
        doors["main"] = processes[topology.main.name]
        self._world = World(host, topology.server_name, doors, delegated=uses_mas(topology))

    def results(self, known: Container[Key] = ()) -> Iterator[Result]:
        """Yields the result of each request whose route is there, goes to workers and is not known already."""
        for case in CASES:
            target = self._target_of(case)
            if target is not None and target.key not in known:
                yield Result(target, case, self._problem(target, case))

    @property
    def targets(self) -> tuple[Target, ...]:
        """The routes that go to workers."""
        return self._targets

    def _target_of(self, case: Case) -> Target | None:
        """Returns the route of a request; names stand for one part of a path each."""
        path = Exchange.blank(case.path.partition("?")[0])
        return next((target for target in self._targets if target.matches(case.method, path)), None)

    def _problem(self, target: Target, case: Case) -> str:
        begins = "since=" not in case.path
        worker = self._processes[target.initial if begins else target.worker]
        problem = ""
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(_PAUSE * attempt)
            try:
                problem = self._compared(target, case, worker)
            except ProofError as error:
                problem = f"cannot be prepared: {error}"
            if not problem:
                break
        return problem

    def _compared(self, target: Target, case: Case, worker: Process) -> str:
        by_worker, theirs = self._sent(case, worker)
        if by_worker.status != case.status:
            return f"{worker.name} answers {_shown(by_worker)}"
        if target.alone:
            # There is nothing to compare with.
            return ""
        by_main, mine = self._sent(case, self._processes["main"])
        if by_main.status != case.status:
            return f"main answers {_shown(by_main)}"
        return "" if mine == theirs else f"main answers\n{mine}\n{worker.name} answers\n{theirs}"

    def _sent(self, case: Case, process: Process) -> tuple[Answer, str]:
        """Sends a request, and returns the answer and what is to be compared of it."""
        exchange = Exchange(self._world, process)
        if case.before is not None:
            case.before(exchange)
        target = exchange.fill(case.path, encoded)
        body = exchange.fill(case.body) if case.build is None else case.build(exchange)
        answer = self._ask(exchange, case, target, body)
        user = None if case.who in ("nobody", "peer") else exchange.get(case.who)
        if (auth := authentication(answer, user)) is not None:
            answer = self._ask(exchange, case, target, {**(body or {}), "auth": auth})
        return answer, normal(answer, exchange.spelt(), case.volatile)

    def _ask(self, exchange: Exchange, case: Case, target: str, body: object) -> Answer:
        headers = exchange.cookie_header()
        content = None if body is None else json.dumps(body).encode()
        if case.content is not None:
            raw, headers["Content-Type"] = case.content
            content = exchange.fill(raw.decode()).encode() if b"{" in raw else raw
        elif body is not None:
            headers["Content-Type"] = "application/json"
        if case.who == "peer":
            exchange.get("peer_key")
            world = exchange.world
            headers["Authorization"] = world.peer.authorization(case.method, target, world.server, body)
        elif case.who != "nobody":
            headers["Authorization"] = f"Bearer {exchange.get(case.who).token}"
        return exchange.process.ask(case.method, target, content, headers)


def _shown(answer: Answer) -> str:
    return f"{answer.status} {answer.content[:300].decode(errors='replace')}"


@contextlib.contextmanager
def prover(topology: Topology, address: str) -> Iterator[Prover]:
    """Opens the way to all processes of a fleet on one host.

    Args:
        topology: the fleet.
        address: the address of its host.
    """
    host = Host(address)
    sockets = {process.name: health(topology, process) for process in topology.processes}
    there = {name: where.get("socket") or f"{where['address']}:{where['port']}" for name, where in sockets.items()}
    with _outsider(host), host.tunnels(there) as here:
        # Single sign-on begins at the public name only.
        public = str(proxy_server(topology)["public_name"])
        processes = {name: Process(name, path, public) for name, path in here.items()}
        try:
            yield Prover(topology, host, processes)
        finally:
            for process in processes.values():
                process.close()


@contextlib.contextmanager
def _outsider(host: Host) -> Iterator[None]:
    """Runs what stands for the rest of the world, on the host."""
    program = (PROJECT / "tools" / "proof" / "outsider.py").read_text()
    # One that a killed run has left would be in the way.
    host.shell("systemctl stop proof-outsider.service 2>/dev/null; cat > /run/proof-outsider.py", program)
    words = ["systemd-run", "--quiet", "--collect", "--unit=proof-outsider"]
    words += ["python3", "/run/proof-outsider.py", str(OUTSIDER), key_set()]
    host.shell(shlex.join(words))
    try:
        yield
    finally:
        host.shell("systemctl stop proof-outsider.service; rm -f /run/proof-outsider.py")
