# SPDX-License-Identifier: GPL-3.0-or-later
"""Inventories are loaded as Ansible loads them."""

from __future__ import annotations

from tests.unit.filters import ROOT
from tools.inventory import load_inputs


def test_group_vars_have_the_precedence_that_ansible_gives_them() -> None:
    inputs = load_inputs(ROOT / "inventories" / "single_host")
    assert inputs["hosts"]["synapse1"]["generic_workers"]["sync"]["count"] == 2
    assert inputs["hosts"]["synapse1"]["synapse_server_name"] == "example.org"
