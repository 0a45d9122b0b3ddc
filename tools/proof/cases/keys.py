# SPDX-License-Identifier: GPL-3.0-or-later
"""End-to-end encryption: keys of devices and users, backups, messages to devices."""

from __future__ import annotations

from typing import Any

from tools.matrix import encoded
from tools.proof.cases.case import Case
from tools.proof.signing import Signer
from tools.proof.world import C, Exchange, User

UNSTABLE = "/_matrix/client/unstable"
DEHYDRATED = f"{UNSTABLE}/org.matrix.msc3814.v1/dehydrated_device"
BACKUP = {"algorithm": "m.megolm_backup.v1.curve25519-aes-sha2", "auth_data": {"public_key": "proof", "signatures": {}}}
SESSION = {"first_message_index": 1, "forwarded_count": 0, "is_verified": False, "session_data": {"a": "b"}}
ALGORITHM = "signed_curve25519"


def device_keys(user: User, device: str) -> dict[str, Any]:
    """Returns the keys of a device, signed by itself."""
    signer = Signer(user.user_id, f"ed25519:{device}")
    return signer.sign(
        {
            "user_id": user.user_id,
            "device_id": device,
            "algorithms": ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"],
            "keys": {f"curve25519:{device}": signer.public_key, f"ed25519:{device}": signer.public_key},
        }
    )


def _upload(exchange: Exchange) -> dict[str, Any]:
    user = exchange.get("new_user")
    one_time = {f"{ALGORITHM}:AAAA": {"key": "proof", "signatures": {}}}
    return {"device_keys": device_keys(user, user.device_id), "one_time_keys": one_time}


def uploaded(exchange: Exchange) -> None:
    """Gives the new user's device keys."""
    body = _upload(exchange)
    exchange.world.call("POST", f"{C}/keys/upload", body, user=exchange.get("new_user"))


def _cross_signing(exchange: Exchange) -> dict[str, Any]:
    """Returns the three keys of a user; what signs with them is kept."""
    user = exchange.get("new_user").user_id
    master, others = Signer(user, ""), {name: Signer(user, "") for name in ("self_signing", "user_signing")}
    for signer in (master, *others.values()):
        signer.key_id = f"ed25519:{signer.public_key}"
    exchange.kept = {**(exchange.kept or {}), **others}

    def key(usage: str, signer: Signer) -> dict[str, Any]:
        return {"user_id": user, "usage": [usage], "keys": {signer.key_id: signer.public_key}}

    return {
        "master_key": key("master", master),
        **{f"{name}_key": master.sign(key(name, signer)) for name, signer in others.items()},
    }


def _cross_signed(exchange: Exchange) -> None:
    """The new user has keys for the device and for the user."""
    user = exchange.get("new_user")
    exchange.kept = _upload(exchange)
    exchange.world.call("POST", f"{C}/keys/upload", exchange.kept, user=user)
    exchange.world.call_with_password("POST", f"{C}/keys/device_signing/upload", _cross_signing(exchange), user)


def _signature(exchange: Exchange) -> dict[str, Any]:
    user = exchange.get("new_user")
    keys = exchange.kept["device_keys"]
    return {user.user_id: {user.device_id: exchange.kept["self_signing"].sign(keys)}}


def claim(exchange: Exchange) -> dict[str, Any]:
    """The body that asks for one key of the new user."""
    user = exchange.get("new_user")
    return {"one_time_keys": {user.user_id: {user.device_id: ALGORITHM}}}


def claim_several(exchange: Exchange) -> dict[str, Any]:
    """The body that asks for several keys of a kind."""
    user = exchange.get("new_user")
    return {"one_time_keys": {user.user_id: {user.device_id: {ALGORITHM: 1}}}}


def backed_up(exchange: Exchange) -> None:
    """The new user has a backup with one key in it."""
    user, room = exchange.get("new_user"), encoded(exchange.world.once("room"))
    version = exchange.world.call("POST", f"{C}/room_keys/version", BACKUP, user=user)["version"]
    exchange.names["new_version"] = version
    exchange.world.call("PUT", f"{C}/room_keys/keys/{room}/s?version={version}", SESSION, user=user)


