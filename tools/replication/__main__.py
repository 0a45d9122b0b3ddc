# SPDX-License-Identifier: GPL-3.0-or-later
"""What processes of each Synapse release tell each other: streams, commands, schema versions.

python -m tools.replication add RELEASE…    reads releases, and puts them into the file, one patch of each minor
python -m tools.replication check           reads the newest release of the file again, and compares
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tools.routes.errors import RoutesError
from tools.routes.install import ROOT, environment, newest_of, numbers

FILE = ROOT / "plugins" / "plugin_utils" / "lifecycle" / "replication.json"
PROBE = Path(__file__).with_name("probe.py")
KEPT = ("release", "schema", "compat", "streams", "commands", "endpoints", "token")

Entry = dict[str, Any]


def probe(release: str, python: Path | None = None) -> Entry:
    """Reads a release.

    Raises:
        RoutesError: it cannot be installed, or its replication is built in another way.
    """
    command = [str(python or environment(release)), str(PROBE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RoutesError(f"the replication of Synapse {release} cannot be read:\n{done.stderr.strip()}")
    found: Entry = json.loads(done.stdout)
    if found["release"] != release:
        raise RoutesError(f"{command[0]} has Synapse {found['release']}, not {release}: remove that environment.")
    return found


def read(path: Path) -> list[Entry]:
    """Returns the releases of the file, the oldest first."""
    if not path.exists():
        return []
    document = json.loads(path.read_text(encoding="utf-8"))
    found: list[Entry] = []
    changed = {entry["release"]: entry for entry in document["changes"]}
    for release in document["read"]:
        found.append({**changed.get(release, found[-1] if found else {}), "release": release})
    return found


def merged(known: list[Entry], found: Entry) -> list[Entry]:
    """Returns the releases with another one, in place of a patch of its minor."""
    minor = numbers(found["release"])[:2]
    others = [entry for entry in known if numbers(entry["release"])[:2] != minor]
    return sorted([*others, {name: found[name] for name in KEPT}], key=lambda entry: numbers(entry["release"]))


def text(releases: list[Entry]) -> str:
    """Returns the file: the releases that were read, and a line for each that differs from the one before."""
    changed = [
        entry
        for before, entry in zip([{}, *releases], releases, strict=False)
        if {**before, "release": entry["release"]} != entry
    ]
    lines = ",\n".join(json.dumps(entry) for entry in changed)
    return f'{{"read": {json.dumps([entry["release"] for entry in releases])}, "changes": [\n{lines}\n]}}\n'


def difference(old: Entry, new: Entry) -> list[str]:
    """Returns what changes between two releases, a line each."""
    found = [f"{name} {old[name]} -> {new[name]}" for name in ("schema", "compat") if old[name] != new[name]]
    for name in ("streams", "commands", "endpoints", "token"):
        found += [f"{name}: + {entry}" for entry in new[name] if entry not in old[name]]
        found += [f"{name}: - {entry}" for entry in old[name] if entry not in new[name]]
    return found


def add(path: Path, releases: list[str]) -> int:
    """Reads releases and puts them into the file."""
    for wanted in releases:
        release = newest_of(wanted) if wanted.count(".") == 1 else wanted
        known = merged(read(path), probe(release))
        path.write_text(text(known), encoding="utf-8")
        place = [entry["release"] for entry in known].index(release)
        print(f"Synapse {release}: {len(known[place]['streams'])} streams, now in {path.name}")
        for line in difference(known[place - 1], known[place]) if place else []:
            print(f"  {line}")
    return 0


def check(path: Path) -> int:
    """Reads the newest release of the file again; returns 1 if the file differs."""
    known = read(path)
    fresh = merged(known, probe(known[-1]["release"]))
    if text(fresh) == path.read_text(encoding="utf-8"):
        print(f"{path.name} says of Synapse {known[-1]['release']} what its code says.")
        return 0
    print(f"{path.name} differs from Synapse {known[-1]['release']}:", *difference(known[-1], fresh[-1]), sep="\n  ")
    return 1


def main(arguments: list[str], path: Path = FILE) -> int:
    """Runs one command: 0 if all is well, 1 if the file is not true, 2 if it cannot be done."""
    try:
        if arguments[:1] == ["add"] and len(arguments) > 1:
            return add(path, arguments[1:])
        if arguments == ["check"]:
            return check(path)
    except RoutesError as error:
        print(f"replication: {error}", file=sys.stderr)
        return 2
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
