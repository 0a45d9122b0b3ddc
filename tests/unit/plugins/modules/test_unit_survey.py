# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs on a host, and what of what it was started with has changed since."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.baremetal.synapse.plugins.module_utils._fingerprint import (
    Instance,
    pending_digests,
    write_note,
)
from ansible_collections.baremetal.synapse.plugins.modules import unit_survey

from tests.unit.fake_systemd import FakeSystemd, Unit, install, run_module

UNIT = "matrix-synapse-worker@a.service"
OTHER = "matrix-synapse-worker@b.service"
TARGET = "matrix-synapse.target"
SHARED = "server_name: example.org\ncaches:\n  global_factor: 1.0\npublic_baseurl: https://example.org/\n"


class Host:
    """A host on which the worker a runs, started with the files that are there, and b is wanted.

    Attributes:
        systemd: its systemd.
        own: the worker's own file.
        log: its logging, which is read anew on SIGHUP.
        shared: the file of which each option counts, and of which ``caches`` is read anew.
        link: the link to the release.
        notes: the directory of the notes.
        unit: the worker's unit.
    """

    def __init__(self, systemd: FakeSystemd, root: Path) -> None:
        self.systemd = systemd
        self.own, self.log, self.shared = root / "a.yaml", root / "log.yaml", root / "homeserver.yaml"
        self.link = root / "current"
        self.own.write_text("worker_name: a\n")
        self.log.write_text("version: 1\n")
        self.shared.write_text(SHARED)
        self.link.symlink_to("/opt/releases/1")
        self.notes = root / "notes"
        self.notes.mkdir()
        self.unit = systemd.add(UNIT, "active", enabled=True)
        self.note()

    @property
    def inputs(self) -> dict[str, Any]:
        """What the worker depends on."""
        return {
            "duties": ["sync", "login"],
            "files": [str(self.own), str(self.log)],
            "links": [str(self.link)],
            "options": str(self.shared),
            "reloaded": [str(self.log), f"{self.shared}: caches"],
        }

    def note(self) -> None:
        """Notes what the worker is started with, as its unit does."""
        instance = Instance.of(self.inputs)
        write_note(self.notes, "a", {"duties": instance.duties, "inputs": instance.now()})


