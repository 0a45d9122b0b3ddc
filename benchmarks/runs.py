# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run of site.yml that changes nothing costs, for few and for many workers.

Deploys three example inventories on disposable hosts, then repeats runs that change nothing, in turns, and compares
their medians with each other and with a floor measured in the same minutes: one ``ping`` module on the same host.

Usage: ``.venv/bin/python -m benchmarks.runs [--rounds 3] [--write]``; ``--write`` puts the table into README.md.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from benchmarks.readme import write_table
from tools.docs_tables import table
from tools.inventory import load_topology
from tools.runs import ROOT, Fleet, disposable_fleet

EXAMPLES = ("monolith", "single_host", "full")
FLOOR = """---
- name: Floor
  hosts: all
  gather_facts: false
  tasks:
    - name: Reach the host
      ansible.builtin.ping:
"""
_MARKED = re.compile(r"(<!-- benchmark: written by benchmarks/runs.py -->\n).*?(<!-- end of benchmark -->)", re.DOTALL)


def measure(rounds: int) -> str:
    """Returns the table, as Markdown."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        floor_playbook = folder / "floor.yml"
        floor_playbook.write_text(FLOOR)
        fleets: dict[str, Fleet] = {}
        for number, example in enumerate(EXAMPLES):
            fleets[example] = stack.enter_context(
                disposable_fleet(example, machine=f"bench-{number}", address=f"10.88.101.{10 + number}")
            )
            print(f"deploying {example} …", file=sys.stderr, flush=True)
            run = fleets[example].run()
            if run.code != 0:
                raise SystemExit(f"{example} was not deployed:\n{run.output[-3000:]}")
        seconds: dict[str, list[float]] = {name: [] for name in ("floor", *EXAMPLES)}
        executed: dict[str, int] = {}
        for number in range(rounds):
            print(f"round {number + 1} of {rounds} …", file=sys.stderr, flush=True)
            seconds["floor"].append(fleets["full"].run(playbook=str(floor_playbook)).seconds)
            for example, fleet in fleets.items():
                run = fleet.run()
                if run.code != 0 or run.changed:
                    raise SystemExit(f"the run of {example} was to change nothing:\n{run.output[-3000:]}")
                seconds[example].append(run.seconds)
                executed[example] = run.executed
    medians = {name: median(values) for name, values in seconds.items()}
    return table(
        ("inventory", "workers", "tasks executed", "seconds", "against monolith", "against one ping"),
        (
            (
                f"`{example}`",
                str(len(load_topology(ROOT / "inventories" / example).workers)),
                str(executed[example]),
                f"{medians[example]:.1f}",
                f"{medians[example] / medians['monolith']:.2f}",
                f"{medians[example] / medians['floor']:.1f}",
            )
            for example in EXAMPLES
        ),
    )


def main() -> None:
    """Measures, prints, and writes if asked to."""
    parser = argparse.ArgumentParser(description="What a run that changes nothing costs.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="put the table into README.md")
    options = parser.parse_args()
    result = measure(options.rounds)
    print(result)
    if options.write:
        write_table(_MARKED, result)


if __name__ == "__main__":
    main()
