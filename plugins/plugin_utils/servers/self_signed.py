# SPDX-License-Identifier: GPL-3.0-or-later
"""The names in the self-signed certificate of a first try."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address


def subject_names(names: Iterable[str]) -> list[str]:
    """Returns names and addresses as a certificate has them, each once: ``DNS:example.org``, ``IP:192.0.2.1``.

    Args:
        names: names, and addresses, IPv6 with or without brackets.
    """
    return list(dict.fromkeys(_subject_name(name) for name in names))


def _subject_name(name: str) -> str:
    bare = name[1:-1] if name.startswith("[") and name.endswith("]") else name
    try:
        ip_address(bare)
    except ValueError:
        return f"DNS:{bare}"
    return f"IP:{bare}"


def printed_names(lines: Iterable[str]) -> list[str]:
    """Returns the names in what ``openssl x509 -ext subjectAltName`` prints."""
    entries = (entry.strip() for line in lines for entry in line.split(","))
    found = (entry.replace("IP Address:", "IP:", 1) for entry in entries)
    return [entry for entry in found if entry.startswith(("DNS:", "IP:"))]


__all__ = ("printed_names", "subject_names")