@pytest.fixture(params=["settled", "asked"])
def host(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Host:
    """The host. Either systemd has read all units after they changed, or it has to be asked for each of them."""
    (tmp_path / "units").mkdir()
    systemd = install(monkeypatch, tmp_path / "units")
    found = Host(systemd, tmp_path)
    if request.param == "asked":
        systemd.add("other.service", unread=True)
    return found


Survey = Callable[..., dict[str, Any]]


@pytest.fixture
def survey(host: Host, capsys: pytest.CaptureFixture[str]) -> Survey:
    """Runs the module; the topology wants a, unless a test says otherwise."""

    def run(check: bool = False, **arguments: Any) -> dict[str, Any]:
        inputs = {"directory": str(host.notes), "instances": {"a": host.inputs}}
        told = run_module(unit_survey.main, capsys, {"units": {UNIT: "a"}, "inputs": inputs, **arguments}, check=check)
        assert told.get("changed") is False, told
        return told

    return run


def only(told: dict[str, Any]) -> dict[str, Any]:
    """Returns the one process that a survey tells of."""
    (process,) = told["processes"]
    return dict(process)


def test_a_process_that_runs_with_what_it_was_started_with(host: Host, survey: Survey) -> None:
    assert only(survey()) == {
        "name": "a",
        "unit": UNIT,
        "active": "active",
        "enabled": True,
        "unread": False,
        "known": True,
        "duties": ["sync", "login"],
        "changed": [],
        "reloadable": [],
        "links": {str(host.link): "/opt/releases/1"},
    }
    assert host.systemd.calls == []


def test_units_are_asked_for_one_by_one_only_if_some_changed_after_systemd_read_them(
    host: Host, survey: Survey
) -> None:
    assert only(survey())["active"] == "active"
    assert host.systemd.asked == ([UNIT] if "other.service" in host.systemd.units else [])


def test_inputs_that_changed_are_told_by_name(host: Host, survey: Survey) -> None:
    host.own.write_text("worker_name: a\nworker_listeners: []\n")
    host.shared.write_text(SHARED.replace("https://example.org", "https://matrix.example.org") + "new_option: 1\n")
    host.link.unlink()
    host.link.symlink_to("/opt/releases/2")
    process = only(survey())
    expected = {str(host.own), str(host.link), f"{host.shared}: public_baseurl", f"{host.shared}: new_option"}
    assert set(process["changed"]) == expected
    assert (process["known"], process["reloadable"]) == (True, [])


def test_an_input_that_is_gone_has_changed(host: Host, survey: Survey) -> None:
    host.own.unlink()
    assert only(survey())["changed"] == [str(host.own)]


def test_inputs_that_are_read_anew_are_told_apart(host: Host, survey: Survey) -> None:
    host.log.write_text("version: 2\n")
    host.shared.write_text(SHARED.replace("1.0", "2.0"))
    process = only(survey())
    assert set(process["changed"]) == {str(host.log), f"{host.shared}: caches"}
    assert process["reloadable"] == process["changed"]
    host.own.write_text("worker_name: b\n")
    process = only(survey())
    assert set(process["changed"]) - set(process["reloadable"]) == {str(host.own)}


@pytest.mark.parametrize("note", [None, "no JSON", "{}", '{"duties": 3, "inputs": {}}'])
def test_without_a_note_the_start_state_is_unknown(host: Host, survey: Survey, note: str | None) -> None:
    (host.notes / "a").unlink()
    if note is not None:
        (host.notes / "a").write_text(note)
    host.own.write_text("worker_name: b\n")
    process = only(survey())
    assert (process["active"], process["known"], process["duties"], process["changed"]) == ("active", False, [], [])


@pytest.mark.parametrize("active", ["inactive", "failed"])
def test_the_note_of_a_process_that_is_down_does_not_count(host: Host, survey: Survey, active: str) -> None:
    host.unit.active = active
    host.own.write_text("worker_name: b\n")
    process = only(survey())
    assert (process["active"], process["known"], process["changed"]) == (active, False, [])


def test_a_process_that_systemd_has_never_heard_of_is_down(survey: Survey) -> None:
    told = survey(units={UNIT: "a", OTHER: "b"})
    (process,) = [entry for entry in told["processes"] if entry["name"] == "b"]
    assert (process["active"], process["enabled"], process["known"]) == ("inactive", False, False)


def test_a_unit_file_that_systemd_has_not_read_is_told(host: Host, survey: Survey) -> None:
    assert only(survey())["unread"] is False
    host.systemd.add(UNIT, "active", enabled=True, unread=True)
    assert only(survey())["unread"] is True


def test_a_process_that_would_not_start_at_boot_is_told(host: Host, survey: Survey) -> None:
    host.systemd.run(["systemctl", "disable", UNIT])
    process = only(survey())
    assert (process["active"], process["enabled"]) == ("active", False)


def test_a_masked_unit_runs_on_and_would_not_start_at_boot(host: Host, survey: Survey) -> None:
    host.unit.masked = True
    process = only(survey())
    assert (process["active"], process["enabled"], process["known"]) == ("active", False, True)


def test_units_that_match_a_pattern_are_told_whether_they_are_wanted_or_not(host: Host, survey: Survey) -> None:
    host.systemd.add(OTHER, "failed")
    host.systemd.add("matrix-synapse-worker@c.service", enabled=True)
    host.systemd.add("matrix-synapse.service", "active")
    host.systemd.add("nginx.service", "active", enabled=True)
    told = survey(patterns=["matrix-synapse-worker@*.service", "matrix-synapse.service"])
    found = {entry["name"]: (entry["active"], entry["enabled"]) for entry in told["processes"]}
    assert found == {
        "a": ("active", True),
        "b": ("failed", False),
        "c": ("inactive", True),
        "main": ("active", False),
    }


def test_of_what_is_not_wanted_nothing_has_changed_but_its_duties_are_known(host: Host, survey: Survey) -> None:
    host.systemd.add(OTHER, "active", enabled=True)
    write_note(host.notes, "b", {"duties": ["events"], "inputs": {"/etc/gone": "0"}})
    told = survey(units={}, patterns=["matrix-synapse-worker@b.service"])
    process = only(told)
    assert (process["known"], process["duties"], process["changed"]) == (True, ["events"], [])


def test_without_patterns_only_what_is_wanted_is_told(host: Host, survey: Survey) -> None:
    host.systemd.add(OTHER, "active", enabled=True)
    assert only(survey())["name"] == "a"


def test_files_that_check_mode_would_write_count_as_written(host: Host, survey: Survey) -> None:
    same = {str(host.own): pending_digests("worker_name: a\n")}
    assert only(survey(check=True, pending=same))["changed"] == []
    written = {
        str(host.own): pending_digests("worker_name: b\n"),
        str(host.log): pending_digests("version: 2\n"),
        str(host.shared): pending_digests(SHARED.replace("global_factor: 1.0", "global_factor: 2.0") + "x: 1\n"),
        str(host.link): {"target": "/opt/releases/2"},
    }
    process = only(survey(check=True, pending=written))
    reloaded = [f"{host.shared}: caches", str(host.log)]
    assert set(process["changed"]) == {str(host.own), str(host.link), f"{host.shared}: x", *reloaded}
    assert set(process["reloadable"]) == set(reloaded)


def test_secrets_that_are_to_change_are_told_and_count_in_check_mode(host: Host, survey: Survey) -> None:
    key = host.own.with_name("signing.key")
    key.write_text("ed25519 a_old " + "A" * 43 + "\n")
    host.own.write_text("old\n")
    host.note()
    same = {str(host.own): hashlib.sha256(b"old").hexdigest(), str(key.with_name("missing")): "0"}
    told = survey(check=True, secrets=same, signing_key=str(key))
    assert (told["other_secrets"], told["public_key"], only(told)["changed"]) == ([], None, [])
    others = {str(host.own): hashlib.sha256(b"new").hexdigest(), str(key): hashlib.sha256(b"new").hexdigest()}
    told = survey(check=True, secrets=others, signing_key=str(key))
    assert told["other_secrets"] == sorted(others)
    assert told["public_key"] == {"id": "ed25519:a_old", "key": "O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik"}
    assert only(told)["changed"] == [str(host.own)]
    assert only(survey(secrets=others))["changed"] == [], "a run that is no check writes them first"
    assert "AAAA" not in json.dumps(told)


def test_the_links_that_a_process_was_started_with_are_returned(host: Host, survey: Survey) -> None:
    host.link.unlink()
    host.link.symlink_to("/opt/releases/2")
    process = only(survey())
    assert process["links"] == {str(host.link): "/opt/releases/1"}
    (host.notes / "a").unlink()
    assert only(survey())["links"] == {}


def starting(unit: Unit) -> Callable[[str, Any], None]:
    """Returns a hook: the start of a unit that is under way ends as soon as somebody waits for it."""

    def hook(verb: str, units: Any) -> None:
        if verb == "start" and UNIT in units:
            unit.active = "active"

    return hook


def test_a_start_under_way_is_waited_for_and_its_note_counts(host: Host, survey: Survey) -> None:
    host.unit.active = "activating"
    host.systemd.on_change = starting(host.unit)
    process = only(survey())
    assert (process["active"], process["known"]) == ("active", True)
    assert host.systemd.calls == [["daemon-reload"], ["start", UNIT]]
    assert host.unit.starts == 0, "it is waited for, and not started again"


def test_a_start_under_way_that_fails_is_told_and_is_no_failure_of_the_survey(host: Host, survey: Survey) -> None:
    host.unit.active = "activating"
    host.unit.failing = 1
    process = only(survey())
    assert (process["active"], process["known"]) == ("failed", False)


def test_what_is_not_wanted_is_not_started(host: Host, survey: Survey) -> None:
    left = host.systemd.add(OTHER, "deactivating")
    told = survey(patterns=["matrix-synapse-worker@*.service"])
    assert {entry["name"]: entry["active"] for entry in told["processes"]} == {"a": "active", "b": "deactivating"}
    assert left.starts == 0
    assert host.systemd.calls == [["daemon-reload"]]


@pytest.mark.parametrize(("check", "wait"), [(True, True), (False, False)])
@pytest.mark.parametrize("active", ["activating", "deactivating"])
def test_nothing_is_waited_for_in_check_mode_or_if_told_so(
    host: Host, survey: Survey, check: bool, wait: bool, active: str
) -> None:
    host.unit.active = active
    process = only(survey(check=check, wait=wait))
    assert (process["active"], process["known"]) == (active, False)
    assert host.systemd.calls == []


def test_a_process_that_reloads_is_waited_for_and_keeps_its_note_meanwhile(host: Host, survey: Survey) -> None:
    host.unit.active = "reloading"
    process = only(survey(wait=False))
    assert (process["active"], process["known"]) == ("reloading", True)
    host.systemd.on_change = starting(host.unit)
    assert only(survey())["active"] == "active"


@pytest.mark.parametrize(
    ("active", "enabled", "reached"),
    [("active", True, True), ("active", False, False), ("inactive", True, False), ("inactive", False, False)],
)
def test_the_target_is_reached_if_it_is_active_and_enabled(
    host: Host, survey: Survey, active: str, enabled: bool, reached: bool
) -> None:
    host.systemd.add(TARGET, active, enabled=enabled)
    told = survey(target=TARGET)
    assert told["target_reached"] is reached
    assert only(told)["name"] == "a"


def test_a_target_that_is_not_there_is_not_reached_and_none_is_as_good_as_reached(survey: Survey) -> None:
    assert survey(target=TARGET)["target_reached"] is False
    assert survey()["target_reached"] is True


def test_the_record_is_returned_if_it_is_there(survey: Survey, tmp_path: Path) -> None:
    record = tmp_path / "fleet.json"
    assert survey(record=str(record))["record"] is None
    record.write_text(json.dumps({"server_name": "example.org"}))
    assert survey(record=str(record))["record"] == {"server_name": "example.org"}
    assert survey()["record"] is None


@pytest.mark.parametrize(
    ("unit", "name"),
    [("matrix-synapse-worker@a-b-1.service", "a-b-1"), ("matrix-synapse.service", "main"), ("matrix-synapse", "main")],
)
def test_units_are_named_as_their_instances(unit: str, name: str) -> None:
    assert unit_survey.instance_of(unit) == name
