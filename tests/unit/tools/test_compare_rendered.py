# SPDX-License-Identifier: GPL-3.0-or-later
"""What tools.compare_rendered tells of two rendered trees."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.compare_rendered import Difference, all_cases, differences, report
from tools.rendered import ROOT, Entry, entries


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A rendered tree of one host."""
    root = tmp_path / "tree"
    etc = root / "host1" / "etc"
    etc.mkdir(parents=True, mode=0o755)
    (root / ".rendered").mkdir()
    (root / ".rendered" / "host1").write_text("etc/\n")
    (etc / "file").write_text("one\ntwo\n")
    (etc / "file").chmod(0o640)
    (etc / "link").symlink_to("/etc/file")
    return root


def changed(tree: Path) -> list[str]:
    """Returns the report on a tree against the one of the fixture."""
    base = {
        "host1": Entry(0o755),
        "host1/etc": Entry(0o755),
        "host1/etc/file": Entry(0o640, b"one\ntwo\n"),
        "host1/etc/link": Entry(0, target="/etc/file"),
    }
    return [line for line in report(differences("case", base, entries(tree))) if line]


def test_equal_trees_have_no_difference_and_the_bookkeeping_does_not_count(tree: Path) -> None:
    assert changed(tree) == []


def test_contents_are_compared_line_by_line(tree: Path) -> None:
    (tree / "host1/etc/file").write_text("one\nthree\n")
    assert changed(tree)[:2] == ["--- base/case/host1/etc/file", "+++ checkout/case/host1/etc/file"]
    assert {"-two", "+three", " one"} <= set(changed(tree))


def test_a_missing_end_of_line_is_a_difference(tree: Path) -> None:
    (tree / "host1/etc/file").write_text("one\ntwo")
    assert changed(tree)[-1] == "-"


def test_permissions_of_files_and_directories_are_compared(tree: Path) -> None:
    (tree / "host1/etc/file").chmod(0o644)
    (tree / "host1/etc").chmod(0o700)
    assert {"-file 0640", "+file 0644", "-directory 0755", "+directory 0700"} <= set(changed(tree))


def test_targets_of_links_and_kinds_are_compared(tree: Path) -> None:
    (tree / "host1/etc/link").unlink()
    (tree / "host1/etc/link").symlink_to("/etc/other")
    (tree / "host1/etc/file").unlink()
    (tree / "host1/etc/file").symlink_to("/etc/other")
    assert {"-link -> /etc/file", "+link -> /etc/other", "-file 0640"} <= set(changed(tree))


def test_new_and_missing_paths_are_told(tree: Path) -> None:
    (tree / "host1/etc/link").unlink()
    (tree / "host1/etc/new").write_text("")
    assert {"-link -> /etc/file", "+file 0644"} <= set(changed(tree))


def test_bytes_that_are_no_text_differ_as_well() -> None:
    base = {"host1/x": Entry(0o644, b"\xff")}
    found = differences("case", base, {"host1/x": Entry(0o644, b"\\xff")})
    assert "bytes that are no UTF-8 differ" in list(report(found))
    assert differences("case", base, dict(base)) == []


def test_a_difference_that_files_share_is_shown_once() -> None:
    found = [Difference("case", f"host{number}/etc/file", ("-a", "+b")) for number in range(9)]
    lines = list(report(found))
    assert lines.count("+b") == 1
    assert "host1/etc/file, case/host2" in lines[-2]
    assert "and 3 more" in lines[-2]


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("/etc/nginx/site", True),
        ("/etc/*", True),
        ("full-debian12/host1/*", True),
        ("*/host1/etc/nginx/site", True),
        ("/etc/nginx", False),
        ("host1/*", False),
    ],
)
def test_patterns_are_for_the_path_on_the_host_or_the_whole_one(pattern: str, matches: bool) -> None:
    assert Difference("full-debian12", "host1/etc/nginx/site", ()).matches(pattern) is matches


def test_every_example_is_compared_for_both_versions_of_debian() -> None:
    names = {case.name for case in all_cases()}
    examples = [path.name for path in (ROOT / "inventories").iterdir() if path.is_dir()]
    assert examples
    assert {f"{name}-debian{debian}" for name in examples for debian in (12, 13)} < names
    assert {"growing_three-debian13", "settings_several_hosts-debian13"} < names
    assert all(case.inventory.exists() for case in all_cases())
