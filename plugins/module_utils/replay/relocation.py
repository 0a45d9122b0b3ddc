# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves a configuration: addresses, ports and logs are replaced, and TLS is dropped; all else stays as it is."""

from __future__ import annotations

import re
from typing import Iterable, List, Mapping, Sequence, Set, Tuple

from .configuration import Directive, directives
from .real_ip import RealIp

_SCHEME = re.compile(r"\$(?:scheme(?![A-Za-z0-9_])|\{scheme\})")
_TLS = re.compile(r"ssl.*|http2|http3|quic_gso|quic_retry")
_Edit = Tuple[int, int, str]


def relocate(text: str, servers: Mapping[str, str], ports: Mapping[int, int], logs: str) -> str:
    """Returns a configuration with other addresses, ports and logs; everything else stays byte for byte.

    Directives of TLS and HTTP/2 are dropped. As clients come without TLS, `$scheme` is written out as `https` in blocks
    that otherwise only listen with TLS. Where nginx trusts a proxy for the client's address, it also trusts
    127.0.0.1, from where clients come, and the header for it is written out. A real_ip_header without a trusted proxy
    has no effect, and is dropped. Lines keep their numbers.

    Args:
        text: what belongs into nginx's http block.
        servers: the new address of each server of an upstream.
        ports: the new port of each port; the listeners are moved to 127.0.0.1.
        logs: the folder for access.log and error.log.
    """
    found = directives(text)
    secure = _tls_blocks(found)
    listening: Set[Tuple[int, int]] = set()
    edits = RealIp(found).edits()
    for item in found:
        if not item.is_effective:
            continue
        if item.is_upstream_server:
            edits.append((*item.spans[1], servers[item.words[1]]))
        elif item.is_listen:
            edits.append((item.start, item.end, _listen(item, ports, listening)))
        elif _TLS.fullmatch(item.words[0]):
            edits.append((item.start, item.end, ""))
        elif _is_log(item):
            edits.append((*item.spans[1], f"{logs}/{item.words[0].replace('_', '.')}"))
        elif any(item.start in block for block in secure):
            edits += _https(text, item)
    return _edited(text, edits)


def _is_log(item: Directive) -> bool:
    return item.words[0] == "error_log" or (item.words[0] == "access_log" and item.words[1] != "off")


def _listen(item: Directive, ports: Mapping[int, int], listening: Set[Tuple[int, int]]) -> str:
    """Returns the listen directive of the new place, nothing if its server block has it already."""
    place = (item.inside, ports[item.port])
    if place in listening:
        return ""
    listening.add(place)
    default = " default_server" if "default_server" in item.words else ""
    return f"listen 127.0.0.1:{place[1]}{default};"


def _https(text: str, item: Directive) -> List[_Edit]:
    return [
        (start, end, _SCHEME.sub("https", text[start:end]))
        for start, end in item.spans
        if _SCHEME.search(text, start, end)
    ]


def _tls_blocks(found: Sequence[Directive]) -> List[range]:
    """Returns the places of the server blocks that only listen with TLS."""
    plain = {item.inside for item in found if item.is_listen and not {"ssl", "quic"}.intersection(item.words)}
    secure = {item.inside for item in found if item.is_listen} - plain
    return [range(item.start, item.stop) for item in found if item.start in secure]


def _edited(text: str, edits: Iterable[_Edit]) -> str:
    parts: List[str] = []
    position = 0
    for start, end, replacement in sorted(edits):
        # What spans lines leaves its lines behind, so that nginx's messages name the right ones.
        kept = "\n" * (text.count("\n", start, end) - replacement.count("\n"))
        parts += [text[position:start], replacement, kept]
        position = end
    return "".join([*parts, text[position:]])


__all__ = ("relocate",)
