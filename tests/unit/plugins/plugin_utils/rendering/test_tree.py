# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written below a directory, and what is left alone there."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest
from ansible_collections.baremetal.synapse.plugins.module_utils._file_set import FileSetError
from ansible_collections.baremetal.synapse.plugins.plugin_utils.rendering.tree import (
    PICTURE,
    README,
    README_TEXT,
    Rendered,
    Wanted,
    check_root,
    close,
    plan_top,
)


@dataclass(frozen=True)
class Run:
    """One run of the playbook."""

    root: Path
    scratch: Path

    def write(self, host: str, *wanted: Wanted) -> list[str]:
        """Writes what one task wants; returns what changed."""
        tree = Rendered(self.root / host, self.scratch)
        changes = tree.plan(wanted)
        tree.apply(changes)
        return [change.path for change in changes]

    def close(self, hosts: Iterable[str] = ("a",)) -> list[str]:
        """Ends the run; returns what was removed."""
        removed = []
        for tree, changes in close(self.root, self.scratch, hosts):
            tree.apply_removals(changes)
            removed += [change.path for change in changes]
        return removed


@pytest.fixture
def runs(tmp_path: Path) -> Iterable[Run]:
    """As many runs as a test likes."""
    return (Run(tmp_path / "out", tmp_path / f"run{number}") for number in range(100))


@pytest.fixture
def run(runs: Iterable[Run]) -> Run:
    return next(iter(runs))


def file(path: str, content: str = "x\n", mode: str = "0644", *, sensitive: bool = False) -> Wanted:
    return Wanted(path=path, content=content.encode(), mode=mode, sensitive=sensitive)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_files_links_and_directories_are_below_the_name_of_the_host(run: Run) -> None:
    changed = run.write(
        "a",
        Wanted(path="/run/sockets", mode="2750"),
        file("/etc/x/a.yaml", mode="0640"),
        Wanted(path="/etc/x/link", target="../a"),
    )
    assert changed == ["/run", "/run/sockets", "/etc", "/etc/x", "/etc/x/a.yaml", "/etc/x/link"]
    assert (run.root / "a/etc/x/a.yaml").read_text() == "x\n"
    assert (run.root / "a/etc/x/link").readlink() == Path("../a")
    assert mode(run.root / "a/etc/x/a.yaml") == 0o640
    assert mode(run.root / "a/run/sockets") == 0o750
    assert mode(run.root / "a/etc") == 0o755
    assert mode(run.root / "a") == 0o700


def test_whoever_renders_can_read_every_file_and_go_into_every_directory(run: Run) -> None:
    run.write("a", file("/etc/x", mode="0000"), Wanted(path="/d", mode="0000"), file("/d/y"))
    assert mode(run.root / "a/etc/x") == 0o400
    assert mode(run.root / "a/d") == 0o700


def test_a_sensitive_file_is_for_its_owner_alone_and_in_no_diff(run: Run) -> None:
    tree = Rendered(run.root / "a", run.scratch)
    changes = tree.plan([file("/s", "secret", mode="0640", sensitive=True)])
    tree.apply(changes)
    assert mode(run.root / "a/s") == 0o600
    assert [change.diff for change in changes] == [{"prepared": "+ secret content of /s\n"}]


def test_planning_changes_nothing(run: Run) -> None:
    assert Rendered(run.root / "a", run.scratch).plan([file("/etc/x")])
    assert not run.root.exists()


def test_a_second_run_changes_nothing(runs: Iterable[Run]) -> None:
    wanted = [file("/etc/x"), Wanted(path="/d"), Wanted(path="/l", target="d"), file("/s", sensitive=True)]
    first, second, *_ = runs
    first.write("a", *wanted)
    first.close()
    before = {path: path.lstat().st_mtime_ns for path in first.root.rglob("*")}
    assert second.write("a", *wanted) == []
    assert second.close() == []
    assert {path: path.lstat().st_mtime_ns for path in first.root.rglob("*")} == before


