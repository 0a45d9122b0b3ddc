# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of the admin API that workers serve, and small resources of Synapse's own."""

from __future__ import annotations

from tools.proof.cases.case import Case
from tools.proof.world import C, Exchange

ADMIN = "/_synapse/admin"
_UNSUBSCRIBE = """
import sys, yaml
from synapse.util.macaroons import MacaroonGenerator
server, user = sys.argv[1:]
key = open("/etc/matrix-synapse/secrets/macaroon_secret_key").read().strip()
print(MacaroonGenerator(None, server, key.encode()).generate_delete_pusher_token(user, "proof", "proof"))
"""


def _unsubscribe(exchange: Exchange) -> None:
    """The new user gets mail, with a link that ends it."""
    user, world = exchange.get("new_user"), exchange.world
    pusher = {
        "kind": "http",
        "app_id": "proof",
        "pushkey": "proof",
        "app_display_name": "proof",
        "device_display_name": "proof",
        "lang": "en",
        "data": {"url": "https://push.example.com/_matrix/push/v1/notify"},
    }
    world.call("POST", f"{C}/pushers/set", pusher, user=user)
    exchange.names["new_token"] = world.synapse(_UNSUBSCRIBE, world.server, user.user_id)


CASES = (
    Case("GET", f"{ADMIN}/v1/rooms/{{room}}", who="admin"),
    Case("DELETE", f"{ADMIN}/v1/rooms/{{new_room}}", {"purge": True}, who="admin"),
    Case("GET", f"{ADMIN}/v2/users/{{bob_id}}", who="admin", volatile=("last_seen_ts",)),
    Case("GET", "/_synapse/client/media_upload_limit_exceeded", who="nobody"),
    Case("GET", "/_synapse/client/v1/config/federation_whitelist"),
    *(
        Case(
            method,
            "/_synapse/client/unsubscribe?access_token={new_token}&app_id=proof&pushkey=proof",
            who="nobody",
            before=_unsubscribe,
        )
        for method in ("GET", "POST")
    ),
)
