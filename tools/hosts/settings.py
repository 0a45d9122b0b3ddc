# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths and names that the other modules share."""

from __future__ import annotations

import ipaddress
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent.parent
CACHE = PROJECT / ".cache" / "hosts"
IMAGES = CACHE / "images"
LAYERS = CACHE / "layers"
TREES = CACHE / "trees"
TRASH = CACHE / "trash"
LOGS = CACHE / "logs"
SSH = CACHE / "ssh"
UV_CACHE = CACHE / "uv"
PIP_CACHE = CACHE / "pip"

# Every name that is global to the machine starts with this, so that teardown cannot hit anything foreign.
PREFIX = "fleet"
# Which hosts exist is a fact of the machine, not of a checkout: addresses are shared by all checkouts.
STATE = Path("/run") / PREFIX

NETWORK = ipaddress.IPv4Network("10.88.0.0/16")
GATEWAY = ipaddress.IPv4Address("10.88.0.1")

SUITES = ("trixie", "bookworm")


class HostsError(Exception):
    """Something the user can read and fix; shown as one sentence, without a traceback."""
