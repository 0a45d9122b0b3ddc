# SPDX-License-Identifier: GPL-3.0-or-later
"""What may be in a tarball, and what has to be."""

from __future__ import annotations

import pytest

from tools.release import WANTED, ReleaseError, check_contents


def test_a_tarball_with_what_users_need_is_fit() -> None:
    check_contents([*WANTED, "plugins/modules/file_set.py"])


@pytest.mark.parametrize("name", WANTED)
def test_a_tarball_that_lacks_something_is_refused(name: str) -> None:
    with pytest.raises(ReleaseError, match=name):
        check_contents([other for other in WANTED if other != name])


@pytest.mark.parametrize("name", ["tests/unit/test_readme.py", ".venv/bin/python", "changelogs/fragments/1.yml"])
def test_a_tarball_with_the_developers_files_is_refused(name: str) -> None:
    with pytest.raises(ReleaseError, match=name):
        check_contents([*WANTED, name])
