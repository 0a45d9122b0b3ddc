# SPDX-License-Identifier: GPL-3.0-or-later
"""What hosts get is what the golden files show: ``python -m tools.golden`` rewrites them."""

from __future__ import annotations

import difflib

import pytest

from tools.golden import GOLDEN, INVENTORIES, MANIFEST, golden_files, rendered, stored
from tools.rendered import Entry


@pytest.mark.parametrize("inventory", INVENTORIES)
def test_hosts_get_what_the_golden_files_show(inventory: str) -> None:
    found, golden = rendered(inventory), stored(inventory)
    # The manifest first: it tells what is new and what is missing.
    for name in sorted(found.keys() | golden.keys(), key=lambda name: (name != MANIFEST, name)):
        old, new = (tree.get(name, b"").decode().splitlines() for tree in (golden, found))
        difference = "\n".join(difflib.unified_diff(old, new, f"golden/{inventory}/{name}", "rendered", lineterm=""))
        assert not difference, f"python -m tools.golden, if this was meant to change:\n{difference}"
    assert found == golden


def test_there_are_golden_files_of_no_other_inventory() -> None:
    assert sorted(path.name for path in GOLDEN.iterdir()) == sorted(INVENTORIES)


def manifest(tree: dict[str, Entry], sources: dict[bytes, str] | None = None) -> list[str]:
    """Returns the lines of the manifest of a tree."""
    return golden_files(tree, sources or {})[MANIFEST].decode().splitlines()


def test_the_manifest_lists_everything_with_its_permissions() -> None:
    tree = {
        "host1": Entry(0o700),
        "host1/file": Entry(0o640, b"text\n"),
        "host1/empty": Entry(0o600, b""),
        "host1/link": Entry(0, target="../elsewhere"),
    }
    assert manifest(tree) == [
        "0700 host1/",
        "0600 host1/empty",
        "0640 host1/file",
        "link host1/link -> ../elsewhere",
    ]
    files = golden_files(tree, {})
    assert {name: files[name] for name in files if name != MANIFEST} == {"host1/empty": b"", "host1/file": b"text\n"}


def test_copies_are_named_and_not_stored_again() -> None:
    tree = {path: Entry(0o644, b"text\n") for path in ("host2/file", "host1/file")}
    assert manifest(tree) == ["0644 host1/file", "0644 host2/file = host1/file"]
    assert sorted(golden_files(tree, {})) == [MANIFEST, "host1/file"]


def test_files_of_the_project_are_named_and_not_stored_again() -> None:
    tree = {"host1/program": Entry(0o755, b"#!/bin/sh\n"), "host1/other": Entry(0o755, b"#!/bin/sh\n#")}
    sources = {b"#!/bin/sh\n": "roles/example/files/program"}
    assert manifest(tree, sources) == ["0755 host1/other", "0755 host1/program = roles/example/files/program"]
    assert sorted(golden_files(tree, sources)) == [MANIFEST, "host1/other"]


def test_an_empty_file_is_a_copy_of_nothing() -> None:
    tree = {path: Entry(0o600, b"") for path in ("host1/a", "host1/b")}
    assert manifest(tree, {b"": "roles/example/files/empty"}) == ["0600 host1/a", "0600 host1/b"]