def test_what_changed_is_written_anew(runs: Iterable[Run]) -> None:
    first, second, *_ = runs
    first.write("a", file("/x"), Wanted(path="/l", target="one"), file("/m", mode="0600"), file("/same"))
    assert second.write(
        "a", file("/x", "y"), Wanted(path="/l", target="two"), file("/m", mode="0644"), file("/same")
    ) == ["/x", "/m", "/l"]
    assert (second.root / "a/x").read_text() == "y"
    assert (second.root / "a/l").readlink() == Path("two")
    assert mode(second.root / "a/m") == 0o644


def test_what_no_task_of_a_run_wants_any_more_goes_with_its_directories(runs: Iterable[Run]) -> None:
    first, second, *_ = runs
    first.write("a", file("/etc/x/old"), Wanted(path="/etc/l", target="x"))
    first.write("a", file("/etc/new"))
    first.close()
    second.write("a", file("/etc/new"))
    assert second.close() == ["a:/etc/x/old", "a:/etc/l", "a:/etc/x/"]
    assert sorted(path.name for path in (second.root / "a").rglob("*")) == ["etc", "new"]


def test_what_somebody_else_has_put_there_is_not_removed(runs: Iterable[Run]) -> None:
    first, second, *_ = runs
    first.write("a", file("/etc/x/old"), file("/etc/new"))
    first.close()
    (first.root / "a/etc/x/notes").write_text("mine")
    (first.root / "a/etc/mine").mkdir()
    second.write("a", file("/etc/new"))
    second.close()
    assert (second.root / "a/etc/x/notes").read_text() == "mine"
    assert (second.root / "a/etc/mine").is_dir()
    assert not (second.root / "a/etc/x/old").exists()


def test_what_somebody_else_has_put_there_is_not_replaced(run: Run) -> None:
    run.write("a", file("/etc/x"))
    (run.root / "a/etc/mine").write_text("mine")
    with pytest.raises(FileSetError, match=r"/out/a/etc/mine was not written by render.yml: remove or rename it"):
        run.write("a", file("/etc/mine"))
    assert (run.root / "a/etc/mine").read_text() == "mine"


def test_a_run_that_was_cut_off_leaves_nothing_that_would_stay_for_ever(runs: Iterable[Run]) -> None:
    cut_off, next_run, *_ = runs
    cut_off.write("a", file("/etc/old"))
    next_run.write("a", file("/etc/new"))
    assert next_run.close() == ["a:/etc/old"]


def test_a_host_that_left_the_fleet_goes(runs: Iterable[Run]) -> None:
    first, second, *_ = runs
    for host in ("a", "b"):
        first.write(host, file("/etc/x"))
    first.close(["a", "b"])
    second.write("a", file("/etc/x"))
    assert second.close(["a"]) == ["b:/etc/x", "b:/etc/"]
    assert sorted(path.name for path in second.root.iterdir()) == [".rendered", "a"]


def test_a_host_that_a_run_did_not_come_to_keeps_its_files(runs: Iterable[Run]) -> None:
    first, limited, *_ = runs
    for host in ("a", "b"):
        first.write(host, file("/etc/x"))
    first.close(["a", "b"])
    limited.write("a", file("/etc/x"))
    assert limited.close(["a", "b"]) == []
    assert (limited.root / "b/etc/x").exists()


