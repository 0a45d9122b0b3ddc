# SPDX-License-Identifier: GPL-3.0-or-later
"""What failures cost the users: processes killed, servers restarted, networks cut, under load, without an operator.

The trials are those of the tests in tests/chaos. From the command line they run one after another, and ``--write`` puts
the figures into docs/resilience.md.

Usage: ``.venv/bin/python -m benchmarks.chaos [--write]``
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.load import Outcome, Report, RunningLoad
from benchmarks.load.fleet import LET_IN, load_on
from tools.docs_tables import table
from tools.inventory import load_topology
from tools.runs import ROOT, Fleet, disposable_fleet

DOCUMENT = ROOT / "docs" / "resilience.md"
SEVERAL = ROOT / "tests" / "chaos" / "inventory"
"""An inventory of three hosts, two of them with nginx."""

SETTLE_SECONDS = 3.0
"""How long nothing must fail until a fleet counts as healed."""

_CLOCK_STEP = 1e-6
_LOOK_SECONDS = 0.05

_MARKED = re.compile(r"(<!-- figures: written by benchmarks/chaos.py -->\n).*?(<!-- end of figures -->)", re.DOTALL)
_SECRET = "/etc/matrix-synapse/secrets/redis_password"  # noqa: S105  its place

# Ends when every unit of a host is active.
_ACTIVE = """
end=$(($(date +%s) + {patience}))
while [ "$(date +%s)" -le "$end" ]; do
  active=$(systemctl is-active {units} | grep -cx active || true)
  if [ "$active" = {count} ]; then exit 0; fi
  sleep 0.3
done
echo "$active of {count} units are active" >&2
exit 1
"""
# Ends when every process of the fleet has subscribed.
_SUBSCRIBED = """
end=$(($(date +%s) + {patience}))
while [ "$(date +%s)" -le "$end" ]; do
  heard=$({redis} PUBSUB NUMSUB {channel} 2>/dev/null | tail -n 1)
  if [ "$heard" = {processes} ]; then exit 0; fi
  sleep 0.3
