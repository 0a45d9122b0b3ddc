# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs molecule scenarios: one, with its output on the terminal, or the whole matrix, two at a time.

    .venv/bin/python -m tools.scenarios single_host --suite bookworm
    .venv/bin/python -m tools.scenarios

A scenario and a suite have a network and a state directory of their own, so any two may run side by side.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import dataclasses
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
LOGS = PROJECT / ".cache" / "logs"
SUITES = ("trixie", "bookworm")
SIDE_BY_SIDE = 2
PROGRESS_SECONDS = 30
LINES_OF_REASONS = 12
LINE_LENGTH = 300
SEEDS = ("KILLED_SEED", "WALK_SEED")

# What `make test` runs, the longest first. `killed` deploys what others start from (`tools.layers`), so that none of
# them waits for it.
MATRIX = (
    "killed:trixie",
    "runs:trixie",
    "cluster:trixie",
    "federation:trixie",
    "full:bookworm",
    "growing:trixie",
    "chaos:trixie",
    "scaling:trixie",
    "single_host:trixie",
    "six_workers:trixie",
    "demo:trixie",
    "tenants:trixie",
    "services:trixie",
    "monolith:bookworm",
)


@dataclasses.dataclass(frozen=True, order=True)
class Scenario:
    """An example inventory on one Debian."""

    name: str
    suite: str

    def __str__(self) -> str:
        return f"{self.name}:{self.suite}"

    @classmethod
    def parse(cls, text: str) -> Scenario:
        """Read `name:suite`; the suite may be left out."""
        name, _, suite = text.partition(":")
        suite = suite or SUITES[0]
        if name not in scenario_names():
            raise ValueError(f"There is no scenario {name!r}; choose one of {', '.join(scenario_names())}.")
        if suite not in SUITES:
            raise ValueError(f"There is no suite {suite!r}; choose {' or '.join(SUITES)}.")
        return cls(name, suite)

    @property
    def network(self) -> str:
        """First three numbers of the scenario's addresses."""
        return f"10.88.{1 + len(SUITES) * scenario_names().index(self.name) + SUITES.index(self.suite)}"

    @property
    def log(self) -> Path:
        """Where a run of the matrix leaves the scenario's output."""
        return LOGS / f"molecule-{self.name}-{self.suite}.log"

    def environment(self) -> dict[str, str]:
        """The environment of molecule and its playbooks."""
        state = PROJECT / ".cache" / "molecule" / f"{self.name}-{self.suite}"
        inventory = state / "disposable" / "hosts.yml"
        inventory.parent.mkdir(parents=True, exist_ok=True)
        # Only the variables beside it matter, but Ansible wants a file to parse.
        inventory.write_text("all: {}\n")
        return os.environ | {
            "MOLECULE_SUITE": self.suite,
            "MOLECULE_NETWORK": self.network,
            "MOLECULE_EPHEMERAL_DIRECTORY": str(state),
            # Boxes around the output would wrap it to 80 columns.
            "MOLECULE_COMMAND_BORDERS": "false",
            **seeds(),
            "PATH": f"{PROJECT / '.venv' / 'bin'}:{os.environ['PATH']}",
            "VIRTUAL_ENV": str(PROJECT / ".venv"),
        }

    def command(self, step: str, *, keep: bool) -> list[str]:
        """The command line of molecule."""
        words = [str(PROJECT / ".venv" / "bin" / "molecule"), step, "--scenario-name", self.name]
        if step == "test" and keep:
            words.append("--destroy=never")
        return words


