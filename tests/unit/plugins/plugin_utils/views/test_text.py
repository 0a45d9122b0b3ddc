# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents are printed as they are read, and as Ansible would print them."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from ansible.plugins.filter.core import to_nice_json, to_nice_yaml
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.config import shared_config
from ansible_collections.baremetal.synapse.plugins.plugin_utils.views.text import as_json, as_yaml

from tests.unit.fleets import example

DOCUMENTS: list[dict[str, Any]] = [
    shared_config(example("full")),
    {
        "b": {"long": "word " * 60, "colon": "a: b", "number": "1", "yes": "yes"},
        "a": ["ü", "\u2028", None, True, "x\ny\n"],
    },
    {},
]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_yaml_is_what_ansible_prints_and_says_the_same(document: dict[str, Any]) -> None:
    assert as_yaml(document) == to_nice_yaml(document, width=160)
    assert yaml.safe_load(as_yaml(document)) == document


@pytest.mark.parametrize("document", DOCUMENTS)
def test_json_is_what_ansible_prints_and_says_the_same(document: dict[str, Any]) -> None:
    assert as_json(document) == to_nice_json(document, indent=1) + "\n"
    assert json.loads(as_json(document)) == document
