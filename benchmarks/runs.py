# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run costs: deploying, changing nothing, adding a worker, and rendering, for small and large fleets.

Each case is compared with the smallest one in the same minutes, so that other load on the machine matters less.
Processes are started for real, so 100 workers need 13 GiB of memory.

Usage: ``.venv/bin/python -m benchmarks.runs [workers|hosts|adding|rendering …] [--most 100] [--rounds 3] [--write]``;
``--write`` puts the tables into docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / ".ansible" / "collections"))

import yaml
from ansible_collections.baremetal.synapse.plugins.plugin_utils.lifecycle.dependencies import fingerprint_inputs
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.layout import http_socket
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.topology import parse_topology
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.config import (
    main_config,
    shared_config,
    worker_config,
)
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.units import worker_units
from ansible_collections.baremetal.synapse.plugins.plugin_utils.views.firewall import firewall_rules
from ansible_collections.baremetal.synapse.plugins.plugin_utils.views.watchdog import watchdog

from benchmarks.fleets import SERVICES, booted, inventory, one_host, written
from benchmarks.readme import write_measured
from tools.docs_tables import table
from tools.inventory import load_topology_json
from tools.proxy_files import proxy_files
from tools.runs import ROOT, Fleet, Run

WORKERS = (1, 10, 50, 100)
HOSTS = (1, 3, 7)
RENDERED = ((1, 20), (10, 200), (25, 500), (50, 1000))
_DUTIES = ("sync", "room", "client_reader")


@dataclass(frozen=True)
class Cost:
    """What a run costs.

    Attributes:
        seconds: how long it takes.
        executed: the tasks that it executes, on all hosts together.
    """

    seconds: float
    executed: int


@dataclass(frozen=True)
class LocalCost(Cost):
    """What a run costs that contacts no host.

    Attributes:
        cpu: the seconds of CPU time, of all its processes.
    """

    cpu: float


def pools(workers: int) -> dict[str, Any]:
    """Returns pools with so many workers together: what most servers have most of."""
    share, rest = divmod(workers, len(_DUTIES))
    counts = {duty: share + (number < rest) for number, duty in enumerate(_DUTIES)}
    return {duty: {"count": count} for duty, count in counts.items() if count}


def with_workers(workers: int) -> dict[str, Any]:
    """Returns an inventory of one host with so many workers."""
    return one_host(synapse_cp_max=2, generic_workers=pools(workers))


def with_hosts(hosts: int) -> dict[str, Any] | str:
    """Returns an inventory of 1, 3 or 7 hosts, or the name of an example.

    Raises:
        ValueError: it is another number.
    """
    each = {"generic_workers": pools(3)}
    if hosts == 1:
        return one_host(**each)
    if hosts == 3:
        groups = dict.fromkeys(SERVICES, ("main1",))
        return inventory({**groups, "generic_workers": ("app1", "app2")}, **each)
    if hosts == 7:
        return "cluster"
    raise ValueError(f"there is no fleet of {hosts} hosts: take one of {HOSTS}")


def done(run: Run, what: str, *, changes: bool) -> Run:
    """Returns the run, if it did what it was to do.

    Raises:
        SystemExit: it failed, or changed something although it should not.
    """
    if run.code != 0 or (not changes and run.changed):
        raise SystemExit(f"{what}: the run failed, or changed what it was not to:\n{run.output[-5000:]}")
    return run


def say(text: str) -> None:
    """Prints the progress."""
    print(text, file=sys.stderr, flush=True)


def in_turns(fleets: Sequence[Fleet], rounds: int) -> list[Cost]:
    """Returns what runs cost that change nothing, of fleets in turns."""
    runs: list[list[Run]] = [[] for _ in fleets]
    for _ in range(rounds):
        for fleet, found in zip(fleets, runs, strict=True):
            found.append(done(fleet.run(), f"{fleet.machine}, again", changes=False))
    return [Cost(median(run.seconds for run in found), found[0].executed) for found in runs]


