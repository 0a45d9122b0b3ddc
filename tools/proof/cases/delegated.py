# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests of Matrix Authentication Service, and those that are there only with it."""

from __future__ import annotations

from tools.proof.cases.case import Case

MAS = "/_synapse/mas"
WHO = "mas"
NAME = {"localpart": "{new_user_name}"}
DEVICE = {**NAME, "device_id": "PROOF"}

CASES = (
    Case("POST", f"{MAS}/provision_user", {"localpart": "{new}", "set_displayname": "proof"}, who=WHO, status=201),
    Case("POST", f"{MAS}/provision_user", {**NAME, "set_emails": ["{new}@example.org"]}, who=WHO),
    Case("GET", f"{MAS}/query_user?localpart={{user_name}}", who=WHO),
    Case("GET", f"{MAS}/is_localpart_available?localpart={{new}}", who=WHO),
    Case("POST", f"{MAS}/set_displayname", {**NAME, "displayname": "proof"}, who=WHO),
    Case("POST", f"{MAS}/unset_displayname", NAME, who=WHO),
    Case("POST", f"{MAS}/allow_cross_signing_reset", NAME, who=WHO),
    Case("POST", f"{MAS}/upsert_device", {**NAME, "device_id": "{new}"}, who=WHO, status=201),
    Case("POST", f"{MAS}/update_device_display_name", {**DEVICE, "display_name": "proof"}, who=WHO),
    Case("POST", f"{MAS}/sync_devices", {**NAME, "devices": ["PROOF", "{new}"]}, who=WHO),
    Case("POST", f"{MAS}/delete_device", DEVICE, who=WHO),
    Case("POST", f"{MAS}/delete_user", {**NAME, "erase": True}, who=WHO),
    Case("POST", f"{MAS}/reactivate_user", NAME, who=WHO),
    Case("GET", "/_matrix/client/v1/auth_metadata", who="nobody"),
    Case("GET", "/_matrix/client/unstable/org.matrix.msc2965/auth_metadata", who="nobody"),
)
