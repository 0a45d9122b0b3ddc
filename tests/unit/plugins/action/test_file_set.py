# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's half of file_set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.baremetal.synapse.plugins.action.file_set import Templates, check_modes, paths


class Finder:
    """What an action gives to its templates: a loader, a templar, and where templates are."""

    def __init__(self, folder: Path) -> None:
        self._loader = DataLoader()
        self._templar = Templar(loader=self._loader)
        self._folder = folder

    def _find_needle(self, _kind: str, name: str) -> str:
        return str(self._folder / name)


def rendered(folder: Path, text: str, **entry: Any) -> list[str]:
    """Returns the texts of one entry with this template."""
    (folder / "template.j2").write_text(text)
    whole = {"path": "/etc/a", "content": None, "template": "template.j2", "vars": None, "for_each": None, **entry}
    return Templates(Finder(folder), {"server": "example.org"}).contents(whole)


def test_an_entry_without_for_each_is_one_file() -> None:
    assert paths({"path": "/etc/{name}", "for_each": None}) == ["/etc/{name}"]


def test_an_entry_with_for_each_is_one_file_for_each() -> None:
    entry = {"path": "/etc/{name}.yaml", "for_each": [{"name": "a"}, {"name": "b"}]}
    assert paths(entry) == ["/etc/a.yaml", "/etc/b.yaml"]


def test_an_empty_for_each_is_no_file(tmp_path: Path) -> None:
    assert paths({"path": "/etc/{name}.yaml", "for_each": []}) == []
    assert rendered(tmp_path, "{{ nothing_of_that_name }}", for_each=[]) == []


def test_a_key_that_the_entries_do_not_have_is_named() -> None:
    with pytest.raises(AnsibleActionFail, match=r"does not fit the for_each entry .*'nmae'"):
        paths({"path": "/etc/{nmae}.yaml", "for_each": [{"name": "a"}]})


@pytest.mark.parametrize(
    "text",
    [
        "{{ item.name }} of {{ server }}\n",
        "{{ item.name }}\n\n\n",
        "{{ item.lines }}\n",
        "{{ item.lines }}",
        "\n  {% if item.name == 'a' %}\n  yes\n  {% endif %}\n",
        "{% set mine = item.name %}{{ mine }}{# a comment #}\n# {{ more }} \\n\\1\n",
    ],
)
def test_what_one_loop_prints_is_what_each_would_print_alone(text: str, tmp_path: Path) -> None:
    items = [{"name": "a", "lines": "1\n2\n"}, {"name": "b", "lines": "3"}, {"name": "c", "lines": ""}]
    alone = [rendered(tmp_path, text, vars={"more": "x", "item": item})[0] for item in items]
    assert rendered(tmp_path, text, vars={"more": "x"}, for_each=items) == alone


def test_a_fixed_content_is_that_of_every_file(tmp_path: Path) -> None:
    assert rendered(tmp_path, "", template=None, content="x\n", for_each=[{}, {}]) == ["x\n", "x\n"]
    assert rendered(tmp_path, "", template=None, content="x\n") == ["x\n"]


def test_a_mode_without_quotes_is_refused() -> None:
    with pytest.raises(AnsibleActionFail, match="/etc/a: mode 420 is a number"):
        check_modes({"files": [{"path": "/etc/a", "mode": 420}]})
    with pytest.raises(AnsibleActionFail, match="/etc/d: mode 493 is a number"):
        check_modes({"directories": [{"path": "/etc/d", "mode": 493}]})


def test_a_mode_in_quotes_passes() -> None:
    check_modes({"files": [{"path": "/etc/a", "mode": "0644"}, {"path": "/etc/b"}], "directories": []})
