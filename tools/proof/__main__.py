# SPDX-License-Identifier: GPL-3.0-or-later
"""The proof of a release, which the collection ships.

python -m tools.proof RELEASE…   deploys each release on a disposable host, sends a valid request for every route that
                                 goes to a worker to main and to that worker, compares the answers, and writes the proof
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / ".ansible" / "collections"))

from tools.inventory import load_topology
from tools.proof import fleets, record
from tools.proof.errors import ProofError
from tools.proof.prove import Result, prover
from tools.proof.targets import Key
from tools.runs import Fleet, disposable_fleet


def prove(release: str) -> int:
    """Proves a release, writes the proof and prints what is wrong; returns how many routes are unproven."""
    variables = {**fleets.VARIABLES, "synapse_version": release}
    routes: set[Key] = set()
    results: list[Result] = []
    with disposable_fleet(fleets.EXAMPLE, machine=fleets.MACHINE, address=fleets.ADDRESS, variables=variables) as fleet:
        fleet.shell(f"printf %s {shlex.quote(fleets.APPSERVICE_FILE)} > {fleets.REGISTRATION}")
        for config in (fleets.OWN_LOGINS, fleets.DELEGATED):
            found, keys = _proven(fleet, config, routes)
            results += found
            routes |= keys
    proven = record.outcome(results)
    wrong = record.problems(results)
    path = record.write(release, record.text(release, routes, proven, wrong))
    for result in results:
        if result.problem:
            print(f"{result.case}: {result.problem}")
    left = sorted(routes - set(proven))
    print(f"Synapse {release}: {len(proven)} of {len(routes)} routes on workers are proven, now in {path.name}")
    for key in left:
        print(f"  unproven: {' '.join(key)}: {record.reason(key, wrong)}")
    return len(left)


def _proven(fleet: Fleet, config: Mapping[str, Any], known: Container[Key]) -> tuple[list[Result], set[Key]]:
    """Deploys a configuration, and returns the results and the routes that go to workers."""
    fleet.set_variables(synapse_extra_config=dict(config))
    run = fleet.run()
    if run.code != 0:
        raise ProofError(f"the fleet was not deployed:\n{run.output[-4000:]}")
    topology = load_topology(fleet.inventory, fleet.override)
    with prover(topology, fleet.addresses[fleet.host]) as proving:
        return list(proving.results(known)), {target.key for target in proving.targets}


def main(releases: list[str]) -> int:
    """Proves releases: 0 if all routes are proven, 1 if not, 2 with an explanation if it cannot be done."""
    if not releases:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        return 1 if sum(map(prove, releases)) else 0
    except ProofError as error:
        print(f"proof: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
