# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets are made once, whole, and never change."""

from __future__ import annotations

import base64
import grp
import os
import pwd
import re
import stat
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.baremetal.synapse.plugins.module_utils._secret_files import KINDS, placeholder
from ansible_collections.baremetal.synapse.plugins.modules.secret_files import (
    Given,
    SecretError,
    create,
    ensure,
    generate,
)

ME = pwd.getpwuid(os.getuid()).pw_name
MINE = grp.getgrgid(os.getgid()).gr_name


def secret(path: Path, kind: str = "token", mode: str = "0400") -> dict[str, Any]:
    return {"path": str(path), "kind": kind, "mode": mode, "name": path.name}


def test_a_missing_secret_is_made(tmp_path: Path) -> None:
    path = tmp_path / "form_secret"
    assert ensure([secret(path)], ME, MINE, check_mode=False) == ([str(path)], [])
    assert stat.S_IMODE(path.stat().st_mode) == 0o400
    assert os.listdir(tmp_path) == ["form_secret"]


def test_an_existing_secret_keeps_its_content(tmp_path: Path) -> None:
    path = tmp_path / "form_secret"
    path.write_text("from a former life")
    path.chmod(0o400)
    assert ensure([secret(path)], ME, MINE, check_mode=False) == ([], [])
    assert path.read_text() == "from a former life"


def test_an_existing_secret_that_is_too_open_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "form_secret"
    path.write_text("from a former life")
    path.chmod(0o644)
    assert ensure([secret(path)], ME, MINE, check_mode=False) == ([], [str(path)])
    assert stat.S_IMODE(path.stat().st_mode) == 0o400
    assert path.read_text() == "from a former life"


def test_check_mode_makes_nothing_and_needs_neither_user_nor_directory(tmp_path: Path) -> None:
    path = tmp_path / "missing/form_secret"
    assert ensure([secret(path)], "no-such-user", "no-such-group", check_mode=True) == ([str(path)], [])
    assert os.listdir(tmp_path) == []


def test_a_copy_is_written_and_follows_the_other_host(tmp_path: Path) -> None:
    path = tmp_path / "form_secret"
    assert ensure([secret(path)], ME, MINE, False, {str(path): "theirs\n"}) == ([str(path)], [])
    assert path.read_text() == "theirs\n"
    assert ensure([secret(path)], ME, MINE, False, {str(path): "theirs\n"}) == ([], [])
    assert ensure([secret(path)], ME, MINE, True, {str(path): "another\n"}) == ([], [str(path)])
    assert path.read_text() == "theirs\n"
    assert ensure([secret(path)], ME, MINE, False, {str(path): "another\n"}) == ([], [str(path)])
    assert path.read_text() == "another\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o400
    assert os.listdir(tmp_path) == ["form_secret"]


@pytest.mark.parametrize("content", ["", placeholder("token")])
def test_a_copy_replaces_what_is_no_secret(tmp_path: Path, content: str) -> None:
    path = tmp_path / "form_secret"
    path.write_text(content)
    assert ensure([secret(path)], ME, MINE, False, {str(path): "theirs\n"}) == ([], [str(path)])
    assert path.read_text() == "theirs\n"


def test_a_copy_that_is_too_open_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "form_secret"
    path.write_text("theirs\n")
    path.chmod(0o644)
    assert ensure([secret(path)], ME, MINE, False, {str(path): "theirs\n"}) == ([], [str(path)])
    assert stat.S_IMODE(path.stat().st_mode) == 0o400


@pytest.mark.parametrize("copies", [{}, {"/elsewhere": "x"}])
def test_nothing_is_made_in_the_place_of_a_copy(tmp_path: Path, copies: dict[str, str]) -> None:
    path = tmp_path / "form_secret"
    with pytest.raises(SecretError, match="has given none: run the playbook on that host too"):
        ensure([secret(path)], ME, MINE, False, copies)
    assert not path.exists()
    # In check mode, the other host would make it first.
    assert ensure([secret(path)], ME, MINE, True, copies) == ([str(path)], [])


