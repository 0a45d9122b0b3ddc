# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets that the inventory brings along: which there are, and what each must be for the programs that read it."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from .errors import did_you_mean
from .values import Problem

VARIABLE = "synapse_secrets"
"""The variable that has them."""

SIGNING_KEY = "signing_key"
DATABASE_PASSWORD = "database_password"  # noqa: S105  # a name
OLD_KEYS = "old_signing_keys"
"""The option of Synapse with the public parts of earlier signing keys."""

FILES: Mapping[str, str] = {
    SIGNING_KEY: "signing.key",
    "macaroon_secret_key": "macaroon_secret_key",
    "form_secret": "form_secret",
    "registration_shared_secret": "registration_shared_secret",
    "worker_replication_secret": "worker_replication_secret",
    "redis_password": "redis_password",
    DATABASE_PASSWORD: "pgpass",
}
"""The file of each secret, by its name in the variable."""

LONGEST = 1000
"""Redis reads lines of 1024 characters."""

_TEXT = re.compile(r"[!-~]([ -~]*[!-~])?")
_KEY = re.compile(r"ed25519 [A-Za-z0-9_]+ (?P<seed>[A-Za-z0-9+/]{43}=?)")
_PLACEHOLDER = "PLACEHOLDER"


def server_secrets(value: Any) -> Problem | None:
    """Checks secrets of the inventory; the reasons have no part of a secret."""
    for name, secret in value.items():
        if name not in FILES:
            return "a name in it is none of a secret", did_you_mean(name, FILES)
        problem = _signing_key(secret) if name == SIGNING_KEY else _token(secret)
        if problem is not None:
            return f"{name} {problem[0]}", problem[1]
    return None


def _token(secret: Any) -> Problem | None:
    fix = "Write the secret alone, in quotes; remove it to have one made."
    if not isinstance(secret, str) or not _TEXT.fullmatch(secret):
        return "is no text of one line in ASCII, without spaces around it", fix
    if len(secret) > LONGEST:
        return f"has more than {LONGEST} characters", fix
    return _no_placeholder(secret)


def _no_placeholder(secret: str) -> Problem | None:
    if _PLACEHOLDER in secret:
        return "is a placeholder of playbooks/render.yml, which is public", "Write the secret itself."
    return None


def _signing_key(secret: Any) -> Problem | None:
    found = _KEY.fullmatch(secret.strip()) if isinstance(secret, str) else None
    if found is None or not _is_seed(found["seed"]):
        return (
            "is no signing key that Synapse reads",
            "Write the line of its file: ed25519, the version of the key, and 32 bytes in base64, with single spaces.",
        )
    return _no_placeholder(str(secret))


def _is_seed(text: str) -> bool:
    try:
        return len(base64.b64decode(f"{text.rstrip('=')}=", validate=True)) == 32
    except binascii.Error:
        return False


def content_of(name: str, secret: str) -> str:
    """Returns what the file of a secret holds.

    Args:
        name: its name in the variable.
        secret: its value, checked.
    """
    if name == SIGNING_KEY:
        return f"{secret.strip().rstrip('=')}\n"
    if name == DATABASE_PASSWORD:
        escaped = secret.replace("\\", "\\\\").replace(":", "\\:")
        return f"*:*:*:*:{escaped}\n"
    return f"{secret}\n"


__all__ = (
    "DATABASE_PASSWORD",
    "FILES",
    "LONGEST",
    "OLD_KEYS",
    "SIGNING_KEY",
    "VARIABLE",
    "content_of",
    "server_secrets",
)
