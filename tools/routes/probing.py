# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the probe in the environment of a release and keeps what it said."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

from tools.routes.errors import RoutesError
from tools.routes.install import ROOT, environment
from tools.routes.merge import Served, parse_probe

if TYPE_CHECKING:
    from pathlib import Path

PROBE = ROOT / "roles" / "audit" / "files" / "registry_probe.py"
KEPT = ROOT / ".cache" / "routes"


def probe(release: str, python: Path | None = None) -> tuple[Served, ...]:
    """Probes a release.

    Args:
        release: the release, three numbers.
        python: the interpreter of an environment that has it; one is made by default.

    Returns:
        its routes. The raw output is kept in ``.cache/routes``.

    Raises:
        RoutesError: the release cannot be installed or built, or what is installed is another one.
    """
    command = [str(python or environment(release)), str(PROBE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RoutesError(f"Synapse {release} cannot be probed:\n{done.stderr.strip()}")
    try:
        document = json.loads(done.stdout)
    except ValueError as exc:
        raise RoutesError(f"the probe of Synapse {release} printed no JSON ({exc}): fix {PROBE.name}.") from exc
    found, routes = parse_probe(document, f"the probe of Synapse {release}")
    if found != release:
        raise RoutesError(f"{command[0]} has Synapse {found}, not {release}: remove that environment.")
    KEPT.mkdir(parents=True, exist_ok=True)
    (KEPT / f"{release}.json").write_text(done.stdout)
    return routes
