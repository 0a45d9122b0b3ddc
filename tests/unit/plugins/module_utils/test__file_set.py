# SPDX-License-Identifier: GPL-3.0-or-later
"""file_set on a real file system."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.baremetal.synapse.plugins.module_utils._file_set import (
    FileSetError,
    apply,
    decode,
    encode,
    plan,
    report,
)

ME = pwd.getpwuid(os.getuid()).pw_name
MINE = grp.getgrgid(os.getgid()).gr_name
NOBODY = "no-such-user"


def params(**wanted: Any) -> dict[str, Any]:
    return {"directories": [], "files": [], "links": [], "purge": [], **wanted}


def a_file(path: Path | str, content: str = "new\n", **other: Any) -> dict[str, Any]:
    attributes = {"mode": "0644", "owner": ME, "group": MINE, "sensitive": False}
    return {"path": str(path), "content": encode(content), **attributes, **other}


def a_directory(path: Path, **other: Any) -> dict[str, Any]:
    return {"path": str(path), "mode": "0755", "owner": ME, "group": MINE, **other}


def deploy(check_mode: bool = False, **wanted: Any) -> tuple[list[str], list[str], list[dict[str, str]]]:
    changes = plan(params(**wanted), check_mode)
    if not check_mode:
        apply(changes)
    paths = report(changes)
    return paths["changed_paths"], paths["removed_paths"], [change.diff for change in changes]


def problems(**wanted: Any) -> list[str]:
    with pytest.raises(FileSetError) as error:
        plan(params(**wanted), check_mode=False)
    return error.value.problems


def mode(path: Path) -> str:
    return f"{stat.S_IMODE(path.lstat().st_mode):04o}"


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_what_was_packed_is_unpacked() -> None:
    assert decode(encode("grüße\n")) == "grüße\n".encode()


def test_a_content_that_was_not_packed_is_refused() -> None:
    with pytest.raises(ValueError, match="did not pass the action plugin"):
        decode("plain text")


def test_directories_files_and_links_are_made_in_one_go(tmp_path: Path) -> None:
    folder = tmp_path / "conf.d"
    changed, removed, _diffs = deploy(
        directories=[a_directory(folder, mode="0750")],
        files=[a_file(folder / "a.conf", mode="0600")],
        links=[{"path": str(tmp_path / "current"), "target": "conf.d"}],
    )
    assert changed == [str(folder), str(folder / "a.conf"), str(tmp_path / "current")]
    assert removed == []
    assert (mode(folder), mode(folder / "a.conf")) == ("0750", "0600")
    assert (tmp_path / "current/a.conf").read_text() == "new\n"


def test_a_second_time_nothing_changes(tmp_path: Path) -> None:
    wanted: dict[str, Any] = {
        "directories": [a_directory(tmp_path / "d", mode="2750")],
        "files": [a_file(tmp_path / "d/a", mode="0640")],
        "links": [{"path": str(tmp_path / "l"), "target": "/nowhere"}],
    }
    deploy(**wanted)
    assert deploy(**wanted) == ([], [], [])


def test_check_mode_tells_the_same_and_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old\n")
    (tmp_path / "gone.yaml").write_text("old\n")
    wanted: dict[str, Any] = {
        "directories": [a_directory(tmp_path / "d")],
        "files": [a_file(tmp_path / "a"), a_file(tmp_path / "d/b")],
        "links": [{"path": str(tmp_path / "l"), "target": "d"}],
        "purge": [{"directory": str(tmp_path), "pattern": "*.yaml", "keep": []}],
    }
    foreseen = deploy(check_mode=True, **wanted)
    assert everything(tmp_path) == ["a", "gone.yaml"]
    assert (tmp_path / "a").read_text() == "old\n"
    assert deploy(**wanted) == foreseen


def test_check_mode_passes_on_a_host_without_user_group_and_directory(tmp_path: Path) -> None:
    path = tmp_path / "missing/a"
    changed, _removed, _diffs = deploy(check_mode=True, files=[a_file(path, owner=NOBODY, group=NOBODY)])
    assert changed == [str(path)]


def test_an_existing_file_of_a_future_user_would_change_in_check_mode(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("new\n")
    changed, _removed, _diffs = deploy(check_mode=True, files=[a_file(tmp_path / "a", owner=NOBODY)])
    assert changed == [str(tmp_path / "a")]


def test_the_diff_of_a_file_shows_both_texts(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old\n")
    _changed, _removed, diffs = deploy(files=[a_file(tmp_path / "a")])
    assert [(diff["before"], diff["after"], diff["after_header"]) for diff in diffs] == [
        ("old\n", "new\n", str(tmp_path / "a"))
    ]


def test_the_diff_of_a_sensitive_file_shows_neither(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old secret\n")
    changed, _removed, diffs = deploy(files=[a_file(tmp_path / "a", "new secret\n", sensitive=True)])
    assert changed == [str(tmp_path / "a")]
    assert (tmp_path / "a").read_text() == "new secret\n"
    assert diffs == [{"prepared": f"~ secret content of {tmp_path / 'a'}\n"}]


def test_the_diff_of_a_removed_file_does_not_show_what_it_held(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("smtp_pass: hunter2\n")
    _changed, removed, diffs = deploy(purge=[{"directory": str(tmp_path), "pattern": "*.yaml", "keep": []}])
    assert removed == [str(tmp_path / "a.yaml")]
    assert diffs == [{"prepared": f"- {tmp_path / 'a.yaml'}\n"}]


def test_a_binary_file_in_the_way_does_not_break_the_diff(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\xff\xfe")
    _changed, _removed, diffs = deploy(files=[a_file(tmp_path / "a")])
    assert diffs[0]["before"] == "(binary content)\n"


def test_a_wrong_mode_is_set_right_without_writing_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("new\n")
    path.chmod(0o666)
    inode = path.stat().st_ino
    changed, _removed, diffs = deploy(files=[a_file(path, mode="0640")])
    assert changed == [str(path)]
    assert (mode(path), path.stat().st_ino) == ("0640", inode)
    assert (diffs[0]["before"], diffs[0]["after"]) == (
        f"mode 0666, owner {ME}, group {MINE}\n",
        f"mode 0640, owner {ME}, group {MINE}\n",
    )


def test_only_a_new_content_counts_as_rewritten(tmp_path: Path) -> None:
    (tmp_path / "same").write_text("new\n")
    (tmp_path / "same").chmod(0o666)
    paths = report(plan(params(files=[a_file(tmp_path / "same"), a_file(tmp_path / "other")]), check_mode=True))
    assert paths["changed_paths"] == [str(tmp_path / "same"), str(tmp_path / "other")]
    assert paths["rewritten_paths"] == [str(tmp_path / "other")]


def test_a_reader_of_the_old_file_keeps_it_whole(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old\n")
    with path.open() as reader:
        deploy(files=[a_file(path)])
        assert reader.read() == "old\n"
    assert path.read_text() == "new\n"


def test_what_a_run_left_that_was_cut_off_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / ".a.new").write_text("half")
    deploy(files=[a_file(tmp_path / "a")])
    assert everything(tmp_path) == ["a"]


def test_a_link_is_moved_and_leads_to_the_new_place(tmp_path: Path) -> None:
    (tmp_path / "current").symlink_to("release-1")
    changed, _removed, diffs = deploy(links=[{"path": str(tmp_path / "current"), "target": "release-2"}])
    assert changed == [str(tmp_path / "current")]
    assert (tmp_path / "current").readlink() == Path("release-2")
    assert (diffs[0]["before"], diffs[0]["after"]) == ("release-1\n", "release-2\n")


def test_purge_removes_what_matches_and_is_neither_written_nor_kept(tmp_path: Path) -> None:
    for name in ("old.yaml", "kept.yaml", "wanted.yaml", "other.txt", ".hidden.yaml"):
        (tmp_path / name).write_text("new\n")
    (tmp_path / "folder.yaml").mkdir()
    _changed, removed, _diffs = deploy(
        files=[a_file(tmp_path / "wanted.yaml")],
        purge=[{"directory": str(tmp_path), "pattern": "*.yaml", "keep": ["kept.yaml"]}],
    )
    assert removed == [str(tmp_path / "old.yaml")]
    assert everything(tmp_path) == [".hidden.yaml", "folder.yaml", "kept.yaml", "other.txt", "wanted.yaml"]


def test_purge_takes_directories_away_that_it_empties_and_leaves_the_others(tmp_path: Path) -> None:
    for name in ("w@1.d", "w@2.d", "w@3.d"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "pool.conf").write_text("x")
    (tmp_path / "w@2.d/own.conf").write_text("the operator's")
    deploy(purge=[{"directory": str(tmp_path), "pattern": "w@*.d/pool.conf", "keep": ["w@3.d/pool.conf"]}])
    assert everything(tmp_path) == ["w@2.d", "w@2.d/own.conf", "w@3.d", "w@3.d/pool.conf"]


def test_purge_of_a_directory_that_does_not_exist_is_fine(tmp_path: Path) -> None:
    assert deploy(purge=[{"directory": str(tmp_path / "no"), "pattern": "*", "keep": []}]) == ([], [], [])


def test_purge_cannot_lead_out_of_its_directory(tmp_path: Path) -> None:
    assert "leads out of" in problems(purge=[{"directory": str(tmp_path), "pattern": "../*", "keep": []}])[0]


@pytest.mark.parametrize("kind", ["directory", "symbolic link", "special file"])
def test_a_file_is_never_written_over_something_else(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a"
    if kind == "directory":
        path.mkdir()
    elif kind == "symbolic link":
        path.symlink_to(tmp_path / "elsewhere")
    else:
        os.mkfifo(path)
    assert problems(files=[a_file(path)]) == [f"{path} is a {kind}, a regular file is wanted: remove or rename it"]


def test_a_directory_is_not_followed_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert problems(directories=[a_directory(tmp_path / "link")]) == [
        f"{tmp_path / 'link'} is a symbolic link: name the directory that it points to"
    ]


def test_a_directory_does_not_replace_a_file(tmp_path: Path) -> None:
    (tmp_path / "d").write_text("x")
    assert "is a regular file, a directory is wanted" in problems(directories=[a_directory(tmp_path / "d")])[0]


def test_a_link_does_not_replace_a_directory(tmp_path: Path) -> None:
    (tmp_path / "current").mkdir()
    assert "a symbolic link is wanted" in problems(links=[{"path": str(tmp_path / "current"), "target": "x"}])[0]


def test_all_that_is_wrong_is_said_at_once_and_nothing_is_changed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    said = problems(
        files=[
            a_file(tmp_path / "good"),
            a_file(tmp_path / "a"),
            a_file(tmp_path / "no/b"),
            a_file("relative"),
            a_file(tmp_path / "c", owner=NOBODY, group=NOBODY),
            a_file(tmp_path / "d", mode="416"),
            a_file(tmp_path / "good"),
        ]
    )
    assert [any(part in line for line in said) for part in ("is a directory", f"{tmp_path}/no, in which")] == [True] * 2
    assert any("not an absolute, plain path" in line for line in said)
    assert any(f"no owner '{NOBODY}' and no group '{NOBODY}'" in line for line in said)
    assert any("mode '416' is not four or five octal digits" in line for line in said)
    assert any("is given twice" in line for line in said)
    assert everything(tmp_path) == ["a"]


@pytest.mark.parametrize("check_mode", [True, False])
def test_missing_parents_of_a_directory_are_made(tmp_path: Path, check_mode: bool) -> None:
    paths = [tmp_path / "a", tmp_path / "a/b", tmp_path / "a/b/c", tmp_path / "a/b/d"]
    changed, _removed, _diffs = deploy(
        check_mode, directories=[a_directory(paths[2], mode="0700"), a_directory(paths[3], mode="0700")]
    )
    assert changed == [str(path) for path in paths]
    if not check_mode:
        assert [mode(path) for path in paths] == ["0755", "0755", "0700", "0700"]


def test_a_directory_that_is_listed_after_its_child_has_its_own_mode(tmp_path: Path) -> None:
    deploy(directories=[a_directory(tmp_path / "a/b"), a_directory(tmp_path / "a", mode="0700")])
    assert mode(tmp_path / "a") == "0700"


def test_a_parent_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    assert problems(directories=[a_directory(tmp_path / "a/b/c")]) == [
        f"{tmp_path}/a, in which {tmp_path}/a/b belongs, is a regular file: remove or rename it"
    ]


def test_two_hundred_files_go_in_one_call(tmp_path: Path) -> None:
    files = [a_file(tmp_path / f"{number}.yaml", f"worker_name: {number}\n" * 40) for number in range(200)]
    changed, _removed, _diffs = deploy(files=files)
    assert len(changed) == 200
    assert (tmp_path / "199.yaml").read_text() == "worker_name: 199\n" * 40
