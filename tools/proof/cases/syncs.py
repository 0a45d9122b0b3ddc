# SPDX-License-Identifier: GPL-3.0-or-later
"""Syncs of all kinds."""

from __future__ import annotations

from tools.proof.cases.case import Case
from tools.proof.world import C

LISTS = {"all": {"ranges": [[0, 5]], "required_state": [["m.room.create", ""]], "timeline_limit": 2}}
# Who is online depends on what the request itself does.
PRESENCE = ("presence",)

CASES = (
    Case("GET", f"{C}/sync?timeout=0", volatile=PRESENCE),
    Case("GET", f"{C}/sync?timeout=0&since={{since}}", volatile=PRESENCE),
    Case("GET", f"{C}/sync?timeout=0&full_state=true&filter={{filter}}", volatile=PRESENCE),
    Case("GET", f"{C}/events?timeout=0", volatile=("chunk",)),
    Case("GET", f"{C}/initialSync?limit=1", volatile=PRESENCE),
    Case(
        "POST",
        "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync?timeout=0",
        {
            "lists": LISTS,
            "extensions": {
                name: {"enabled": True} for name in ("to_device", "e2ee", "account_data", "receipts", "typing")
            },
        },
    ),
)