done
echo "$heard of {processes} processes have subscribed" >&2
exit 1
"""


class NotHealedError(Exception):
    """A fleet did not come back by itself; the text says what is missing."""


@dataclass(frozen=True)
class Trial:
    """Something that goes wrong.

    Attributes:
        name: what it is, for a table.
        breaks: does it, and returns when it is done.
        patience: seconds in which the fleet has to heal.
        fixes: what comes back by itself later, such as a network that was cut; None if nothing does.
        cut: seconds until then.
    """

    name: str
    breaks: Callable[[], object]
    patience: int = 60
    fixes: Callable[[], object] | None = None
    cut: float = 0.0


@dataclass(frozen=True)
class Attempt:
    """A trial that was made; moments are in seconds of the monotonic clock.

    Attributes:
        name: of the trial.
        since: when the oldest request began that ran when something was broken.
        began: when it was broken.
        whole: when all processes were back, and since when no request has failed.
        until: a moment later, when every request that had begun before has ended.
    """

    name: str
    since: float
    began: float
    whole: float
    until: float

    def covers(self, moment: float) -> bool:
        """Returns whether what began then belongs to the trial."""
        return self.since <= moment < self.until


@dataclass(frozen=True)
class Figures:
    """What a trial has cost.

    Attributes:
        name: of the trial.
        seconds: until all processes were back, and the last request that failed had ended.
        report: the requests that ran when something was broken, and those after them until the fleet had healed.
        lost: acknowledged messages of that time that are gone.
    """

    name: str
    seconds: float
    report: Report
    lost: int


@dataclass
class Chaos:
    """A fleet, deployed and under load, and what was tried on it.

    Attributes:
        fleet: the fleet.
        load: the load.
        attempts: the trials up to now.
    """

    fleet: Fleet
    load: RunningLoad
    attempts: list[Attempt] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.topology = load_topology(self.fleet.inventory, self.fleet.override)

    def units(self, host: str | None = None) -> list[str]:
        """Returns the units of Synapse on a host, or on all of them."""
        return [
            "matrix-synapse.service" if process.is_main else f"matrix-synapse-worker@{process.name}.service"
            for process in self.topology.processes
            if host in (None, process.host)
        ]

    @property
    def redis(self) -> str:
        """The command line of redis-cli, on the host of Redis."""
        if self.topology.unix:
            return "redis-cli -s /run/redis-synapse/redis-server.sock"
        address = self.topology.addresses[str(self.topology.host_of("redis"))]
        return f'env REDISCLI_AUTH="$(cat {_SECRET})" redis-cli -h {address} -p {self.topology.options["redis_port"]}'

    def wait(self, patience: int) -> None:
        """Waits until the fleet is whole.

        Raises:
            NotHealedError: it was not in time.
        """
        for host in self.fleet.hosts:
            if units := self.units(host):
                self._await(host, _ACTIVE.format(patience=patience, units=" ".join(units), count=len(units)))
        subscribed = _SUBSCRIBED.format(
            patience=patience,
            redis=self.redis,
            channel=self.topology.server_name,
            processes=len(self.topology.processes),
        )
        self._await(self.topology.host_of("redis"), subscribed)

    def _await(self, host: str | None, script: str) -> None:
        try:
            self.fleet.shell(script, host=host)
        except RuntimeError as error:
            raise NotHealedError(f"{host}: {str(error).strip().splitlines()[-1]}") from None

    def attempt(self, trial: Trial) -> None:
        """Breaks something under load, and waits until the fleet has healed.

        Raises:
            NotHealedError: it has not.
        """
        since, began = self.load.running_since(), time.monotonic()
        trial.breaks()
        if trial.fixes is not None:
            time.sleep(trial.cut)
            trial.fixes()
        self.wait(trial.patience)
        whole, until = self._quiet(time.monotonic(), began + trial.patience)
        self.attempts.append(Attempt(trial.name, since, began, whole, until))

    def _quiet(self, moment: float, deadline: float) -> tuple[float, float]:
        """Waits until no request has failed for a while; returns since when, and until when all have ended well."""
        while True:
            time.sleep(SETTLE_SECONDS)
            until = time.monotonic()
            # What runs may still fail; what comes next may break it, and would be blamed on this trial.
            while self.load.running_since() < until:
                time.sleep(_LOOK_SECONDS)
            report = self.load.report(moment, until)
            if not report.bad:
                return moment, until
            if time.monotonic() > deadline:
                raise NotHealedError(f"all processes run, but requests fail: {report.reasons()}")
            moment = max(outcome.started for outcome in report.bad) + _CLOCK_STEP

    def figures(self) -> list[Figures]:
        """Returns what the trials have cost. The load has to have stopped: only then all is known."""
        return [self._figures(attempt) for attempt in self.attempts]

    def _figures(self, attempt: Attempt) -> Figures:
        report = self.load.report(attempt.since, attempt.until)
        lost = self.load.verification.missing
        return Figures(
            name=attempt.name,
            seconds=max([attempt.whole, *(outcome.ended for outcome in report.bad)]) - attempt.began,
            report=report,
            lost=sum(attempt.covers(message.started) for message in lost),
        )

    def unexplained(self) -> list[Outcome]:
        """Returns the failures outside all trials, when nothing was broken."""
        return [
            outcome
            for outcome in self.load.report().bad
            if not any(attempt.covers(outcome.started) for attempt in self.attempts)
        ]


HEADS = (
    "what happens",
    "seconds to heal",
    "requests meanwhile",
    "failed",
    "of the kinds",
    "slowest delivery, seconds",
    "acknowledged messages lost",
)


def row(figures: Figures) -> tuple[str, ...]:
    """Returns the row of a trial."""
    report = figures.report
    return (
        figures.name,
        f"{figures.seconds:.1f}",
        str(len(report.outcomes)),
        str(len(report.bad)),
        ", ".join(sorted(report.failed_kinds)) or "none",
        f"{max(report.deliveries, default=0.0):.1f}",
        str(figures.lost),
    )


def told(figures: Iterable[Figures]) -> str:
    """Returns the table of trials, and what went wrong in each."""
    listed = list(figures)
    reasons = (f"{entry.name}: {entry.report.reasons()}" for entry in listed)
    return "\n".join((table(HEADS, map(row, listed)), *reasons))


def kills(chaos: Chaos) -> list[Trial]:
    """Returns a ``kill -9`` of each Synapse process."""
    return [
        Trial(f"`kill -9` of {process.name}", _kill(chaos.fleet, process.host, unit))
        for process, unit in zip(chaos.topology.processes, chaos.units(), strict=True)
    ]


def _kill(fleet: Fleet, host: str, unit: str) -> Callable[[], object]:
    # It has ended when systemd has noticed.
    script = f"systemctl kill --signal=KILL {unit}; until ! systemctl -q is-active {unit}; do sleep 0.05; done"
    return lambda: fleet.shell(script, host=host)


def redis_gone(chaos: Chaos, seconds: float) -> Trial:
    """Returns a Redis that is stopped for some time."""
    shell, host = chaos.fleet.shell, chaos.topology.host_of("redis")
    return Trial(
        f"Redis gone for {seconds:.0f} s",
        lambda: shell("systemctl stop redis-server@synapse", host=host),
        90,
        lambda: shell("systemctl start redis-server@synapse", host=host),
        seconds,
    )


def restarts(chaos: Chaos) -> list[Trial]:
    """Returns restarts of the servers below Synapse, and a killed nginx worker."""
    fleet, topology = chaos.fleet, chaos.topology
    edge = topology.hosts_of("nginx")[0]
    return [
        Trial(
            "restart of Redis",
            lambda: fleet.shell("systemctl restart redis-server@synapse", host=topology.host_of("redis")),
        ),
        Trial(
            "restart of PostgreSQL",
            lambda: fleet.shell("systemctl restart postgresql@*-synapse", host=topology.host_of("postgres")),
        ),
        Trial(
            "`kill -9` of a worker of nginx", lambda: fleet.shell("pkill -KILL -o -P $(cat /run/nginx.pid)", host=edge)
        ),
    ]


def deaf(chaos: Chaos) -> Trial:
    """Returns a process whose subscription Redis refuses, for a moment, after its connection was lost."""
    redis, host = chaos.redis, chaos.topology.host_of("redis")
    script = f"""
{redis} ACL SETUSER default -subscribe
{redis} CLIENT KILL ID $({redis} CLIENT LIST TYPE pubsub | tail -n 1 | grep -oE '^id=[0-9]+' | cut -d= -f2)
sleep 3
{redis} ACL SETUSER default +subscribe
"""
    return Trial(
        "a process that runs, but has lost its subscription", lambda: chaos.fleet.shell(script, host=host), 120
    )


def cut_off(chaos: Chaos, host: str, what: str, seconds: float) -> Trial:
    """Returns a host whose network is gone for some time."""
    address = chaos.fleet.addresses[host]
    others = [other for other in chaos.fleet.hosts if other != host]

    def rules(action: str) -> None:
        for other in others:
            chaos.fleet.shell(action, host=other)

    drop = (
        "nft add table inet chaos && nft 'add chain inet chaos in { type filter hook input priority -300; }' &&"
        f" nft add rule inet chaos in ip saddr {address} drop &&"
        " nft 'add chain inet chaos out { type filter hook output priority -300; }' &&"
        f" nft add rule inet chaos out ip daddr {address} drop"
    )
    return Trial(what, lambda: rules(drop), 90, lambda: rules("nft delete table inet chaos"), seconds)


def edge_gone(chaos: Chaos, host: str, seconds: float) -> Trial:
    """Returns a trial in which an edge does not answer for some time."""
    shell = chaos.fleet.shell
    return Trial(
        "one of two edges gone",
        lambda: shell("systemctl kill --signal=KILL nginx; systemctl stop nginx", host=host),
        60,
        lambda: shell("systemctl start nginx", host=host),
        seconds,
    )


def absences(chaos: Chaos) -> list[Trial]:
    """Returns hosts of ``SEVERAL`` that are gone for some time."""
    return [
        cut_off(chaos, "app1", "a host of workers cut off the network for 20 s", 20),
        edge_gone(chaos, "edge2", 10),
        cut_off(chaos, "main1", "the host of main, PostgreSQL and Redis cut off from the others for 10 s", 10),
    ]


@contextmanager
def deployed(
    inventory: str | Path,
    machine: str,
    address: str,
    *,
    suite: str = "trixie",
    edges: Iterable[str] = (),
    variables: Mapping[str, Any] | None = None,
    layers: Mapping[str, str] | None = None,
) -> Iterator[Chaos]:
    """Boots and deploys a fleet, and puts it under load.

    Args:
        inventory: a folder, or the name of an example.
        machine: the name of its disposable host, or what their names begin with.
        address: of the first host.
        suite: the Debian of the hosts.
        edges: the hosts of nginx that clients use; by default the first host.
        variables: variables of the hosts, on top of those that let the load in.
        layers: the layers from which hosts boot; see ``tools.layers``.
    """
    its = {"synapse_extra_config": LET_IN, **(variables or {})}
    with disposable_fleet(
        inventory, machine=machine, address=address, suite=suite, variables=its, layers=layers
    ) as fleet:
        run = fleet.run()
        if run.code != 0:
            raise RuntimeError(f"{inventory} was not deployed:\n{run.output[-3000:]}")
        with load_on(fleet, edges=tuple(edges)) as running:
            chaos = Chaos(fleet, running)
            chaos.wait(60)
            yield chaos


def network(last: int) -> str:
    """Returns an address in the network of the scenario, or in one of our own."""
    return f"{os.environ.get('MOLECULE_NETWORK', '10.88.121')}.{last}"


def write(rows: Iterable[tuple[str, ...]], document: Path = DOCUMENT) -> None:
    """Puts the figures between their markers.

    Raises:
        SystemExit: the markers are not there, or several times.
    """
    figures = table(HEADS, rows)
    text, count = _MARKED.subn(lambda match: f"{match[1]}{figures}\n{match[2]}", document.read_text())
    if count != 1:
        raise SystemExit(f"{document.name} has lost the markers of the figures")
    document.write_text(text)


def main() -> None:
    """Runs all trials, prints the figures, and writes them if asked to."""
    parser = argparse.ArgumentParser(prog="benchmarks.chaos", description="What failures cost the users.")
    parser.add_argument("--write", action="store_true", help=f"put the figures into docs/{DOCUMENT.name}")
    options = parser.parse_args()
    figures: list[Figures] = []
    with deployed("single_host", "chaos-bench", network(10)) as one:
        for trial in (*kills(one), *restarts(one), deaf(one), redis_gone(one, 25)):
            print(f"{trial.name} …", file=sys.stderr, flush=True)
            one.attempt(trial)
    figures += one.figures()
    with deployed(SEVERAL, "chaos-bench", network(20), edges=("main1", "edge2")) as several:
        for trial in absences(several):
            print(f"{trial.name} …", file=sys.stderr, flush=True)
            several.attempt(trial)
    figures += several.figures()
    print(told(figures))
    if options.write:
        write(map(row, figures))


if __name__ == "__main__":
    main()
