# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the golden files: what the hosts of three example inventories get, as playbooks/render.yml writes it.

Usage: ``python -m tools.golden`` rewrites tests/golden after a change that is intended to reach the hosts. A reviewer
reads the difference in git. tests/unit/test_golden.py fails while they are out of date.

``tests/golden/INVENTORY/HOST/PATH`` is a file of a host. ``tests/golden/INVENTORY/MANIFEST`` lists all that the hosts
get, with permissions and targets of links. Nothing is stored twice: for a copy of another file of the same inventory,
or of a file of the project, the manifest names that one.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tools.rendered import ROOT, Entry, entries, render

GOLDEN = ROOT / "tests" / "golden"
MANIFEST = "MANIFEST"
INVENTORIES = ("cluster", "full", "single_host")
# Where the files are that roles copy as they are.
_SOURCES = ("roles/*/files/**/*", "plugins/module_utils/*.py")


def golden_files(tree: Mapping[str, Entry], sources: Mapping[bytes, str]) -> dict[str, bytes]:
    """Returns the golden files of a rendered tree by their names, the manifest among them.

    Args:
        tree: what was rendered, by path.
        sources: the names of files of the project by their contents.
    """
    known = {content: name for content, name in sources.items() if content}
    files = {}
    lines = []
    for path, entry in sorted(tree.items()):
        lines.append(f"{_permissions(entry)} {path}{_rest(entry, known)}\n")
        if entry.content is not None and entry.content not in known:
            files[path] = entry.content
            if entry.content:
                known[entry.content] = path
    return {MANIFEST: "".join(lines).encode(), **files}


def _permissions(entry: Entry) -> str:
    return "link" if entry.target is not None else f"{entry.mode:04o}"


def _rest(entry: Entry, known: Mapping[bytes, str]) -> str:
    """Returns the end of a line of the manifest."""
    if entry.target is not None:
        return f" -> {entry.target}"
    if entry.content is None:
        return "/"
    return f" = {known[entry.content]}" if entry.content in known else ""


def sources() -> dict[bytes, str]:
    """Returns the names of the files that roles copy as they are, by their contents."""
    paths = (path for pattern in _SOURCES for path in ROOT.glob(pattern) if path.is_file())
    return {path.read_bytes(): str(path.relative_to(ROOT)) for path in sorted(paths)}


def rendered(inventory: str) -> dict[str, bytes]:
    """Returns what the golden files of an example inventory should be, by their names."""
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch) / inventory
        render(ROOT / "inventories" / inventory, directory)
        return golden_files(entries(directory), sources())


def stored(inventory: str) -> dict[str, bytes]:
    """Returns what the golden files of an example inventory are, by their names."""
    return {name: entry.content for name, entry in entries(GOLDEN / inventory).items() if entry.content is not None}


def main() -> None:
    """Rewrites all golden files."""
    shutil.rmtree(GOLDEN, ignore_errors=True)
    for inventory in INVENTORIES:
        for name, content in rendered(inventory).items():
            path = GOLDEN / inventory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


if __name__ == "__main__":
    main()
