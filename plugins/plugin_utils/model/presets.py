# SPDX-License-Identifier: GPL-3.0-or-later
"""Presets: ready-made values of the three worker variables, per host of the group."""

from __future__ import annotations

from typing import Any

from .duties import BACKGROUND, DUTIES, GENERIC, MEDIA

Pools = dict[str, dict[str, Any]]

_STREAMS = ["typing", "to_device", "account_data", "presence", "push_rules", "receipts"]
_READERS = ["client_reader", "federation_reader", "federation_inbound", "room", "login", "sliding_sync"]
_JOBS = ["background_tasks", "user_directory", "appservices"]
_MANY_IN_FULL = 2
# The writers of media quarantine are media workers.
_BESIDE = {"media": "quarantined_media_changes"}


def _full() -> dict[str, Pools]:
    """Every duty in a pool of its own, two workers of everything that may be many."""
    pools: dict[str, Pools] = {GENERIC: {}, MEDIA: {}, BACKGROUND: {}}
    for duty in DUTIES.values():
        if duty.name in _BESIDE.values():
            continue
        pool: dict[str, Any] = {"count": 1 if duty.single else _MANY_IN_FULL}
        if duty.name in _BESIDE:
            pool["duties"] = [duty.name, _BESIDE[duty.name]]
        pools[duty.groups[-1]][duty.name] = pool
    return pools


DEFAULT_PRESET = "monolith"
PRESETS: dict[str, dict[str, Pools]] = {
    "monolith": {GENERIC: {}, MEDIA: {}, BACKGROUND: {}},
    "small": {
        GENERIC: {
            "reader": {"count": 1, "duties": _READERS},
            "sync": {"count": 1},
            "writer": {"count": 1, "duties": [*_STREAMS, "device_lists"]},
        },
        MEDIA: {"media": {"count": 1}},
        BACKGROUND: {
            "background": {"count": 1, "duties": _JOBS},
            "pusher": {"count": 1},
            "federation_sender": {"count": 1},
        },
    },
    "medium": {
        GENERIC: {
            "reader": {"count": 2, "duties": ["client_reader", "login", "room"]},
            "sync": {"count": 2, "duties": ["sync", "sliding_sync"]},
            "initial_sync": {"count": 1},
            "federation": {"count": 2, "duties": ["federation_reader", "federation_inbound"]},
            "events": {"count": 2},
            "writer": {"count": 1, "duties": _STREAMS},
            "device_lists": {"count": 1},
        },
        MEDIA: {"media": {"count": 1}},
        BACKGROUND: {
            "background": {"count": 1, "duties": _JOBS},
            "pusher": {"count": 1},
            "federation_sender": {"count": 2},
        },
    },
    "large": {
        GENERIC: {
            "client_reader": {"count": 2},
            "login": {"count": 1},
            "room": {"count": 4},
            "sync": {"count": 4, "duties": ["sync", "sliding_sync"]},
            "initial_sync": {"count": 2},
            "federation_reader": {"count": 2},
            "federation_inbound": {"count": 4},
            "events": {"count": 4},
            "typing": {"count": 1},
            "to_device": {"count": 1},
            "account_data": {"count": 1, "duties": ["account_data", "push_rules"]},
            "presence": {"count": 1},
            "receipts": {"count": 2},
            "device_lists": {"count": 2},
        },
        MEDIA: {"media": {"count": 2}},
        BACKGROUND: {
            "background_tasks": {"count": 1},
            "user_directory": {"count": 1},
            "appservices": {"count": 1},
            "pusher": {"count": 2},
            "federation_sender": {"count": 4},
        },
    },
    "full": _full(),
}
