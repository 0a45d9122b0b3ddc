# SPDX-License-Identifier: GPL-3.0-or-later
"""How many requests per second a fleet serves in time, for growing numbers of workers.

Every Synapse process gets the same small share of a CPU, so that the processes and not this machine are the limit, like
on machines with a CPU for each of them. Inside a disposable host, CPUQuota= is not enforced; a cgroup of this machine's
v1 cpu controller is, with a quota and a process in it. nginx, PostgreSQL and Redis are not limited.

A load of real requests through nginx (``benchmarks.load``) grows in steps as long as 95 % of the requests of each step
are answered in time and none fails. Waiting syncs do not count as late, but a message must reach the syncs of its
readers within twice the time. The best step that passed is the capacity.

Usage: as root, ``.venv/bin/python -m benchmarks.capacity [0 2 4 8 16 single_host full …] [--share 0.15] [--limit 1]
[--write]``; ``--write`` puts the table into docs/performance.md and the chart into docs/capacity.svg.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / ".ansible" / "collections"))

from ansible_collections.baremetal.synapse.plugins.plugin_utils.views import svg

from benchmarks.fleets import booted, one_host
from benchmarks.load import Report, RunningLoad
from benchmarks.load.fleet import LET_IN, load_on
from benchmarks.readme import write_measured
from tools.docs_tables import table
from tools.inventory import load_topology
from tools.runs import ROOT

CHART = ROOT / "docs" / "capacity.svg"
USERS = 30
POLL_SECONDS = 30.0
GROWTH = (1.5, 1.15)
SETTLE_SECONDS = 5.0
_CPU = Path("/sys/fs/cgroup/cpu")
_PERIOD = 25_000  # µs; the shorter, the less a process waits for its next turn
_LEAST_QUOTA = 1_000  # µs; the kernel's
_WRITERS = ["typing", "to_device", "account_data", "presence", "push_rules", "receipts", "device_lists"]

POOLS: Mapping[int, Mapping[str, Any]] = {
    0: {},
    2: {
        "generic_workers": {
            "sync": {"duties": ["sync", "initial_sync", "sliding_sync"]},
            "room": {"duties": ["room", "client_reader", "login"]},
        }
    },
    4: {
        "generic_workers": {
            "sync": {"duties": ["sync", "initial_sync", "sliding_sync"]},
            "room": {"duties": ["room", "client_reader", "login"]},
            "events": {},
            "writer": {"duties": _WRITERS},
        }
    },
    8: {
        "generic_workers": {
            "sync": {"count": 2, "duties": ["sync", "initial_sync", "sliding_sync"]},
            "room": {"count": 2},
            "reader": {"duties": ["client_reader", "login"]},
            "events": {},
            "writer": {"duties": _WRITERS},
        },
        "media_workers": {"media": {}},
    },
    16: {
        "generic_workers": {
            "sync": {"count": 5, "duties": ["sync", "initial_sync", "sliding_sync"]},
            "room": {"count": 3},
            "reader": {"count": 2, "duties": ["client_reader", "login"]},
            "events": {"count": 2},
            "receipts": {},
            "writer": {"duties": [duty for duty in _WRITERS if duty != "receipts"]},
        },
        "media_workers": {"media": {}},
        "background_workers": {"background": {"duties": ["background_tasks", "user_directory"]}},
    },
}
"""Pools that suit the mix of the load, by the number of their workers."""


@dataclass(frozen=True)
class Capacity:
    """What a fleet served in time.

    Attributes:
        name: of the fleet.
        workers: how many it has.
        requests: answered in a second, those of syncs too.
        late: the 95th percentile of the delays, in seconds.
        busiest: the process that came closest to its share, and the part of the time in which it had to wait for it.
    """

    name: str
    workers: int
    requests: float
    late: float
    busiest: str


# -- the share of a CPU ------------------------------------------------------------------------------------------------


def processes_of(machine: str) -> dict[str, list[int]]:
    """Returns the processes of Synapse on a disposable host, as this machine sees them, by their unit."""
    ours = re.compile(rf"0::/fleet-{re.escape(machine)}/payload/.*/(matrix-synapse(?:-worker@[^/]+)?)\.service$", re.M)
    found: dict[str, list[int]] = {}
    for process in Path("/proc").glob("[0-9]*"):
        # It may end meanwhile.
        with suppress(OSError):
            if match := ours.search((process / "cgroup").read_text()):
                found.setdefault(match[1].removeprefix("matrix-synapse-worker@"), []).append(int(process.name))
    return found


@contextmanager
def limited(machine: str, share: float) -> Iterator[dict[str, Path]]:
    """Gives each process of Synapse on a host the same share of a CPU meanwhile.

    Args:
        machine: the disposable host.
        share: of one CPU.

    Raises:
        ValueError: the kernel cannot give so small a share.
    """
    quota = round(share * _PERIOD)
    if quota < _LEAST_QUOTA:
        raise ValueError(f"the share is {share}: set it to at least {_LEAST_QUOTA / _PERIOD}")
    groups = {}
    try:
        for unit, pids in processes_of(machine).items():
            group = _CPU / f"{machine}-{unit}"
            group.mkdir(exist_ok=True)
            groups[unit] = group
            (group / "cpu.cfs_period_us").write_text(str(_PERIOD))
            (group / "cpu.cfs_quota_us").write_text(str(quota))
            for pid in pids:
                (group / "cgroup.procs").write_text(str(pid))
        yield groups
    finally:
        for group in groups.values():
            for left in (group / "cgroup.procs").read_text().split():
                with suppress(ProcessLookupError):
                    (_CPU / "cgroup.procs").write_text(left)
            group.rmdir()


def waits(groups: Mapping[str, Path]) -> dict[str, tuple[int, int]]:
    """Returns for each process the periods in which it ran, and those in which it had to wait for its share."""
    found = {}
    for unit, group in groups.items():
        lines = dict(line.split() for line in (group / "cpu.stat").read_text().splitlines())
        found[unit] = int(lines["nr_periods"]), int(lines["nr_throttled"])
    return found


def busiest(before: Mapping[str, tuple[int, int]], after: Mapping[str, tuple[int, int]], seconds: float) -> str:
    """Returns the process that waited longest for its share, and the part of the time."""
    waited = {unit: (after[unit][1] - before[unit][1]) * _PERIOD / 1e6 / seconds for unit in before}
    unit = max(waited, key=lambda name: waited[name])
    return f"{unit} {100 * waited[unit]:.0f} %"


# -- the load ----------------------------------------------------------------------------------------------------------


def late(report: Report) -> float:
    """Returns the 95th percentile of the delays of all requests but syncs, in seconds."""
    return _percentile([outcome.seconds for outcome in report.outcomes if outcome.kind != "sync"])


def _percentile(values: Sequence[float], share: float = 0.95) -> float:
    ordered = sorted(values)
    return ordered[math.ceil(share * len(ordered)) - 1] if ordered else math.inf


def passed(report: Report, rate: float, limit: float) -> bool:
    """Returns whether a step was served in time.

    Args:
        report: what came of it.
        rate: the actions in a second that were asked for.
        limit: in seconds.
    """
    actions, expected = sum(outcome.kind != "sync" for outcome in report.outcomes), rate * report.seconds
    return (
        not report.failed
        # Users choose their moments by chance: in a short step of a slow load there are fewer now and then.
        and actions >= 0.8 * expected - 2 * math.sqrt(expected)
        and late(report) <= limit
        and _percentile(report.deliveries) <= 2 * limit
    )


def grown(
    load: RunningLoad, groups: Mapping[str, Path], options: argparse.Namespace
) -> tuple[float, float, str] | None:
    """Lets a load grow; returns requests in a second, their delay and the busiest process of the best step in time.

    It grows in large steps until one is late, and from the last one in time in small ones.
    """
    best = None
    reached = 0.0
    for growth in GROWTH:
        rate = reached * growth or float(options.start)
        # One slow step may be this machine's fault.
        for _ in range(2):
            while (served := _step(load, groups, rate, options)) is not None:
                best, reached = served, rate
                rate *= growth
    return best


def _step(
    load: RunningLoad, groups: Mapping[str, Path], rate: float, options: argparse.Namespace
) -> tuple[float, float, str] | None:
    """Returns what a step has served; None if it was late."""
    load.load.pace(rate)
    time.sleep(SETTLE_SECONDS)
    before, since = waits(groups), time.monotonic()
    time.sleep(options.seconds)
    report = load.report(since)
    busy = busiest(before, waits(groups), options.seconds)
    served = len(report.outcomes) / report.seconds
    fine = passed(report, rate, options.limit)
    say(
        f"  {rate:6.1f} actions/s: {served:6.1f} requests/s, 95 % in {late(report):.2f} s, delivered in "
        f"{_percentile(report.deliveries):.2f} s, {len(report.failed)} failed, {busy}: {'fine' if fine else 'late'}"
    )
    return (served, late(report), busy) if fine else None


def capacity(name: str, options: argparse.Namespace) -> Capacity:
    """Deploys a fleet, and returns what it serves in time.

    Args:
        name: a number of workers of ``POOLS``, or the name of an example inventory with one host.
        options: of the command line.

    Raises:
        SystemExit: it was not deployed, or did not serve the first step in time.
    """
    variables = {"synapse_extra_config": LET_IN, "synapse_cp_max": 3}
    wanted: dict[str, Any] | str = one_host(**POOLS[int(name)]) if name.isdigit() else name
    with booted(wanted, machine=f"capacity-{name.replace('_', '-')}", address="10.88.139.10", **variables) as fleet:
        say(f"deploying {name} …")
        run = fleet.run()
        if run.code != 0:
            raise SystemExit(f"{name} was not deployed:\n{run.output[-5000:]}")
        with (
            load_on(fleet, users=USERS, rate=options.start, poll_seconds=POLL_SECONDS) as load,
            limited(fleet.machine, options.share) as groups,
        ):
            best = grown(load, groups, options)
        workers = len(load_topology(fleet.inventory, fleet.override).workers)
    if best is None:
        raise SystemExit(f"{name} did not serve {options.start} actions/s in time: lower --start, or raise --share")
    return Capacity(name, workers, *best)


# -- what came of it ---------------------------------------------------------------------------------------------------


def result(found: Sequence[Capacity]) -> str:
    """Returns the table."""
    least = min(found, key=lambda one: one.workers).requests
    return table(
        (
            "fleet",
            "workers",
            "requests/s in time",
            "against the smallest",
            "95 % within, ms",
            "waits most for its share",
        ),
        (
            (
                f"{one.name} workers" if one.name.isdigit() else f"`{one.name}`",
                str(one.workers),
                f"{one.requests:.1f}",
                f"{one.requests / least:.2f}",
                f"{1000 * one.late:.0f}",
                one.busiest,
            )
            for one in found
        ),
    )


def chart(found: Sequence[Capacity]) -> str:
    """Returns a chart of the fleets that are made for the mix: requests in a second by workers, as SVG."""
    points = sorted((one.workers, one.requests) for one in found)
    left, top, width, height = 56.0, 48.0, 520.0, 260.0
    most_workers, most = max(1, points[-1][0]), 1.1 * max(requests for _workers, requests in points)
    step = _round_step(most / 5)

    def at(workers: float, requests: float) -> svg.Point:
        return left + width * workers / most_workers, top + height * (1 - requests / most)

    body = [svg.text((16, 28), "Requests a second in time, by workers", "title")]
    for number in range(int(most / step) + 1):
        y = at(0, number * step)[1]
        body += [
            svg.line([(left, y), (left + width, y)], "grid"),
            svg.text((left - 8, y + 4), svg.number(number * step), "small end"),
        ]
    body.append(svg.line([at(workers, requests) for workers, requests in points], "series"))
    for workers, requests in points:
        x, y = at(workers, requests)
        body += [
            svg.element("circle", cx=x, cy=y, r=4, class_="dot"),
            svg.text((x, y - 10), f"{requests:.0f}", "strong middle"),
            svg.text((x, top + height + 18), str(workers), "small middle"),
        ]
    body.append(svg.text((left + width / 2, top + height + 38), "workers besides the main process", "small middle"))
    about = "; ".join(f"{workers} workers: {requests:.0f} requests a second" for workers, requests in points)
    style = """\
