# SPDX-License-Identifier: GPL-3.0-or-later
"""The calls to systemctl that bring units to where they should be."""

from __future__ import annotations

import json

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args
from ansible_collections.baremetal.synapse.plugins.modules import unit_states

SHOW = "Id={unit}\nActiveState={active}\nUnitFileState=enabled\nNeedDaemonReload={unread}\n"


class Host:
    """A systemd with one unit, which comes up when it is started."""

    def __init__(self, active: str, unread: str = "no") -> None:
        self.active = active
        self.unread = unread
        self.calls: list[str] = []

    def run_command(self, args: list[str]) -> tuple[int, str, str]:
        verb = args[1]
        if verb == "show":
            return 0, SHOW.format(unit=args[-1], active=self.active, unread=self.unread), ""
        self.calls.append(" ".join(args[1:]))
        if verb in ("start", "restart"):
            self.active = "active"
        if verb == "daemon-reload":
            self.unread = "no"
        return 0, "", ""


def run(
    host: Host, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], check_mode: bool = False
) -> list[str]:
    monkeypatch.setattr(AnsibleModule, "get_bin_path", lambda *_args, **_other: "systemctl")
    monkeypatch.setattr(AnsibleModule, "run_command", lambda _module, args, **_other: host.run_command(args))
    with patch_module_args({"units": {"a.service": "a"}, "_ansible_check_mode": check_mode}), pytest.raises(SystemExit):
        unit_states.main()
    result = json.loads(capsys.readouterr().out)
    return [f"{step['action']} {step['unit']}" for step in result["steps"]]


def test_a_unit_that_is_down_is_started(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    host = Host("inactive")
    assert run(host, monkeypatch, capsys) == ["start a.service"]
    assert host.calls == ["daemon-reload", "reset-failed a.service", "start a.service"]


def test_a_start_that_is_under_way_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    host = Host("activating")
    assert run(host, monkeypatch, capsys) == []
    assert host.calls == ["daemon-reload", "start a.service"]


def test_a_start_that_is_under_way_with_an_older_unit_file_is_followed_by_a_restart(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    host = Host("activating", unread="yes")
    assert run(host, monkeypatch, capsys) == ["restart a.service"]
    assert [call.split()[0] for call in host.calls] == [
        "daemon-reload",
        "start",
        "daemon-reload",
        "reset-failed",
        "restart",
    ]


def test_check_mode_waits_for_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    host = Host("activating")
    assert run(host, monkeypatch, capsys, check_mode=True) == ["start a.service"]
    assert host.calls == []


def test_a_running_unit_with_an_older_unit_file_is_restarted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    host = Host("active", unread="yes")
    assert run(host, monkeypatch, capsys) == ["restart a.service"]
    assert run(host, monkeypatch, capsys) == []