def _dehydrated(exchange: Exchange) -> dict[str, Any]:
    return {
        "device_id": exchange.get("new"),
        "device_data": {"algorithm": "proof", "account": "proof"},
        "initial_device_display_name": "proof",
        "device_keys": device_keys(exchange.get("new_user"), exchange.get("new")),
    }


def _has_dehydrated(exchange: Exchange) -> None:
    exchange.world.call("PUT", DEHYDRATED, _dehydrated(exchange), user=exchange.get("new_user"))


def _dehydrated_with_message(exchange: Exchange) -> None:
    _has_dehydrated(exchange)
    user = exchange.get("new_user")
    messages = {user.user_id: {exchange.get("new"): {"a": 1}}}
    path = f"{C}/sendToDevice/org.proof/{exchange.get('new2')}"
    exchange.world.call("PUT", path, {"messages": messages}, user=user, at="to_device")


KEYS = f"{C}/room_keys/keys"
VERSION = "version={new_version}"

CASES = (
    Case("POST", f"{C}/keys/upload", build=_upload, who="new_user"),
    Case("POST", f"{C}/keys/query", {"device_keys": {"{new_user_id}": []}}, before=uploaded, volatile=("device_keys",)),
    Case("POST", f"{C}/keys/claim", build=claim, before=uploaded),
    Case("POST", f"{UNSTABLE}/org.matrix.msc3983/keys/claim", build=claim_several, before=uploaded),
    Case("GET", f"{C}/keys/changes?from={{since}}&to={{since}}"),
    Case("POST", f"{C}/keys/device_signing/upload", build=_cross_signing, who="new_user"),
    Case("POST", f"{C}/keys/signatures/upload", build=_signature, who="new_user", before=_cross_signed),
    Case("PUT", f"{C}/sendToDevice/org.proof/{{new}}", {"messages": {"{bob_id}": {"*": {"a": 1}}}}),
    # Backups.
    Case("POST", f"{C}/room_keys/version", BACKUP, who="new_user"),
    Case("GET", f"{C}/room_keys/version", who="new_user", before=backed_up, volatile=("etag",)),
    Case("GET", f"{C}/room_keys/version/{{new_version}}", who="new_user", before=backed_up, volatile=("etag",)),
    Case(
        "PUT",
        f"{C}/room_keys/version/{{new_version}}",
        {**BACKUP, "version": "{new_version}"},
        who="new_user",
        before=backed_up,
    ),
    Case("DELETE", f"{C}/room_keys/version/{{new_version}}", who="new_user", before=backed_up),
    Case("GET", f"{KEYS}?{VERSION}", who="new_user", before=backed_up),
    Case("GET", f"{KEYS}/{{room}}/s?{VERSION}", who="new_user", before=backed_up),
    Case(
        "PUT",
        f"{KEYS}?{VERSION}",
        {"rooms": {"{room}": {"sessions": {"t": SESSION}}}},
        who="new_user",
        before=backed_up,
    ),
    Case("PUT", f"{KEYS}/{{room}}/t?{VERSION}", SESSION, who="new_user", before=backed_up),
    Case("DELETE", f"{KEYS}?{VERSION}", who="new_user", before=backed_up),
    Case("DELETE", f"{KEYS}/{{room}}/s?{VERSION}", who="new_user", before=backed_up),
    # Devices that wait to be woken.
    Case("PUT", DEHYDRATED, build=_dehydrated, who="new_user"),
    Case("GET", DEHYDRATED, who="new_user", before=_has_dehydrated),
    Case("DELETE", DEHYDRATED, who="new_user", before=_has_dehydrated),
    Case("POST", f"{DEHYDRATED}/{{new}}/events", {}, who="new_user", before=_dehydrated_with_message),
    Case("GET", f"{DEHYDRATED}/{{new}}/events", who="new_user", before=_dehydrated_with_message),
)
