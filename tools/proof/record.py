# SPDX-License-Identifier: GPL-3.0-or-later
"""The proof of a release: which routes were answered alike by main and a worker, one a line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from tools.proof.cases import WITHOUT
from tools.proof.host import PROJECT
from tools.proof.prove import Result
from tools.proof.targets import Key

FOLDER = PROJECT / "roles" / "audit" / "files" / "proofs"
SCHEMA = 1
COMPARED, ALONE = "compared", "alone"
_NOT_SENT = "no request for it was sent"


def file_of(release: str) -> Path:
    """Returns where the proof of a release is kept."""
    return FOLDER / f"{release}.json"


def outcome(results: Iterable[Result]) -> dict[Key, str]:
    """Returns by which means each route was proven; a route with a problem is not among them."""
    found: dict[Key, str] = {}
    wrong: set[Key] = set()
    for result in results:
        found[result.target.key] = ALONE if result.target.alone else COMPARED
        if result.problem:
            wrong.add(result.target.key)
    return {key: how for key, how in found.items() if key not in wrong}


def problems(results: Iterable[Result]) -> dict[Key, str]:
    """Returns what was wrong with each route that is not proven, in one line."""
    return {result.target.key: result.problem.partition("\n")[0] for result in results if result.problem}


def reason(key: Key, found: Mapping[Key, str]) -> str:
    """Returns why a route is not proven: what was wrong, or why there is no request for it."""
    if key in found:
        return found[key]
    return next((text for prefix, text in WITHOUT.items() if key[1].startswith(prefix)), _NOT_SENT)


def text(release: str, routes: Iterable[Key], proven: Mapping[Key, str], wrong: Mapping[Key, str]) -> str:
    """Returns the file.

    Args:
        release: the release.
        routes: all routes that go to workers with some settings.
        proven: those that were proven, and by which means.
        wrong: what was wrong with others.
    """
    lines = []
    for method, path in sorted(set(routes), key=lambda key: (key[1], key[0])):
        key = (method, path)
        how = {"proven": proven[key]} if key in proven else {"unproven": reason(key, wrong)}
        lines.append(json.dumps({"path": path, "method": method, **how}, ensure_ascii=False))
    return f'{{"schema": {SCHEMA}, "release": "{release}", "routes": [\n' + ",\n".join(lines) + "\n]}\n"


def write(release: str, content: str) -> Path:
    """Writes the file, whole or not at all."""
    path = file_of(release)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(content)
    fresh.replace(path)
    return path
