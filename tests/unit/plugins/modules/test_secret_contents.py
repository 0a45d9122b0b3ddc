# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets are read whole, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.baremetal.synapse.plugins.modules.secret_contents import SecretError, read


def test_all_are_read_in_one_call(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("one\n")
    (tmp_path / "b").write_text("two\n")
    paths = [str(tmp_path / name) for name in ("a", "b")]
    assert read(paths, check_mode=False) == {paths[0]: "one\n", paths[1]: "two\n"}


def test_a_secret_that_was_not_made_yet_is_left_out_in_check_mode_only(tmp_path: Path) -> None:
    path = str(tmp_path / "a")
    assert read([path], check_mode=True) == {}
    with pytest.raises(SecretError, match="/a: the host has not made this secret yet: run the playbook on it too"):
        read([path], check_mode=False)


@pytest.mark.parametrize("content", [b"", b"\n"])
def test_an_empty_secret_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(SecretError, match="is empty: put the secret back"):
        read([str(tmp_path / "a")], check_mode=True)


def test_what_is_no_text_is_refused_and_not_shown(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\xff\xfe")
    with pytest.raises(SecretError, match=r"/a cannot be read: it is no text$"):
        read([str(tmp_path / "a")], check_mode=False)
