# SPDX-License-Identifier: GPL-3.0-or-later
"""Accounts, logins, profiles, devices, and what belongs to a user."""

from __future__ import annotations

import time
from typing import Any

from tools.matrix import encoded
from tools.proof.cases.case import Case
from tools.proof.world import PASSWORD, C, Exchange

UNSTABLE = "/_matrix/client/unstable"
V1 = "/_matrix/client/v1"
ME = f"{C}/user/{{user}}"
LOGGED_IN = ("access_token", "device_id")
_THREEPID = """
INSERT INTO threepid_validation_session
  (session_id, medium, address, client_secret, last_send_attempt, validated_at)
  VALUES ('{0}', 'email', '{0}@example.org', '{0}', 1, {1});
"""
_TOKEN = "INSERT INTO registration_tokens (token, pending, completed) VALUES ('{0}', 0, 0);"  # noqa: S105


def _account_data(exchange: Exchange) -> None:
    user = exchange.get("new_user")
    exchange.world.call("PUT", f"{C}/user/{encoded(user.user_id)}/account_data/org.proof", {"a": 1}, user=user)


def _room_account_data(exchange: Exchange) -> None:
    user, room = exchange.get("new_user"), exchange.world.once("room")
    exchange.world.join(room, user)
    path = f"{C}/user/{encoded(user.user_id)}/rooms/{encoded(room)}/account_data/org.proof"
    exchange.world.call("PUT", path, {"a": 1}, user=user)


def _tag(exchange: Exchange) -> None:
    alice, room = exchange.world.once("alice"), exchange.world.once("room")
    path = f"{C}/user/{encoded(alice.user_id)}/rooms/{encoded(room)}/tags/u.{exchange.get('new')}"
    exchange.world.call("PUT", path, {"order": 0.5}, user=alice)


def _rule(exchange: Exchange) -> None:
    path = f"{C}/pushrules/global/override/{exchange.get('new')}"
    rule = {"conditions": [], "actions": ["notify"]}
    exchange.world.call("PUT", path, rule, user=exchange.world.once("alice"), at="push_rules")


def _threepid(exchange: Exchange) -> None:
    """An address whose owner has confirmed it, as a link in an e-mail does."""
    exchange.world.sql(_THREEPID.format(exchange.get("new"), int(time.time() * 1000)))


def _registration_token(exchange: Exchange) -> None:
    exchange.world.sql(_TOKEN.format(exchange.get("new")))


def _field(exchange: Exchange) -> None:
    user = exchange.get("new_user")
    path = f"{C}/profile/{encoded(user.user_id)}"
    exchange.world.call("PUT", f"{path}/displayname", {"displayname": "proof"}, user=user)
    exchange.world.call("PUT", f"{path}/m.tz", {"m.tz": "Europe/London"}, user=user)


def _password(exchange: Exchange) -> dict[str, Any]:
    user = exchange.get("new_user")
    return {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": user.user_id},
        "password": PASSWORD,
        "device_id": "PROOF",
    }


NEW = f"{C}/profile/{{new_user_id}}"

