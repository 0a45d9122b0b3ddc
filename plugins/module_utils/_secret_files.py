# SPDX-License-Identifier: GPL-3.0-or-later
"""The arguments of the module secret_files, and what stands for a secret in a rendered tree.

Private to the collection.
"""

from __future__ import annotations

from typing import Any

KINDS = ["token", "signing_key", "pgpass"]

ARGUMENT_SPEC: dict[str, Any] = {
    "files": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "no_log": False,
        "options": {
            "path": {"type": "path", "required": True},
            "kind": {"type": "str", "required": True, "choices": KINDS},
            "mode": {"type": "str", "default": "0400"},
            "name": {"type": "str"},
        },
    },
    # The whole mapping: every value in it is kept out of results and logs.
    "copies": {"type": "dict", "no_log": True},
    "given": {"type": "dict", "no_log": True},
    "rotated": {"type": "list", "elements": "path", "default": [], "no_log": False},
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
}

PLACEHOLDER = "PLACEHOLDER_written_by_render_not_a_secret"
"""Stands for each secret in a rendered tree."""

# Programs that read the files must take them: an ed25519 key is 32 bytes, which are 43 characters.
_PLACEHOLDERS = {
    "token": f"{PLACEHOLDER}\n",
    "signing_key": "ed25519 a_PLACEHOLDER PLACEHOLDERnotAsecretPLACEHOLDERnotAsecretA\n",
    "pgpass": f"*:*:*:*:{PLACEHOLDER}\n",
}
LONGEST = max(map(len, _PLACEHOLDERS.values()))


def placeholder(kind: str) -> str:
    """The placeholder of a secret: of the same form, and the same for every deployment."""
    return _PLACEHOLDERS[kind]


def is_placeholder(content: bytes) -> bool:
    """Whether a secret's file came from a rendered tree."""
    return content.strip() in [text.strip().encode() for text in _PLACEHOLDERS.values()]


__all__ = ("ARGUMENT_SPEC", "KINDS", "LONGEST", "PLACEHOLDER", "is_placeholder", "placeholder")
