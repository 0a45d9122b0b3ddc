# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that notes what a process was started with, run for real."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible_collections.baremetal.synapse.plugins.module_utils import _fingerprint
from ansible_collections.baremetal.synapse.plugins.module_utils._fingerprint import (
    Instance,
    option_digests,
    pending_digests,
    read_note,
)

SHARED = {
    "caches": {"global_factor": 0.5},
    "instance_map": {"main": {"host": "10.0.0.3", "port": 17200}, "w1": {"host": "10.0.0.4", "port": 17600}},
    "listeners": [{"port": 1}, {"port": 2}],
    "pusher_instances": ["p1"],
    "server_name": "example.org",
    "stream_writers": {"events": ["w1"], "typing": ["w1"]},
}


class Host:
    """A host's files below a temporary directory, with the program and one instance."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("secrets", "unit.d", "notes", "lib"):
            (root / name).mkdir()
        self.write("own.yaml", "own")
        self.write("log.yaml", "log")
        self.write("secrets/form_secret", "s3cret")
        self.shared(SHARED)
        (root / "current").symlink_to("releases/a")
        self.entry = {
            "duties": ["typing"],
            "links": [f"{root}/current"],
            "files": [f"{root}/{name}" for name in ("own.yaml", "log.yaml", "secrets", "unit", "unit.d")],
            "options": f"{root}/shared.yaml",
            "nested": ["instance_map", "stream_writers"],
            "ignored": ["pusher_instances"],
            "reloaded": [f"{root}/log.yaml", f"{root}/shared.yaml: caches"],
        }
        shutil.copy(_fingerprint.__file__, root / "lib/fingerprint")
        inputs = {"directory": f"{root}/notes", "instances": {"w1": self.entry}}
        self.write("lib/fingerprint.json", json.dumps(inputs))

    def write(self, path: str, text: str) -> None:
        (self.root / path).write_text(text)

    def shared(self, options: dict[str, object]) -> None:
        self.write("shared.yaml", f"# managed\n---\n{yaml.safe_dump(options)}")

    def run(self, action: str) -> None:
        subprocess.run([sys.executable, "-I", "-S", self.root / "lib/fingerprint", action, "w1"], check=True)

    def changed(self, pending: dict[str, dict[str, str]] | None = None) -> list[str]:
        note = read_note(self.root / "notes", "w1")
        assert note is not None
        found = Instance.of(self.entry).changed_since(note["inputs"], pending)
        return [change.replace(f"{self.root}/", "") for change in found]


@pytest.fixture
def host(tmp_path: Path) -> Host:
    host = Host(tmp_path)
    host.run("record")
    return host


def test_nothing_changes_by_itself(host: Host) -> None:
    assert host.changed() == []


def test_a_file_that_the_process_cannot_read_does_not_count(host: Host) -> None:
    host.entry["hidden"] = [f"{host.root}/secrets/form_secret"]
    # It counted when the process was started.
    assert host.changed() == []
    host.write("secrets/form_secret", "other")
    assert host.changed() == []
    host.write("lib/fingerprint.json", json.dumps({"directory": f"{host.root}/notes", "instances": {"w1": host.entry}}))
    host.run("record")
    host.entry["hidden"] = []
    assert host.changed() == ["secrets/form_secret"]


def test_the_duties_are_noted(host: Host) -> None:
    note = read_note(host.root / "notes", "w1")
    assert note is not None
    assert note["duties"] == ["typing"]


def test_every_file_link_and_secret_counts(host: Host) -> None:
    host.write("own.yaml", "other")
    host.write("secrets/another", "new")
    host.write("unit", "came")
    host.write("unit.d/pool.conf", "came")
    (host.root / "current").unlink()
    (host.root / "current").symlink_to("releases/b")
    assert host.changed() == ["current", "own.yaml", "secrets/another", "unit", "unit.d/pool.conf"]


def test_each_option_counts_by_itself(host: Host) -> None:
    host.shared({**SHARED, "server_name": "other.org", "listeners": [{"port": 1}], "new": True})
    assert host.changed() == ["shared.yaml: listeners", "shared.yaml: new", "shared.yaml: server_name"]


def test_streams_and_addresses_count_one_by_one(host: Host) -> None:
    streams = {"events": ["w1", "w2"], "typing": ["w1"]}
    addresses = {**SHARED["instance_map"], "w2": {"host": "10.0.0.4", "port": 17601}}  # type: ignore[dict-item]
    host.shared({**SHARED, "stream_writers": streams, "instance_map": addresses})
    assert host.changed() == ["shared.yaml: instance_map.w2", "shared.yaml: stream_writers.events"]


def test_an_option_of_others_does_not_count(host: Host) -> None:
    host.shared({**SHARED, "pusher_instances": ["p1", "p2"]})
    assert host.changed() == []


def test_an_edit_by_hand_is_noticed_wherever_it_is(host: Host) -> None:
    text = (host.root / "shared.yaml").read_text()
    for line in text.splitlines()[2:]:
        if line.startswith(("pusher_instances", "- p1")):
            continue
        host.write("shared.yaml", text.replace(line, f"{line} x", 1))
        assert host.changed() != [], line


def test_what_is_about_to_be_written_is_told_like_what_is_written(host: Host) -> None:
    files = {
        "shared.yaml": yaml.safe_dump({**SHARED, "server_name": "other.org"}),
        "unit.d/new.conf": "x",
        "log.yaml": "y",
    }
    pending = {f"{host.root}/{path}": pending_digests(text) for path, text in files.items()}
    pending[f"{host.root}/current"] = {"target": "releases/b"}
    pending[f"{host.root}/own.yaml"] = {}
    forecast = host.changed(pending)
    for path, text in files.items():
        host.write(path, text)
    (host.root / "own.yaml").unlink()
    (host.root / "current").unlink()
    (host.root / "current").symlink_to("releases/b")
    assert (
        forecast
        == host.changed()
        == [
            "current",
            "log.yaml",
            "own.yaml",
            "shared.yaml: server_name",
            "unit.d/new.conf",
        ]
    )


def test_a_reload_is_noted_for_what_it_reads_and_for_nothing_else(host: Host) -> None:
    host.shared({**SHARED, "caches": {"global_factor": 2}, "server_name": "other.org"})
    host.write("log.yaml", "other")
    host.run("reloaded")
    assert host.changed() == ["shared.yaml: server_name"]


def test_a_note_that_cannot_be_read_is_none(host: Host) -> None:
    for text in ("", "abc  /etc/x\n", "[]", '{"duties": []}'):
        host.write("notes/w1", text)
        assert read_note(host.root / "notes", "w1") is None
    assert read_note(host.root / "notes", "w2") is None


def test_no_secret_is_noted(host: Host) -> None:
    assert "s3cret" not in (host.root / "notes/w1").read_text()


def test_comments_and_blank_lines_are_no_change() -> None:
    assert option_digests("a: 1\nb: 2\n") == option_digests("a: 1\n\n# more\nb: 2\n")
