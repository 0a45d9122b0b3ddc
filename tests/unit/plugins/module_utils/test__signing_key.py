# SPDX-License-Identifier: GPL-3.0-or-later
"""The public part of a signing key is the one of RFC 8032."""

from __future__ import annotations

import base64

import pytest
from ansible_collections.baremetal.synapse.plugins.module_utils._signing_key import public_bytes, public_part

# RFC 8032, section 7.1: tests 1 to 3.
VECTORS = (
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
    ),
)


@pytest.mark.parametrize(("seed", "public"), VECTORS)
def test_it_is_that_of_the_standard(seed: str, public: str) -> None:
    assert public_bytes(bytes.fromhex(seed)).hex() == public
    line = f"ed25519 a_old {base64.b64encode(bytes.fromhex(seed)).decode()}\n"
    key = base64.b64encode(bytes.fromhex(public)).decode().rstrip("=")
    assert public_part(line) == ("ed25519:a_old", key)
    assert public_part(line.replace("=", "")) == ("ed25519:a_old", key)


@pytest.mark.parametrize("line", ["", "ed25519 a_old", "rsa a " + "A" * 43, "ed25519 a AAAA", "ed25519 a !" + "A" * 42])
def test_what_is_no_key_is_refused(line: str) -> None:
    with pytest.raises(ValueError):
        public_part(line)
