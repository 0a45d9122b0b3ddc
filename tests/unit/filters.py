# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters of the collection, as Ansible loads them."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

Filter = Callable[..., Any]


def filter_names() -> list[str]:
    """Returns the names of all filters of the collection, from their files."""
    return sorted(path.stem for path in (ROOT / "plugins" / "filter").glob("[!_]*.py"))


def load_filter(name: str) -> Filter:
    """Returns one filter, as Ansible would load it."""
    module = importlib.import_module(f"ansible_collections.baremetal.synapse.plugins.filter.{name}")
    function: Filter = module.FilterModule().filters()[name]
    return function
