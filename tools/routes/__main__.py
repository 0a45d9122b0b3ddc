# SPDX-License-Identifier: GPL-3.0-or-later
"""The route data that the collection ships, and the options that each release knows.

python -m tools.routes add RELEASE…        probes releases and puts them into the files, in place of another patch of
                                           the minor; 1.130 is its newest patch
python -m tools.routes remove RELEASE…     takes releases out of the file
python -m tools.routes check               probes the newest release of the file again, and compares
python -m tools.routes difference OLD NEW  what changes for an admin, by the file alone
"""

from __future__ import annotations

import sys
from pathlib import Path

from tools.routes import install, merge, options, probing, words
from tools.routes.errors import RoutesError

FILE = install.ROOT / "plugins" / "plugin_utils" / "routing" / "routes.json"


def add(path: Path, releases: list[str]) -> int:
    """Probes releases and puts them into the file, with the difference to the one before each."""
    for wanted in releases:
        release = install.newest_of(wanted) if wanted.count(".") == 1 else wanted
        install.numbers(release)
        routes = probing.probe(release)
        # Read again each time: a probe takes a while, and the file may have changed meanwhile.
        before = merge.read(path)
        book = merge.add(before, release, routes)
        merge.write(book, path)
        print(f"Synapse {release}: {len(routes)} routes, now in {path.name}")
        if path == FILE:
            print(f"Synapse {release}: {options.add(release)} options, now in {options.FILE.name}")
        for replaced in before.replaced_by(release):
            newer = ", a newer patch" if install.numbers(replaced) > install.numbers(release) else ""
            print(f"Synapse {release} takes the place of {replaced}{newer}: the file has one patch of each minor.")
        _tell(book, book.before(release), release)
    return 0


def remove(path: Path, releases: list[str]) -> int:
    """Takes releases out of the file."""
    book = merge.read(path)
    for release in releases:
        book.of(release)
        book = merge.remove(book, release)
    merge.write(book, path)
    return 0


def check(path: Path, _rest: list[str]) -> int:
    """Probes the newest release of the file again; returns 1 if the file differs."""
    book = merge.read(path)
    if not book.releases:
        raise RoutesError(f"{path.name} has no release: add one with `python -m tools.routes add RELEASE`.")
    release = book.releases[-1]
    fresh = merge.add(book, release, probing.probe(release))
    if merge.text(fresh) == path.read_text():
        print(f"{path.name} says of Synapse {release} what its registry says.")
        return 0
    print(f"{path.name} is not what the registry of Synapse {release} says. In the registry, compared to the file:")
    for line in words.difference(book.of(release), fresh.of(release)) or [
        "only names of servlets or the layout differ"
    ]:
        print(f"  {line}")
    print(f"Fix it with `make routes RELEASE={release}`.")
    return 1


def difference(path: Path, releases: list[str]) -> int:
    """Prints what changes between two releases of the file."""
    _tell(merge.read(path), *releases)
    return 0


def _tell(book: merge.Book, old: str | None, new: str) -> None:
    if old is None:
        return
    lines = words.difference(book.of(old), book.of(new))
    print(f"From Synapse {old} to {new}:" + ("" if lines else " no route is different."))
    for line in lines:
        print(f"  {line}")


# name -> (what to do, how many releases it takes at least and at most)
_COMMANDS = {
    "add": (add, 1, None),
    "remove": (remove, 1, None),
    "check": (check, 0, 0),
    "difference": (difference, 2, 2),
}


def main(arguments: list[str], path: Path = FILE) -> int:
    """Runs one command: 0 if all is well, 1 if the file is not true, 2 with an explanation if it cannot be done."""
    name, rest = (arguments[0], arguments[1:]) if arguments else ("", [])
    command, least, most = _COMMANDS.get(name, (None, 0, 0))
    if command is None or len(rest) < least or (most is not None and len(rest) > most):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        return command(path, rest)
    except RoutesError as exc:
        print(f"routes: {exc}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