def test_nothing_is_written_through_a_link_out_of_the_tree(run: Run, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    run.write("a", file("/x"), Wanted(path="/current", target=str(outside)))
    with pytest.raises(FileSetError, match="/a/current is no directory, which is wanted there"):
        run.write("a", file("/current/x"))
    assert list(outside.iterdir()) == []


def test_everything_that_is_wrong_is_told_at_once(run: Run) -> None:
    with pytest.raises(FileSetError) as told:
        run.write("a", file("/etc/../x"), file("/etc/y", mode="9"), file("/z"), Wanted(path="/z", target="y"))
    assert len(told.value.problems) == 3
    assert not run.root.exists()


def test_a_path_below_a_file_is_refused(run: Run) -> None:
    with pytest.raises(FileSetError, match="/etc is given twice"):
        run.write("a", file("/etc"), file("/etc/x"))


def test_the_directory_has_to_be_named() -> None:
    for value in (None, "", " ", 3):
        with pytest.raises(
            FileSetError, match=r"^render_to is .*: it has to name the directory to render to\. Give one"
        ):
            check_root(value, [])


def test_a_directory_with_files_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis").write_text("mine")
    with pytest.raises(FileSetError, match=r"^render_to is .*: this directory has files that render.yml did not write"):
        check_root(str(tmp_path), [])


def test_a_file_or_a_place_in_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for value in ("file", "file/below/it"):
        with pytest.raises(FileSetError, match=r"^render_to is .*: .*/file is no directory. Give"):
            check_root(str(tmp_path / value), [])


FOREIGN = ["", ".rendered", "a", "left"]
"""Places below a directory that was rendered to, for the hosts "a" and, before, "left"."""


@pytest.fixture
def rendered(run: Run) -> Path:
    for host in ("a", "left"):
        run.write(host, file("/etc/x"))
    run.close(["a", "left"])
    return run.root


@pytest.mark.parametrize("place", FOREIGN)
def test_a_symbolic_link_is_refused(rendered: Path, tmp_path: Path, place: str) -> None:
    assert check_root(str(rendered), ["a"]) == rendered
    path = rendered / place
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    told = rf"^render_to is {rendered}: {path} is a symbolic link, .* Give a directory of your own that is empty or"
    with pytest.raises(FileSetError, match=told):
        check_root(str(rendered), ["a"])


@pytest.mark.parametrize("place", FOREIGN)
def test_what_belongs_to_another_user_is_refused(rendered: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    real = os.lstat

    def lstat(path: Path) -> os.stat_result:
        found = list(real(path))
        if path == rendered / place:
            found[stat.ST_UID] += 1
        return os.stat_result(found)

    monkeypatch.setattr(os, "lstat", lstat)
    told = rf"^render_to is {rendered}: {rendered / place} belongs to another user, .* Give a directory of your own"
    with pytest.raises(FileSetError, match=told):
        check_root(str(rendered), ["a"])


def test_a_link_to_an_empty_directory_or_in_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("empty")
    with pytest.raises(FileSetError, match="is a symbolic link"):
        check_root(f"{tmp_path}/link/", [])
    (tmp_path / "empty" / ".rendered").symlink_to(tmp_path)
    with pytest.raises(FileSetError, match=r"/\.rendered is a symbolic link"):
        check_root(str(tmp_path / "empty"), [])


def test_an_empty_a_new_and_a_rendered_directory_are_taken(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert check_root(str(tmp_path / "empty"), []) == tmp_path / "empty"
    assert check_root(str(tmp_path / "new/below"), []) == tmp_path / "new/below"
    run.write("a", file("/etc/x"))
    assert check_root(str(run.root), ["a"]) == run.root


def test_a_relative_directory_is_below_that_of_the_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert check_root("out", []) == tmp_path / "out"


@pytest.mark.parametrize("host", ["a/b", "..", ".rendered", "README", "fleet.svg"])
def test_a_host_whose_name_is_no_name_of_a_directory_is_refused(tmp_path: Path, host: str) -> None:
    with pytest.raises(FileSetError, match="cannot be rendered"):
        check_root(str(tmp_path / "out"), [host])


def test_what_is_beside_the_hosts_is_written_once(run: Run) -> None:
    run.write("a", file("/etc/x"))
    texts = {README: README_TEXT, PICTURE: "<svg>"}
    for change in plan_top(run.root, texts):
        change.act()
    assert "placeholders" in (run.root / README).read_text()
    assert (run.root / PICTURE).read_text() == "<svg>"
    assert plan_top(run.root, texts) == []


def test_what_begins_like_ours_is_brought_up_to_date(run: Run) -> None:
    run.write("a", file("/etc/x"))
    (run.root / README).write_text(README_TEXT[:90])
    assert [change.path for change in plan_top(run.root, {README: README_TEXT})] == [README]


def test_what_somebody_else_has_put_there_stays(run: Run) -> None:
    run.write("a", file("/etc/x"))
    (run.root / README).write_text("mine")
    (run.root / PICTURE).symlink_to("elsewhere")
    assert plan_top(run.root, {README: README_TEXT, PICTURE: "<svg>"}) == []
