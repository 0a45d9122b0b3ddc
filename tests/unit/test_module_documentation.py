# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules whose work is done by an action plugin are documented with its arguments.

`ansible-test sanity` compares the others: it calls a module to get its argument spec.
"""

from __future__ import annotations

from typing import Any

import yaml
from ansible_collections.baremetal.synapse.plugins.action.render_tree import ARGUMENT_SPEC
from ansible_collections.baremetal.synapse.plugins.modules import render_tree


def facts(option: dict[str, Any]) -> dict[str, Any]:
    return {key: option[key] for key in ("type", "elements", "required", "choices", "default") if key in option}


def test_the_options_of_render_tree_are_the_arguments_of_its_action_plugin() -> None:
    options = yaml.safe_load(render_tree.DOCUMENTATION)["options"]
    assert {name: facts(option) for name, option in options.items()} == ARGUMENT_SPEC
