# SPDX-License-Identifier: GPL-3.0-or-later
"""A valid request for every route that workers serve."""

from __future__ import annotations

from tools.proof.cases import accounts, admin, delegated, federation, keys, media, rooms, sign_on, syncs
from tools.proof.cases.case import Case

CASES: tuple[Case, ...] = tuple(
    case for part in (rooms, accounts, keys, syncs, media, federation, admin, sign_on, delegated) for case in part.CASES
)

# Path templates for which there is no request, with the reason.
WITHOUT: dict[str, str] = {
    "/_matrix/client/unstable/io.element.msc4512/": "it needs another server that answers over TLS",
    "/_matrix/saml2/": "SAML needs pysaml2 and xmlsec1, which no release directory of the collection has",
    "/_synapse/client/saml2/": "SAML needs pysaml2 and xmlsec1, which no release directory of the collection has",
}

__all__ = ("CASES", "WITHOUT", "Case")
