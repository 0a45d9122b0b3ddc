# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's half of file_set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.baremetal.synapse.plugins.plugin_utils.controller.file_sets import check_modes, paths, removals
from ansible_collections.baremetal.synapse.plugins.plugin_utils.controller.templates import Templates


class Finder:
    """What an action gives to its templates: a loader, a templar, and where templates are."""

    def __init__(self, folder: Path) -> None:
        self._loader = DataLoader()
        self._templar = Templar(loader=self._loader)
        self._folder = folder

    def _find_needle(self, _kind: str, name: str) -> str:
        return str(self._folder / name)


def rendered(folder: Path, text: str, for_each: list[dict[str, Any]] | None = None, **entry: Any) -> list[str]:
    """Returns the texts of one entry with this template."""
    (folder / "template.j2").write_text(text)
    whole = {"path": "/etc/a", "content": None, "source": None, "template": "template.j2", "vars": None, **entry}
    return Templates(Finder(folder), {"server": "example.org"}, for_each).contents(whole)


def test_an_entry_without_for_each_is_one_file() -> None:
    assert paths({"path": "/etc/{name}"}, None) == ["/etc/{name}"]


def test_an_entry_with_for_each_is_one_file_for_each() -> None:
    assert paths({"path": "/etc/{name}.yaml"}, [{"name": "a"}, {"name": "b"}]) == ["/etc/a.yaml", "/etc/b.yaml"]


def test_an_empty_for_each_is_no_file(tmp_path: Path) -> None:
    assert paths({"path": "/etc/{name}.yaml"}, []) == []
    assert rendered(tmp_path, "{{ nothing_of_that_name }}", for_each=[]) == []


def test_a_key_that_the_entries_do_not_have_is_named() -> None:
    with pytest.raises(AnsibleActionFail, match=r"does not fit for_each, whose entries have name: KeyError\('nmae'\)"):
        paths({"path": "/etc/{nmae}.yaml"}, [{"name": "a"}])


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


def test_a_source_is_written_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("{{ no template }}\n\n")
    assert rendered(tmp_path, "", template=None, source="program.py") == ["{{ no template }}\n\n"]


def test_a_template_of_several_files_is_printed_once_unless_they_differ(tmp_path: Path) -> None:
    (tmp_path / "template.j2").write_text("{{ server }} {{ more | default('-') }} {{ range(1000000000) | random }}\n")
    templates = Templates(Finder(tmp_path), {"server": "example.org"})
    entry = {"path": "/etc/a", "content": None, "source": None, "template": "template.j2", "vars": None}
    first = templates.contents(entry)
    assert templates.contents({**entry, "path": "/etc/b"}) == first
    assert templates.contents({**entry, "vars": {"more": "x"}})[0].startswith("example.org x ")
    assert templates.contents(entry) == first


def test_what_is_removed_takes_its_own_directory_with_it() -> None:
    args = {
        "directories": [{"path": "/etc/systemd/system/a.service.d"}],
        "files": [{"path": "/etc/a"}, {"path": "/etc/systemd/system/a.service.d/b.conf"}],
    }
    assert removals(args) == [
        {"directory": "/etc", "pattern": "a", "keep": []},
        {"directory": "/etc/systemd/system", "pattern": "a.service.d/b.conf", "keep": []},
    ]


def test_a_mode_without_quotes_is_refused() -> None:
    with pytest.raises(AnsibleActionFail, match="/etc/a: mode 420 is a number"):
        check_modes({"files": [{"path": "/etc/a", "mode": 420}]})
    with pytest.raises(AnsibleActionFail, match="/etc/d: mode 493 is a number"):
        check_modes({"directories": [{"path": "/etc/d", "mode": 493}]})


def test_a_mode_in_quotes_passes() -> None:
    check_modes({"files": [{"path": "/etc/a", "mode": "0644"}, {"path": "/etc/b"}], "directories": []})
