# SPDX-License-Identifier: GPL-3.0-or-later
"""The key of the identity provider that `outsider.py` stands for, and the tokens that it signs."""

from __future__ import annotations

import base64
import functools
import json
import secrets
import time
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

CLIENT_ID = "proof"
_KEY_ID = "proof"
_EVENT = "http://schemas.openid.net/event/backchannel-logout"


@functools.cache
def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def key_set() -> str:
    """Returns the public key, as the provider publishes it."""
    numbers = _key().public_key().public_numbers()
    key = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": _KEY_ID}
    return json.dumps({"keys": [{**key, "n": _number(numbers.n), "e": _number(numbers.e)}]})


def logout_token(issuer: str, session: str) -> str:
    """Returns the token with which the provider ends a session."""
    claims = {
        "iss": issuer,
        "aud": CLIENT_ID,
        "iat": int(time.time()),
        "jti": secrets.token_hex(8),
        "sid": session,
        "events": {_EVENT: {}},
    }
    signed = f"{_part({'alg': 'RS256', 'kid': _KEY_ID})}.{_part(claims)}"
    signature = _key().sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{signed}.{_base64(signature)}"


def _part(value: Mapping[str, Any]) -> str:
    return _base64(json.dumps(value).encode())


def _number(value: int) -> str:
    return _base64(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