def compared(sizes: Mapping[int, dict[str, Any] | str], what: str, network: str, rounds: int) -> str:
    """Returns the table of full runs, and of those that change nothing, for fleets of several sizes.

    The smallest one stays up, and each of the others takes turns with it.
    """

    def deployed(number: int, size: int, stack: ExitStack) -> tuple[Fleet, float]:
        fleet = booted(sizes[size], machine=f"bench-{what}-{size}", address=f"{network}{number}.10")
        made = stack.enter_context(fleet)
        say(f"deploying {size} {what} …")
        return made, done(made.run(), f"{size} {what}", changes=True).seconds

    least, *larger = sorted(sizes)
    rows = []
    with ExitStack() as whole:
        smallest, first = deployed(0, least, whole)
        for number, size in enumerate(larger, start=1):
            with ExitStack() as part:
                fleet, full = deployed(number, size, part)
                say(f"running {size} {what} again, in turns with {least} …")
                floor, again = in_turns((smallest, fleet), rounds)
            rows.append((size, full, again, floor))
        (alone,) = in_turns((smallest,), rounds)
    rows.insert(0, (least, first, alone, alone))
    return table(
        (what, "full run, s", "against the smallest", "changing nothing, s", "against the smallest", "tasks"),
        (
            (
                str(size),
                f"{full:.0f}",
                f"{full / first:.2f}",
                f"{again.seconds:.1f}",
                f"{again.seconds / floor.seconds:.2f}",
                str(again.executed),
            )
            for size, full, again, floor in rows
        ),
    )


def by_workers(options: argparse.Namespace) -> str:
    """Returns the table of runs with more and more workers on one host."""
    sizes: dict[int, dict[str, Any] | str] = {size: with_workers(size) for size in WORKERS if size <= options.most}
    return compared(sizes, "workers", "10.88.13", options.rounds)


def by_hosts(options: argparse.Namespace) -> str:
    """Returns the table of runs with more and more hosts."""
    return compared({size: with_hosts(size) for size in HOSTS}, "hosts", "10.88.14", options.rounds)


def adding(options: argparse.Namespace) -> str:
    """Returns the table of how long it takes until a further sync worker of a running fleet serves.

    It serves when it has answered, and nginx has loaded the configuration with it.
    """
    rows = []
    with booted(with_workers(min(10, options.most)), machine="bench-adding", address="10.88.138.10") as fleet:
        done(fleet.run(), "deploying", changes=True)
        wanted = pools(min(10, options.most))
        for tags in ([], ["--tags=synapse,nginx"]):
            found = []
            for _ in range(options.rounds):
                wanted["sync"]["count"] += 1
                fleet.set_variables(generic_workers=wanted)
                started = time.time()
                seconds = done(fleet.run(*tags), "adding a worker", changes=True).seconds
                socket = http_socket(f"{fleet.host}-sync-{wanted['sync']['count']}")
                fleet.shell(f"curl -sf --unix-socket {socket} http://localhost/health")
                # Hosts and controller have the same clock; nginx notes here what it has loaded.
                loaded = float(fleet.shell("date -r /run/matrix-synapse-nginx.loaded +%s.%N"))
                found.append((loaded - started, seconds))
            serves, ends = (median(values) for values in zip(*found, strict=True))
            rows.append((f"`{' '.join(('site.yml', *tags))}`", f"{serves:.1f}", f"{ends:.1f}"))
    return table(("run", "until it serves, s", "until the run has ended, s"), rows)