.line.grid{stroke:#d0d7de;stroke-width:1}.line.series{stroke:#0969da;stroke-width:2.5}.dot{fill:#0969da}
@media (prefers-color-scheme:dark){.line.grid{stroke:#30363d}.line.series{stroke:#58a6ff}.dot{fill:#58a6ff}}
"""
    return svg.document((left + width + 32, top + height + 52), "Capacity by workers", about, style, body)


def _round_step(step: float) -> float:
    """Returns 1, 2 or 5 times a power of ten, at least as much."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step)


def say(text: str) -> None:
    """Prints the progress."""
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    """Measures, prints, and writes if asked to."""
    parser = argparse.ArgumentParser(description="How many requests in a second a fleet serves in time.")
    names = [*map(str, POOLS), "single_host", "full"]
    parser.add_argument("fleets", nargs="*", metavar="FLEET", help=f"of {', '.join(names)} (default: all)")
    parser.add_argument("--share", type=float, default=0.15, help="of a CPU for each process (default: %(default)s)")
    parser.add_argument("--limit", type=float, default=1.0, help="seconds in which 95 %% are answered")
    parser.add_argument("--start", type=float, default=1.0, help="actions in a second of the first step")
    parser.add_argument("--seconds", type=float, default=15.0, help="of each step")
    parser.add_argument("--write", action="store_true", help="write docs/performance.md and docs/capacity.svg")
    options = parser.parse_args()
    if unknown := set(options.fleets) - set(names):
        parser.error(f"there is no fleet {', '.join(sorted(unknown))}: take some of {', '.join(names)}")
    found = [capacity(name, options) for name in options.fleets or names]
    print(result(found))
    if options.write:
        made = [one for one in found if one.name.isdigit()]
        if len(made) > 1:
            CHART.write_text(chart(made))
            write_measured("capacity", f"{result(made)}\n\n![requests a second by workers]({CHART.name})")
        if len(made) < len(found):
            write_measured("examples", result(found))


if __name__ == "__main__":
    main()
