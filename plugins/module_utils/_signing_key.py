# SPDX-License-Identifier: GPL-3.0-or-later
"""The public part of a signing key: other servers need it for what the key has signed (RFC 8032, ed25519).

Private to the collection; needs nothing but Python.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Tuple

_P = 2**255 - 19
_D = -121665 * pow(121666, _P - 2, _P) % _P
_BASE = (
    15112221349535400772501151409588531511454012693041857206046113283949847762202,
    46316835694926478169428394003475163141307993866256225615783033603165251855960,
)
_Point = Tuple[int, int]


def _add(one: _Point, two: _Point) -> _Point:
    product = _D * one[0] * two[0] * one[1] * two[1] % _P
    x = (one[0] * two[1] + two[0] * one[1]) * pow(1 + product, _P - 2, _P)
    y = (one[1] * two[1] + one[0] * two[0]) * pow(1 - product, _P - 2, _P)
    return x % _P, y % _P


def public_bytes(seed: bytes) -> bytes:
    """Return the public key of a seed of 32 bytes."""
    hashed = int.from_bytes(hashlib.sha512(seed).digest()[:32], "little")
    scalar = (hashed & (2**254 - 8)) | 2**254
    found, power = (0, 1), _BASE
    while scalar:
        if scalar & 1:
            found = _add(found, power)
        power = _add(power, power)
        scalar >>= 1
    return (found[1] | (found[0] & 1) << 255).to_bytes(32, "little")


def public_part(text: str) -> Tuple[str, str]:
    """Return the id of a key and its public part in base64, as ``old_signing_keys`` has them.

    Args:
        text: the line of the key's file.

    Raises:
        ValueError: it is no such line.
    """
    algorithm, version, seed = text.split()
    raw = base64.b64decode(seed.rstrip("=") + "=", validate=True)
    if algorithm != "ed25519" or len(raw) != 32:
        raise ValueError("this is no signing key")
    return f"{algorithm}:{version}", base64.b64encode(public_bytes(raw)).decode().rstrip("=")


__all__ = ("public_bytes", "public_part")