def test_a_missing_user_is_named(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match="lacks the user 'no-such-user'"):
        ensure([secret(tmp_path / "a")], "no-such-user", MINE, check_mode=False)


def test_an_empty_file_is_refused_rather_than_filled(tmp_path: Path) -> None:
    path = tmp_path / "signing.key"
    path.touch()
    with pytest.raises(SecretError, match="is empty: put the secret back"):
        ensure([secret(path, "signing_key")], ME, MINE, check_mode=False)
    assert path.read_text() == ""


@pytest.mark.parametrize("kind", KINDS)
def test_a_placeholder_of_a_rendered_tree_is_no_secret(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a"
    path.write_text(placeholder(kind))
    with pytest.raises(SecretError, match=r"/a holds a placeholder of playbooks/render.yml, which is no secret: put"):
        ensure([secret(path, kind)], ME, MINE, check_mode=False)
    assert path.read_text() == placeholder(kind)


def test_a_link_in_the_place_of_a_secret_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "signing.key"
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SecretError, match="is no regular file"):
        ensure([secret(path)], ME, MINE, check_mode=False)


def test_what_a_run_left_that_was_cut_off_is_not_taken_for_the_secret(tmp_path: Path) -> None:
    (tmp_path / ".a.new").write_text("half")
    ensure([secret(tmp_path / "a")], ME, MINE, check_mode=False)
    assert os.listdir(tmp_path) == ["a"]
    assert len((tmp_path / "a").read_text()) == 44


def test_a_secret_that_someone_else_made_meanwhile_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "signing.key"
    path.write_text("theirs")
    with pytest.raises(SecretError, match="File exists"):
        create(str(path), "ours", 0o400, os.getuid(), os.getgid())
    assert path.read_text() == "theirs"


def test_a_mode_must_be_octal(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match="mode '256' is not four octal digits"):
        ensure([secret(tmp_path / "a", mode="256")], ME, MINE, check_mode=False)


def test_a_missing_directory_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match=f"{tmp_path}/no/a: No such file or directory"):
        ensure([secret(tmp_path / "no/a")], ME, MINE, check_mode=False)


def test_a_signing_key_has_the_form_that_synapse_reads() -> None:
    match = re.fullmatch(r"ed25519 a_[A-Za-z]{4} ([A-Za-z0-9+/]{43})\n", generate("signing_key"))
    assert match
    assert len(base64.b64decode(match[1] + "=")) == 32


def test_a_password_file_needs_no_escapes() -> None:
    assert re.fullmatch(r"\*:\*:\*:\*:[A-Za-z0-9_-]{43}\n", generate("pgpass"))


def test_no_secret_is_made_twice() -> None:
    assert len({generate("token") for _ in range(100)}) == 100


def test_a_given_secret_is_taken_and_never_replaces_another_one_unasked(tmp_path: Path) -> None:
    path = tmp_path / "form_secret"
    name = str(path)
    assert ensure([secret(path)], ME, MINE, False, given=Given({name: "ours\n"})) == ([name], [])
    assert path.read_text() == "ours\n"
    path.chmod(0o600)
    path.write_text("ours")
    path.chmod(0o400)
    assert ensure([secret(path)], ME, MINE, False, given=Given({name: "ours\n"})) == ([], [])
    with pytest.raises(SecretError, match="rotated does not name it") as caught:
        ensure([secret(path)], ME, MINE, False, given=Given({name: "new\n"}, ["/elsewhere"]))
    assert "new" not in str(caught.value)
    assert path.read_text() == "ours"
    assert ensure([secret(path)], ME, MINE, True, given=Given({name: "new\n"}, [name])) == ([], [name])
    assert path.read_text() == "ours"
    assert ensure([secret(path)], ME, MINE, False, given=Given({name: "new\n"}, [name])) == ([], [name])
    assert path.read_text() == "new\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o400
