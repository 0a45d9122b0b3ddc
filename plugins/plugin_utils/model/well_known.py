# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator adds to the answers below ``/.well-known/matrix/``."""

from __future__ import annotations

from typing import Any

from .addresses import server_name, url
from .texts import well_known
from .values import Problem

VARIABLE = "synapse_well_known"
"""The variable that has it."""

_CLIENT = "extra_well_known_client_content"
_SUPPORT_FIX = (
    "Write support: {contacts: [{role: m.role.admin, matrix_id: '@admin:example.org'}], support_page: https://...}."
)


def added_answers(value: Any) -> Problem | None:
    """Checks what is added to the answers for servers, and the answer with the contacts of the support."""
    for name, answer in value.items():
        if name == "client":
            return "what clients are told is an option of Synapse", f"Write it into synapse_extra_config as {_CLIENT}."
        if name not in ("server", "support"):
            return f"{name!r} in it is no answer that nginx gives", "Write server or support."
        problem = well_known(answer) or (_server(answer) if name == "server" else _support(answer))
        if problem is not None:
            return f"{name}: {problem[0]}", problem[1]
    return None


def _server(answer: dict[str, Any]) -> Problem | None:
    if "m.server" in answer and server_name(answer["m.server"]) is not None:
        return "m.server is no name of a server", "Write matrix.example.org:443, or leave it out."
    return None


def _support(answer: dict[str, Any]) -> Problem | None:
    page, contacts = answer.get("support_page"), answer.get("contacts", [])
    if page is not None and url(page) is not None:
        return "support_page is no URL", _SUPPORT_FIX
    if not isinstance(contacts, list) or not all(_is_contact(entry) for entry in contacts):
        return "each of contacts has a role, and an email_address or a matrix_id", _SUPPORT_FIX
    return None if page or contacts else ("it has neither contacts nor a support_page", _SUPPORT_FIX)


def _is_contact(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and all(isinstance(text, str) and text for text in entry.values())
        and "role" in entry
        and bool({"email_address", "matrix_id"} & set(entry))
    )


__all__ = ("VARIABLE", "added_answers")
