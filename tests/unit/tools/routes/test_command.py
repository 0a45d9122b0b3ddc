# SPDX-License-Identifier: GPL-3.0-or-later
"""The command, with releases that are not really installed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.unit.tools.routes.test_merge import ALL, RELEASES
from tools.routes import install, probing
from tools.routes.__main__ import FILE, main
from tools.routes.errors import RoutesError
from tools.routes.merge import read, text

if TYPE_CHECKING:
    from pathlib import Path

    from tools.routes.merge import Served


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of routes, and registries that say what it says."""

    def probe(release: str) -> tuple[Served, ...]:
        if release not in RELEASES:
            raise RoutesError(f"uv pip install failed: there is no matrix-synapse=={release}")
        return tuple(RELEASES[release])

    monkeypatch.setattr(probing, "probe", probe)
    file = tmp_path / "routes.json"
    file.write_text(text(ALL))
    return file


def test_a_release_is_added_with_its_difference(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["remove", "1.163.2"], path)
    assert main(["add", "1.163.2"], path) == 0
    assert path.read_text() == text(ALL)
    assert "From Synapse 1.130.0 to 1.163.2:\n  new: GET /gap, by main and workers" in capsys.readouterr().out


def test_the_first_release_has_nothing_to_be_compared_with(tmp_path: Path, path: Path) -> None:
    fresh = tmp_path / "fresh.json"
    assert main(["add", "1.84.1"], fresh) == 0
    assert read(fresh).releases == ("1.84.1",)
    assert path.exists()


@pytest.mark.parametrize(
    ("release", "told"),
    [
        ("1.163.3", "Synapse 1.163.3 takes the place of 1.163.2: the file has one patch of each minor."),
        ("1.163.1", "Synapse 1.163.1 takes the place of 1.163.2, a newer patch: the file has one patch of each minor."),
    ],
)
def test_another_patch_of_a_minor_takes_the_place_of_the_one_that_is_there(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], release: str, told: str
) -> None:
    monkeypatch.setitem(RELEASES, release, RELEASES["1.163.2"])
    assert main(["add", release], path) == 0
    assert path.read_text() == text(ALL).replace("1.163.2", release)
    assert f"{told}\n" in capsys.readouterr().out


def test_a_release_that_is_added_again_takes_no_place_but_its_own(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["add", "1.163.2"], path) == 0
    assert "takes the place" not in capsys.readouterr().out


def test_a_file_that_is_true_passes(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check"], path) == 0
    assert "what its registry says" in capsys.readouterr().out


def test_a_file_that_is_not_true_fails_with_the_difference(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(path.read_text())
    document["routes"] = [route for route in document["routes"] if route["path"] != "/new"]
    path.write_text(json.dumps(document))
    assert main(["check"], path) == 1
    said = capsys.readouterr().out
    assert "  new: GET /new, by main and workers\n" in said
    assert "make routes RELEASE=1.163.2" in said


def test_the_difference_of_two_releases_comes_from_the_file_alone(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["difference", "1.84.1", "1.100.0"], path) == 0
    assert "  gone: GET /old\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "python -m tools.routes add"),
        (["add"], "python -m tools.routes add"),
        (["difference", "1.84.1"], "python -m tools.routes difference"),
        (["add", "latest"], "'latest' is no Synapse release"),
        (["add", "1.999.0"], "there is no matrix-synapse==1.999.0"),
        (["remove", "1.99.0"], "knows nothing of Synapse 1.99.0"),
        (["difference", "1.84.1", "1.99.0"], "knows nothing of Synapse 1.99.0"),
    ],
)
def test_what_cannot_be_done_is_explained(
    path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], reason: str
) -> None:
    before = path.read_text()
    assert main(arguments, path) == 2
    assert reason in capsys.readouterr().err
    assert path.read_text() == before


def test_an_empty_file_cannot_be_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check"], tmp_path / "routes.json") == 2
    assert "has no release" in capsys.readouterr().err


def test_old_releases_are_installed_with_what_they_need() -> None:
    assert install.requirements("1.163.2") == ["matrix-synapse[redis,oidc]==1.163.2"]
    assert "pydantic<2" in install.requirements("1.84.1")
    assert "pydantic<2" not in install.requirements("1.100.0")


def test_the_shipped_file_is_read_and_written_alike() -> None:
    assert text(read(FILE)) == FILE.read_text()


def test_the_shipped_file_has_regular_expressions_only_inside_of_fields() -> None:
    odd = []
    for route in read(FILE).routes:
        outside = "".join(part.rpartition("}")[2] for part in route.identity.path.split("{"))
        odd += [route.identity.path] if set(outside) & set("()[]*+?|^$\\{}") else []
    assert odd == []
