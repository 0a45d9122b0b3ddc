# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows what a change does to the files of hosts: inventories rendered with a revision of git and with this checkout.

Usage: ``make compare-rendered BASE=main ARGS="--ignore '/etc/nginx/*'"``. Every case is an inventory of this checkout
and a version of Debian. Both trees are compared: contents, links, permissions. Exit code 0 says that they are the
same, 1 that they differ, 2 that nothing could be compared. The trees of the revision are kept in .cache.
"""

from __future__ import annotations

import argparse
import difflib
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from tools.rendered import ROOT, Entry, RenderError, entries, render

CACHE = ROOT / ".cache" / "compare-rendered"
COLLECTION = ".ansible/collections/ansible_collections/baremetal/synapse"
# Inventories that do not work with every version of Debian: Debian 12 has no Valkey.
_DEBIANS = {"settings_several_hosts": (13,)}
# What the tests set for their disposable hosts.
_DISPOSABLE = {"nginx_tls_self_signed": True, "synapse_address": "{{ ansible_host }}"}
_NAMES_SHOWN = 5


@dataclass(frozen=True)
class Case:
    """One rendering.

    Attributes:
        name: how it is called in the output.
        inventory: the inventory.
        debian: the version of Debian of all hosts.
        variables: what is set besides the inventory, for all hosts.
    """

    name: str
    inventory: Path
    debian: int
    variables: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Difference:
    """A file, link or directory that is not the same in both trees.

    Attributes:
        case: the name of the case.
        path: the path in the tree, such as ``HOST/etc/hosts``.
        lines: the unified difference, without the two lines that name the files.
    """

    case: str
    path: str
    lines: tuple[str, ...]

    def matches(self, pattern: str) -> bool:
        """Returns whether a shell pattern matches the path on the host, or the path with case and host."""
        on_host = "/" + self.path.partition("/")[2] if "/" in self.path else f"/{self.path}"
        return fnmatchcase(on_host, pattern) or fnmatchcase(f"{self.case}/{self.path}", pattern)


def all_cases() -> list[Case]:
    """Returns every example inventory and those of the tests, with every Debian that they can be for."""
    tests = ROOT / "tests"
    examples = {path.name: path for path in sorted((ROOT / "inventories").iterdir()) if path.is_dir()}
    examples |= {path.stem: path for path in sorted((tests / "render" / "inventories").glob("*.yml"))}
    deployed = {f"growing_{name}": tests / "growing" / name for name in ("one", "three")}
    deployed["chaos"] = tests / "chaos" / "inventory"
    return [
        Case(f"{name}-debian{debian}", inventory, debian, _DISPOSABLE if name in deployed else {})
        for name, inventory in (examples | deployed).items()
        for debian in _DEBIANS.get(name, (12, 13))
    ]


def differences(case: str, base: Mapping[str, Entry], new: Mapping[str, Entry]) -> list[Difference]:
    """Returns what is not the same in two trees, by path."""
    found = []
    for path in sorted(base.keys() | new.keys()):
        if base.get(path) != new.get(path):
            lines = list(difflib.unified_diff(_text(base.get(path)), _text(new.get(path)), lineterm=""))[2:]
            found.append(Difference(case, path, tuple(lines) or ("bytes that are no UTF-8 differ",)))
    return found


def _text(entry: Entry | None) -> list[str]:
    """Returns an entry as lines: what it is, then its content."""
    if entry is None:
        return []
    content = [] if entry.content is None else entry.content.decode(errors="backslashreplace").split("\n")
    return [entry.title, *content]


def report(found: Sequence[Difference]) -> Iterator[str]:
    """Returns the lines to print: a difference that several files share is shown once."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for difference in found:
        groups.setdefault(difference.lines, []).append(f"{difference.case}/{difference.path}")
    for lines, names in groups.items():
        yield f"--- base/{names[0]}"
        yield f"+++ checkout/{names[0]}"
        yield from lines
        if names[1:]:
            more = f", and {len(names) - 1 - _NAMES_SHOWN} more" if len(names) - 1 > _NAMES_SHOWN else ""
            yield f"(the same in {', '.join(names[1 : _NAMES_SHOWN + 1])}{more})"
        yield ""


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout


