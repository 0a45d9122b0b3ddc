# SPDX-License-Identifier: GPL-3.0-or-later
"""Root in directories that others can write to: nothing hangs, nothing is followed."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from ansible_collections.baremetal.synapse.plugins.module_utils import _fingerprint
from ansible_collections.baremetal.synapse.plugins.module_utils._regular_files import read_regular, set_attributes


def _trap(path: Path, kind: str) -> None:
    target = path.with_name("target")
    target.write_text("{}")
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to(target if kind == "link" else "/dev/zero")


def test_a_regular_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "note").write_bytes(b"content")
    assert read_regular(tmp_path / "note") == b"content"


@pytest.mark.parametrize("kind", ["fifo", "link", "device", "directory"])
def test_anything_else_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    _trap(tmp_path / "note", kind)
    with pytest.raises(OSError, match="note"):
        read_regular(tmp_path / "note")


def test_a_file_without_an_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / "note").write_bytes(b"x" * 100)
    with pytest.raises(OSError, match="more than 99 bytes"):
        read_regular(tmp_path / "note", largest=99)


@pytest.mark.parametrize("kind", ["fifo", "link", "device", "directory"])
def test_the_start_state_of_a_process_is_unknown_if_its_note_is_no_file(tmp_path: Path, kind: str) -> None:
    _trap(tmp_path / "main", kind)
    assert _fingerprint.read_note(tmp_path, "main", read_regular) is None


def test_a_note_that_is_nested_without_end_is_no_note(tmp_path: Path) -> None:
    (tmp_path / "main").write_text("[" * 100_000)
    assert _fingerprint.read_note(tmp_path, "main", read_regular) is None


def test_an_input_that_is_a_fifo_is_no_input(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "registration.yaml")
    assert _fingerprint.Instance(files=(str(tmp_path / "registration.yaml"),)).now() == {}


def test_attributes_of_what_a_link_leads_to_stay(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir(mode=0o700)
    (tmp_path / "media").symlink_to(target)
    with pytest.raises(OSError, match="media"):
        set_attributes(str(tmp_path / "media"), stat.S_IFDIR, 0o755, os.getuid(), os.getgid())
    assert stat.S_IMODE(target.stat().st_mode) == 0o700


def test_attributes_of_a_fifo_in_the_place_of_a_file_stay(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "file", 0o600)
    with pytest.raises(OSError, match="not a regular file"):
        set_attributes(str(tmp_path / "file"), stat.S_IFREG, 0o644, os.getuid(), os.getgid())
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600
