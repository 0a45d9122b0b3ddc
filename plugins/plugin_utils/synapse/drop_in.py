# SPDX-License-Identifier: GPL-3.0-or-later
"""The drop-in with which one Synapse process differs from its siblings, as systemd reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..rendering import quoting


def drop_in(unit: Mapping[str, Any], media_store_path: str) -> str:
    """Returns the drop-in of a process, given as an entry of the view worker_units or main_unit."""
    of_unit, of_service = [], []
    if unit["needs_media_store"]:
        of_unit.append(f"RequiresMountsFor={quoting.systemd(media_store_path)}")
        of_service.append(f"ReadWritePaths={quoting.systemd(media_store_path)}")
    if unit["hidden"]:
        of_service.append(f"InaccessiblePaths={' '.join(f'-{path}' for path in unit['hidden'])}")
    of_service += [f"{name}={value}" for name, value in sorted(unit["service"].items())]
    of_service += [
        f"Environment={quoting.systemd(f'{name}={value}')}" for name, value in sorted(unit["environment"].items())
    ]
    title = f"# Ansible managed: what is particular to {unit['name']}"
    lines = [title, *(["[Unit]", *of_unit] if of_unit else []), "[Service]", *of_service]
    return "\n".join(lines) + "\n"
