# SPDX-License-Identifier: GPL-3.0-or-later
"""The file of what processes of each release tell each other, and the command that makes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.baremetal.synapse.plugins.plugin_utils.routing.registry import registry

from tools.replication import __main__ as tool


def entry(release: str, *streams: str, schema: int = 94) -> dict[str, Any]:
    return {
        "release": release,
        "schema": schema,
        "compat": 84,
        "streams": dict.fromkeys(streams, "events"),
        "commands": ["RDATA"],
        "endpoints": [],
        "token": ["room_key"],
    }


def test_a_release_has_a_line_only_if_it_differs_and_all_of_them_are_read_back(tmp_path: Path) -> None:
    known = [entry("1.150.0", "events"), entry("1.151.0", "events"), entry("1.152.1", "events", "sticky")]
    path = tmp_path / "replication.json"
    path.write_text(tool.text(known))
    assert path.read_text().count('"schema"') == 2
    assert tool.read(path) == known


def test_a_release_takes_the_place_of_another_patch_and_its_difference_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "replication.json"
    path.write_text(tool.text([entry("1.150.0", "events"), entry("1.152.0", "events")]))
    monkeypatch.setattr(tool, "probe", lambda release: entry(release, "events", "sticky", schema=95))
    assert tool.main(["add", "1.152.1"], path) == 0
    assert [found["release"] for found in tool.read(path)] == ["1.150.0", "1.152.1"]
    told = capsys.readouterr().out
    assert "schema 94 -> 95" in told
    assert "streams: + sticky" in told
    assert tool.main(["check"], path) == 0
    monkeypatch.setattr(tool, "probe", lambda release: entry(release, "events"))
    assert tool.main(["check"], path) == 1


def test_every_release_that_is_deployed_and_whose_routes_are_known_was_read() -> None:
    deployed = [str(release) for release in registry().releases if (release.major, release.minor) >= (1, 130)]
    assert [found["release"] for found in tool.read(tool.FILE)] == deployed
