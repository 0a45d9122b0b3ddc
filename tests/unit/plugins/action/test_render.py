# SPDX-License-Identifier: GPL-3.0-or-later
"""In a run that renders, the action plugins write a tree and never reach for a host."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible import constants as C  # noqa: N812  # its name everywhere in Ansible
from ansible.errors import AnsibleActionFail
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.baremetal.synapse.plugins.module_utils._secret_files import PLACEHOLDER, is_placeholder

from tests.unit.fleets import inventory

Act = Callable[..., dict[str, Any]]
FLEET = json.dumps(
    inventory(
        {**dict.fromkeys(("postgres", "redis", "synapse_main", "nginx"), ("a",)), "generic_workers": ("a", "b")},
        {"synapse_server_name": "example.org", "generic_workers": {"sync": {"count": 1}}},
        {"a": {"synapse_address": "10.0.0.1"}, "b": {"synapse_address": "10.0.0.2"}},
    )
)


@pytest.fixture
def act(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Act:
    """Runs an action plugin for the host `a`, which cannot be reached."""
    (tmp_path / "scratch").mkdir()
    (tmp_path / "templates").mkdir()
    monkeypatch.setattr(C, "DEFAULT_LOCAL_TMP", str(tmp_path / "scratch"))

    def run(
        plugin: str, *, check: bool = False, diff: bool = False, render: bool = True, **args: Any
    ) -> dict[str, Any]:
        found = importlib.import_module(f"ansible_collections.baremetal.synapse.plugins.action.{plugin}").ActionModule
        loader = DataLoader()
        loader.set_basedir(str(tmp_path))
        task = SimpleNamespace(
            args=args,
            async_val=0,
            action=f"baremetal.synapse.{plugin}",
            check_mode=check,
            diff=diff,
            get_search_path=lambda: [str(tmp_path)],
        )
        connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir="/nowhere"))
        variables: dict[str, Any] = {"name": "fleet", "inventory_hostname": "a", "hostvars": {"a": {}}}
        if render:
            variables["run_context"] = {"mode": "render", "root": str(tmp_path / "out")}
        action = found(
            task=task,
            connection=connection,
            play_context=SimpleNamespace(),
            loader=loader,
            templar=Templar(loader=loader, variables=variables),
            shared_loader_obj=None,
        )

        def execute(name: str, **_: Any) -> dict[str, Any]:
            return {"executed": name}

        monkeypatch.setattr(action, "_execute_module", execute)
        result: dict[str, Any] = action.run(task_vars=variables)
        return result

    return run


def test_templates_are_rendered_into_the_tree(act: Act, tmp_path: Path) -> None:
    (tmp_path / "templates" / "x.j2").write_text(
        trust_as_template("# {{ ansible_managed }}\n{{ name }} {{ item.id }}\n")
    )
    result = act(
        "file_set",
        files=[{"path": "/etc/{id}.yaml", "template": "x.j2"}],
        for_each=[{"id": "one"}, {"id": "two"}],
        purge=[{"directory": "/etc", "pattern": "*"}],
    )
    assert (tmp_path / "out/a/etc/two.yaml").read_text() == "# Ansible managed\nfleet two\n"
    assert result == {
        "changed": True,
        "changed_paths": ["/etc", "/etc/one.yaml", "/etc/two.yaml"],
        "rewritten_paths": ["/etc", "/etc/one.yaml", "/etc/two.yaml"],
        "removed_paths": [],
        "rendered_to": str(tmp_path / "out/a"),
    }


def test_a_second_run_reports_no_change(act: Act) -> None:
    files = [{"path": "/etc/x", "content": "x"}]
    assert act("file_set", files=files)["changed"] is True
    assert act("file_set", files=files)["changed"] is False


def test_check_mode_writes_nothing_and_tells(act: Act, tmp_path: Path) -> None:
    result = act("file_set", files=[{"path": "/etc/x", "content": "x"}], check=True, diff=True)
    assert result["changed"] is True
    assert result["diff"][-1]["after"] == "x"
    assert not (tmp_path / "out").exists()
    closed = act("render_tree", path=str(tmp_path / "out"), hosts=["a"], step="close", topology=FLEET, check=True)
    assert "a:/etc/matrix-synapse/secrets/signing.key" in closed["changed_paths"]
    assert not (tmp_path / "out").exists()


def test_a_problem_fails_the_task(act: Act) -> None:
    with pytest.raises(AnsibleActionFail, match="is not an absolute, plain path"):
        act("file_set", files=[{"path": "/etc//x", "content": "x"}])


def test_without_the_variable_the_module_is_executed_on_the_host(act: Act, tmp_path: Path) -> None:
    assert act("file_set", render=False)["executed"] == "baremetal.synapse.file_set"
    assert not (tmp_path / "out").exists()


def test_secrets_are_placeholders_of_the_right_form(act: Act, tmp_path: Path) -> None:
    act("file_set", files=[{"path": "/etc/x", "content": "x"}])
    result = act("render_tree", path=str(tmp_path / "out"), hosts=["a", "b"], step="close", topology=FLEET, diff=True)
    folder = tmp_path / "out/a/etc/matrix-synapse/secrets"
    texts = {path.name: path.read_text() for path in folder.iterdir()}
    assert {"prepared": "a:+ secret content of /etc/matrix-synapse/secrets/signing.key\n"} in result["diff"]
    assert not any("PLACEHOLDER" in str(change) for change in result["diff"] if "secret" in str(change))
    assert texts
    assert all("PLACEHOLDER" in text and is_placeholder(text.encode()) for text in texts.values())
    algorithm, version, seed = texts["signing.key"].split()
    assert (algorithm, version[:2], len(seed)) == ("ed25519", "a_", 43)
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    # The run did not come to the other host of Synapse.
    assert not (tmp_path / "out/b").exists()


def test_a_run_begins_with_a_check_and_ends_with_removals(act: Act, tmp_path: Path) -> None:
    root = str(tmp_path / "out")
    opened = act("render_tree", path=root, hosts=["a"], step="open")
    assert opened.pop("assumed_hosts")["a"]["distribution_major_version"] == "13"
    assert opened == {"changed": False, "directory": root, "placeholder": PLACEHOLDER}
    act("file_set", files=[{"path": "/etc/x", "content": "x"}, {"path": "/etc/y", "content": "y"}])
    assert act("render_tree", path=root, hosts=["a"], step="close")["changed_paths"] == ["README"]
    for note in (tmp_path / "scratch").glob("*/*"):
        note.unlink()
    act("file_set", files=[{"path": "/etc/x", "content": "x"}])
    ended = act("render_tree", path=root, hosts=["a"], step="close", diff=True)
    assert ended["removed_paths"] == ["a:/etc/y"]
    assert ended["diff"] == [{"prepared": "- a:/etc/y\n"}]
    assert not (tmp_path / "out/a/etc/y").exists()


def test_a_directory_of_somebody_else_fails_the_task(act: Act, tmp_path: Path) -> None:
    with pytest.raises(AnsibleActionFail, match=r"files that render\.yml did not write"):
        act("render_tree", path=str(tmp_path), hosts=["a"], step="open")