def rendering(options: argparse.Namespace) -> str:
    """Returns the table of what it costs to compute and render fleets that grow, without Ansible and with it."""
    rows = []
    for hosts, workers in RENDERED:
        groups = dict.fromkeys(SERVICES, ("h1",))
        wanted = inventory({**groups, "generic_workers": tuple(f"h{number}" for number in range(1, hosts + 1))})
        wanted["all"]["vars"] |= {"synapse_cp_max": 2, "generic_workers": pools(workers // hosts)}
        computed = median(_computed(wanted) for _ in range(options.rounds))
        costs, floors = [], []
        for _ in range(options.rounds):
            costs.append(_rendered(wanted))
            floors.append(_nothing(wanted, costs[-1].executed // hosts))
        cost, floor = (min(found, key=lambda one: one.cpu) for found in (costs, floors))
        rows.append(
            (
                str(hosts),
                str(workers),
                f"{computed:.2f}",
                f"{1000 * computed / workers:.1f}",
                f"{cost.seconds:.1f}",
                f"{cost.cpu:.1f}",
                f"{1000 * cost.cpu / workers:.0f}",
                str(cost.executed),
                f"{cost.cpu / floor.cpu:.2f}",
            )
        )
        say(f"rendered {hosts} hosts")
    heads = ("computing alone, s", "ms for a worker", "`render.yml`, s", "CPU-s", "ms of CPU for a worker")
    return table(("hosts", "workers", *heads, "tasks", "CPU against as many empty tasks"), rows)


def _computed(wanted: Mapping[str, Any]) -> float:
    """Returns the seconds in which all that files say is computed, in one process, and those of nginx printed."""
    with tempfile.TemporaryDirectory() as folder:
        text = load_topology_json(written(Path(folder), wanted))
    parse_topology.cache_clear()
    started = time.monotonic()
    topology = parse_topology(text)
    files: list[object] = [shared_config(topology), main_config(topology), proxy_files(topology)]
    files += (worker_config(topology, worker) for worker in topology.workers)
    for host in topology.addresses:
        files += (view(topology, host) for view in (worker_units, fingerprint_inputs, firewall_rules, watchdog))
    yaml.dump([entry for entry in files if isinstance(entry, dict)], Dumper=yaml.CSafeDumper)
    return time.monotonic() - started


def _rendered(wanted: Mapping[str, Any]) -> LocalCost:
    """Returns what a run of render.yml into an empty directory costs."""
    with tempfile.TemporaryDirectory() as folder:
        hosts = written(Path(folder), wanted)
        return _local(hosts, ROOT / "playbooks" / "render.yml", f"--extra-vars=render_to={folder}/out")


def _nothing(wanted: Mapping[str, Any], tasks: int) -> LocalCost:
    """Returns what a run costs that executes so many tasks on each host, which do nothing: the floor of Ansible."""
    with tempfile.TemporaryDirectory() as folder:
        hosts, playbook = written(Path(folder), wanted), Path(folder, "nothing.yml")
        play = {"hosts": "all", "gather_facts": False, "tasks": [{"ansible.builtin.debug": {"msg": ""}}] * tasks}
        playbook.write_text(json.dumps([play]))
        return _local(hosts, playbook)


def _local(inventory_path: Path, playbook: Path, *arguments: str) -> LocalCost:
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    ended = subprocess.run(
        [ROOT / ".venv" / "bin" / "ansible-playbook", f"--inventory={inventory_path}", playbook, *arguments],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    run = done(Run(ended.returncode, ended.stdout + ended.stderr, seconds), playbook.name, changes=True)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return LocalCost(seconds=seconds, executed=run.executed, cpu=cpu)


PARTS: dict[str, Callable[[argparse.Namespace], str]] = {
    "workers": by_workers,
    "hosts": by_hosts,
    "adding": adding,
    "rendering": rendering,
}


def main() -> None:
    """Measures, prints, and writes if asked to."""
    parser = argparse.ArgumentParser(description="What runs cost.")
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="what to measure (default: all)")
    parser.add_argument("--most", type=int, default=max(WORKERS), help="the most workers on one host")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="put the tables into docs/performance.md")
    options = parser.parse_args()
    for part in options.parts or PARTS:
        result = PARTS[part](options)
        print(f"{result}\n", flush=True)
        if options.write:
            write_measured(part, result)


if __name__ == "__main__":
    main()