CASES = (
    Case("GET", "/_matrix/client/versions", who="nobody"),
    Case("GET", "/_matrix/client/versions"),
    Case("GET", f"{C}/capabilities"),
    Case("GET", f"{C}/account/whoami"),
    Case("GET", f"{C}/account/3pid"),
    Case(
        "POST", f"{C}/account/3pid", {"three_pid_creds": {"client_secret": "{new}", "sid": "{new}"}}, before=_threepid
    ),
    Case("POST", f"{C}/account/deactivate", {"erase": True}, who="new_user"),
    Case("GET", f"{C}/voip/turnServer", volatile=("username", "password")),
    Case("GET", f"{C}/notifications?limit=2"),
    Case("POST", f"{C}/search", {"search_categories": {"room_events": {"search_term": "proof"}}}, volatile=("rank",)),
    Case("POST", f"{C}/user_directory/search", {"search_term": "{bob_id}"}),
    Case("POST", f"{UNSTABLE}/org.matrix.msc3720/account_status", {"user_ids": ["{bob_id}"]}),
    Case("GET", f"{UNSTABLE}/org.matrix.msc4143/rtc/transports"),
    Case("GET", f"{UNSTABLE}/org.matrix.msc1763/retention/configuration"),
    Case(
        "POST",
        f"{V1}/appservice/molecule/ping",
        {"transaction_id": "{new}"},
        who="appservice",
        volatile=("duration_ms",),
    ),
    # Logins.
    Case("GET", f"{C}/login", who="nobody"),
    Case("POST", f"{C}/login", build=_password, who="nobody", volatile=LOGGED_IN),
    Case(
        "POST",
        f"{C}/register",
        {"username": "{new}", "password": PASSWORD},
        who="nobody",
        volatile=LOGGED_IN,
    ),
    Case("POST", f"{C}/register?kind=guest", {}, who="nobody", status=403),
    Case(
        "POST",
        f"{C}/register",
        {"type": "m.login.application_service", "username": "{new}"},
        who="appservice",
        volatile=LOGGED_IN,
    ),
    Case("GET", f"{C}/register/available?username={{new}}", who="nobody"),
    Case("GET", f"{C}/password_policy", who="nobody"),
    Case(
        "GET",
        f"{V1}/register/m.login.registration_token/validity?token={{new}}",
        who="nobody",
        before=_registration_token,
    ),
    # Profiles.
    Case("GET", f"{C}/profile/{{bob_id}}"),
    *(
        Case(method, f"{NEW}/{name}", body, who="new_user", before=_field if method != "PUT" else None)
        for name, value in (("displayname", "proof"), ("avatar_url", "mxc://example.org/x"), ("m.tz", "Europe/London"))
        for method, body in (("PUT", {name: value}), ("GET", None), ("DELETE", None))
        if (method, name) != ("GET", "avatar_url")
    ),
    Case("GET", f"{C}/profile/{{bob_id}}/avatar_url"),
    *(
        Case(
            method,
            f"{UNSTABLE}/uk.tcpip.msc4133/profile/{{new_user_id}}/m.tz",
            body,
            who="new_user",
            before=_field if method != "PUT" else None,
        )
        for method, body in (("PUT", {"m.tz": "Europe/London"}), ("GET", None), ("DELETE", None))
    ),
    # Presence.
    Case("PUT", f"{C}/presence/{{user}}/status", {"presence": "online", "status_msg": "proof"}),
    Case("GET", f"{C}/presence/{{user}}/status", volatile=("presence", "status_msg", "currently_active")),
    # Account data and tags.
    Case("PUT", f"{ME}/account_data/org.proof", {"a": 1}),
    Case("GET", f"{C}/user/{{new_user_id}}/account_data/org.proof", who="new_user", before=_account_data),
    Case("PUT", f"{ME}/rooms/{{room}}/account_data/org.proof", {"a": 1}),
    Case(
        "GET",
        f"{C}/user/{{new_user_id}}/rooms/{{room}}/account_data/org.proof",
        who="new_user",
        before=_room_account_data,
    ),
    Case(
        "DELETE",
        f"{UNSTABLE}/org.matrix.msc3391/user/{{new_user_id}}/account_data/org.proof",
        who="new_user",
        before=_account_data,
    ),
    Case(
        "DELETE",
        f"{UNSTABLE}/org.matrix.msc3391/user/{{new_user_id}}/rooms/{{room}}/account_data/org.proof",
        who="new_user",
        before=_room_account_data,
    ),
    Case("PUT", f"{ME}/rooms/{{room}}/tags/u.{{new}}", {"order": 0.5}),
    Case("DELETE", f"{ME}/rooms/{{room}}/tags/u.{{new}}", before=_tag),
    Case("GET", f"{C}/user/{{bob_id}}/rooms/{{room}}/tags", who="bob"),
    Case("POST", f"{ME}/filter", {"room": {"timeline": {"limit": 7}}}),
    Case("GET", f"{ME}/filter/{{filter}}"),
    # Push rules.
    Case("GET", f"{C}/pushrules/", who="bob"),
    Case("GET", f"{C}/pushrules/global/override/.m.rule.master/enabled", who="bob"),
    Case("PUT", f"{C}/pushrules/global/override/{{new}}", {"conditions": [], "actions": ["notify"]}),
    Case("PUT", f"{C}/pushrules/global/override/{{new}}/enabled", {"enabled": False}, before=_rule),
    Case("DELETE", f"{C}/pushrules/global/override/{{new}}", before=_rule),
    # Devices.
    Case("GET", f"{C}/devices", who="new_user", volatile=("last_seen_ts", "last_seen_ip")),
    Case("GET", f"{C}/devices/{{new_device}}", who="new_user", volatile=("last_seen_ts", "last_seen_ip")),
    Case("PUT", f"{C}/devices/{{new_device}}", {"display_name": "proof"}, who="new_user"),
    Case("DELETE", f"{C}/devices/{{new_device}}", {}, who="new_user"),
    Case("POST", f"{C}/delete_devices", {"devices": ["{new_device}"]}, who="new_user"),
)
