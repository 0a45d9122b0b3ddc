# SPDX-License-Identifier: GPL-3.0-or-later
"""The locks of Synapse releases."""

from __future__ import annotations

import re

import pytest

from tools.lock_release import FOLDER, MORE, requirements

LOCKS = sorted(FOLDER.glob("*.txt"))


def pins(release: str) -> list[str]:
    return requirements(release).splitlines()[1 + len(MORE) :]


def test_a_new_release_is_resolved_freely() -> None:
    assert pins("1.163.2") == []


def test_releases_that_break_with_newer_packages_are_held_back() -> None:
    assert pins("1.162.0") == ["txredisapi<1.6"]
    assert pins("1.145.0") == ["txredisapi<1.6", "prometheus-client<0.24"]
    assert pins("1.138.4") == ["txredisapi<1.6", "prometheus-client<0.24", "setuptools<82"]


@pytest.mark.parametrize("text", ["latest", "1.163", "1.163.2; import os", "1.163.2rc1"])
def test_what_is_no_release_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no Synapse release"):
        requirements(text)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_every_requirement_of_a_lock_has_a_hash_and_none_has_a_place(lock: object) -> None:
    text = lock.read_text()  # type: ignore[attr-defined]
    entries = re.split(r"\n(?=[a-z])", text.split("\n", 1)[1])
    assert entries
    assert [entry for entry in entries if "==" not in entry or "--hash=sha256:" not in entry] == []
    assert "://" not in text and "psycopg2" not in text


def test_previews_of_urls_have_what_they_need() -> None:
    assert [lock.name for lock in LOCKS if lock.stem != "uv" and "\nlxml==" not in lock.read_text()] == []


def test_a_lock_holds_the_release_of_its_name() -> None:
    for lock in LOCKS:
        name = "uv" if lock.stem == "uv" else f"matrix-synapse=={lock.stem}"
        assert f"\n{name}" in lock.read_text()