def seeds(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The seeds of what scenarios choose at random, unless they are given.

    One tree of the project gets the same ones each time: what passed passes again, and the next change tries others.
    """
    command = ["git", "rev-parse", "--verify", "--quiet", "HEAD^{tree}"]
    tree = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False).stdout.strip()
    seed = str(int(tree, 16) % 10**6) if tree else ""
    return {name: seed for name in SEEDS if seed and not environment.get(name)}


def scenario_names() -> list[str]:
    """All scenarios of the project."""
    return sorted(path.parent.name for path in (PROJECT / "molecule").glob("*/molecule.yml"))


def say(text: str) -> None:
    """Print a line of progress."""
    print(f"[{time.strftime('%H:%M:%S')}] {text}", flush=True)


class Runner:
    """Runs scenarios side by side, with their output in logs."""

    def __init__(self) -> None:
        self._children: dict[Scenario, subprocess.Popen[bytes]] = {}
        self._started: dict[Scenario, float] = {}
        self.seconds: dict[Scenario, float] = {}
        """How long each scenario took."""
        self._stopping = threading.Event()
        threading.Thread(target=self._tell, daemon=True).start()

    def run(self, scenarios: list[Scenario], side_by_side: int) -> list[Scenario]:
        """Run all of them and return those that failed."""
        failed = []
        with concurrent.futures.ThreadPoolExecutor(side_by_side) as pool:
            futures = {pool.submit(self._one, scenario): scenario for scenario in scenarios}
            try:
                for future in concurrent.futures.as_completed(futures):
                    if not future.result():
                        failed.append(futures[future])
            except BaseException:
                self._stop()
                pool.shutdown(cancel_futures=True)
                raise
        return failed

    def _one(self, scenario: Scenario) -> bool:
        if self._stopping.is_set():
            return False
        scenario.log.parent.mkdir(parents=True, exist_ok=True)
        say(f"{scenario}: started, output in {scenario.log.relative_to(PROJECT)}")
        started = time.monotonic()
        with scenario.log.open("wb") as log:
            child = subprocess.Popen(
                scenario.command("test", keep=False),
                cwd=PROJECT,
                env=scenario.environment() | {"ANSIBLE_NOCOLOR": "1", "NO_COLOR": "1"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._children[scenario] = child
            self._started[scenario] = started
            code = child.wait()
            del self._children[scenario]
        self.seconds[scenario] = time.monotonic() - started
        say(f"{scenario}: {'passed' if code == 0 else 'FAILED'} after {self.seconds[scenario]:.0f} s")
        if code != 0 and not self._stopping.is_set():
            print("\n".join(f"    {line}" for line in tail(scenario.log, 60)), flush=True)
        return code == 0

    def _tell(self) -> None:
        while not self._stopping.wait(PROGRESS_SECONDS):
            for scenario in list(self._children):
                seconds = time.monotonic() - self._started[scenario]
                say(f"{scenario}: {seconds:.0f} s … {last_task(scenario.log)}")

    def _stop(self) -> None:
        """End what is still running, with the hosts that belong to it."""
        self._stopping.set()
        for scenario, child in list(self._children.items()):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGTERM)
            child.wait()
            subprocess.run(
                scenario.command("destroy", keep=False),
                cwd=PROJECT,
                env=scenario.environment(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=False,
            )


def tail(log: Path, count: int) -> list[str]:
    """The last lines of a log."""
    return log.read_text(errors="replace").splitlines()[-count:]


def reasons(log: Path) -> list[str]:
    """The lines of a log that tell why its scenario failed: tests, and tasks of Ansible."""
    lines = log.read_text(errors="replace").splitlines()
    tests = [line for line in lines if re.match(r"(FAILED|ERROR) .*::", line)]
    return tests or [line for line in lines if line.startswith(("fatal:", "[ERROR]"))] or lines[-5:]


def last_task(log: Path) -> str:
    """The current step of a scenario, by its log."""
    with contextlib.suppress(OSError):
        for line in reversed(tail(log, 200)):
            if found := re.match(r"(TASK \[.*?\]|PLAY \[.*?\]|.*::test_\w+)", line):
                return found[1][:100]
    return ""


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="tools.scenarios", description="Run molecule scenarios.")
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO[:SUITE]", help="default: the whole matrix")
    parser.add_argument("--suite", choices=SUITES, help="for scenarios that name none")
    parser.add_argument("--step", default="test", help="a step of molecule, for one scenario (default: %(default)s)")
    parser.add_argument("--keep", action="store_true", help="leave the hosts of a single scenario up")
    options = parser.parse_args()
    suffix = f":{options.suite}" if options.suite else ""
    wanted = [text if ":" in text else text + suffix for text in options.scenarios] or [
        text for text in MATRIX if text.endswith(suffix)
    ]
    try:
        scenarios = [Scenario.parse(text) for text in wanted]
    except ValueError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    if len(scenarios) == 1:
        (scenario,) = scenarios
        command = scenario.command(options.step, keep=options.keep)
        return subprocess.run(command, cwd=PROJECT, env=scenario.environment(), check=False).returncode
    started = time.monotonic()
    runner = Runner()
    failed = runner.run(scenarios, SIDE_BY_SIDE)
    print("seconds: " + ", ".join(f"{each} {seconds:.0f}" for each, seconds in runner.seconds.items()))
    say(f"{len(scenarios)} scenarios in {time.monotonic() - started:.0f} s")
    # Last of all, because a log of continuous integration is often read from its end.
    for scenario in sorted(failed):
        print(f"failed: {scenario} ({scenario.log.relative_to(PROJECT)})")
        print("\n".join(f"    {line[:LINE_LENGTH]}" for line in reasons(scenario.log)[:LINES_OF_REASONS]))
    print(f"{len(scenarios) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
