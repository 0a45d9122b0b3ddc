# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's half of file_set."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.baremetal.synapse.plugins.action.file_set import check_modes, expand


def test_an_entry_without_for_each_is_one_file() -> None:
    assert list(expand({"path": "/etc/{name}", "for_each": None, "vars": {"a": 1}})) == [("/etc/{name}", {"a": 1})]


def test_an_entry_with_for_each_is_one_file_for_each() -> None:
    entry = {"path": "/etc/{name}.yaml", "for_each": [{"name": "a"}, {"name": "b"}], "vars": {"x": 1}}
    assert list(expand(entry)) == [
        ("/etc/a.yaml", {"x": 1, "item": {"name": "a"}}),
        ("/etc/b.yaml", {"x": 1, "item": {"name": "b"}}),
    ]


def test_an_empty_for_each_is_no_file() -> None:
    assert list(expand({"path": "/etc/{name}.yaml", "for_each": [], "vars": None})) == []


def test_a_key_that_the_entries_do_not_have_is_named() -> None:
    with pytest.raises(AnsibleActionFail, match=r"does not fit the for_each entry .*'nmae'"):
        list(expand({"path": "/etc/{nmae}.yaml", "for_each": [{"name": "a"}], "vars": None}))


def test_a_mode_without_quotes_is_refused() -> None:
    with pytest.raises(AnsibleActionFail, match="/etc/a: mode 420 is a number"):
        check_modes({"files": [{"path": "/etc/a", "mode": 420}]})
    with pytest.raises(AnsibleActionFail, match="/etc/d: mode 493 is a number"):
        check_modes({"directories": [{"path": "/etc/d", "mode": 493}]})


def test_a_mode_in_quotes_passes() -> None:
    check_modes({"files": [{"path": "/etc/a", "mode": "0644"}, {"path": "/etc/b"}], "directories": []})