def _checkout(revision: str) -> Path:
    """Returns a folder with the files of a revision; folders of other revisions are removed."""
    commit = _git("rev-parse", "--verify", f"{revision}^{{commit}}").decode().strip()
    folder = CACHE / "base" / commit
    if not folder.exists():
        shutil.rmtree(folder.parent, ignore_errors=True)
        draft = CACHE / "base" / "draft"
        draft.mkdir(parents=True)
        subprocess.run(["tar", "--extract"], cwd=draft, input=_git("archive", commit), check=True)
        link = draft / COLLECTION
        link.parent.mkdir(parents=True)
        link.symlink_to("../../../..")
        draft.rename(folder)
    return folder


def _digest(case: Case) -> str:
    """Returns a digest of everything besides the revision that a rendering depends on."""
    digest = hashlib.sha256((ROOT / "requirements" / "dev.txt").read_bytes())
    digest.update(json.dumps(case.variables).encode())
    files = [case.inventory] if case.inventory.is_file() else case.inventory.rglob("*")
    for path in sorted(path for path in files if path.is_file()):
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _of_base(case: Case, checkout: Path) -> dict[str, Entry]:
    tree = checkout.parent / f"trees-{checkout.name}" / f"{case.name}-{_digest(case)}"
    if not tree.exists():
        draft = tree.with_name(f"{tree.name}.draft")
        shutil.rmtree(draft, ignore_errors=True)
        render(case.inventory, draft, debian=case.debian, variables=case.variables, checkout=checkout)
        draft.rename(tree)
    return entries(tree)


def _of_this(case: Case) -> dict[str, Entry]:
    tree = CACHE / "checkout" / case.name
    shutil.rmtree(tree, ignore_errors=True)
    render(case.inventory, tree, debian=case.debian, variables=case.variables)
    return entries(tree)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.compare_rendered", description=__doc__)
    parser.add_argument("--base", help="the revision to compare with; where this branch left main, if not given")
    parser.add_argument("--ignore", action="append", default=[], metavar="PATTERN", help="a path that may differ")
    parser.add_argument("--only", action="append", default=[], metavar="PATTERN", help="cases to compare, by name")
    return parser.parse_args()


def _compare(arguments: argparse.Namespace) -> int:
    cases = [
        case for case in all_cases() if not arguments.only or any(fnmatchcase(case.name, p) for p in arguments.only)
    ]
    if not cases:
        print(f"no case matches --only; there are: {', '.join(case.name for case in all_cases())}", file=sys.stderr)
        return 2
    checkout = _checkout(arguments.base or _git("merge-base", "HEAD", "main").decode().strip())
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        pairs = list(pool.map(lambda case: (_of_base(case, checkout), _of_this(case)), cases))
    found = [entry for case, pair in zip(cases, pairs, strict=True) for entry in differences(case.name, *pair)]
    left = [entry for entry in found if not any(entry.matches(pattern) for pattern in arguments.ignore)]
    for line in report(left):
        print(line)
    for pattern in arguments.ignore:
        if not any(entry.matches(pattern) for entry in found):
            print(f"--ignore {pattern!r} matches nothing that differs")
    paths = sum(len(base) for base, _ in pairs)
    print(
        f"{checkout.name[:10]} and this checkout: {len(cases)} renderings, {paths} paths, "
        f"{len(left)} differ, {len(found) - len(left)} differ as allowed by --ignore"
    )
    return 1 if left else 0


def main() -> int:
    """Returns the exit code."""
    try:
        return _compare(_arguments())
    except RenderError as error:
        print(error, file=sys.stderr)
    except subprocess.CalledProcessError as error:
        print(f"{error}; name a revision with BASE=REVISION", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
