# SPDX-License-Identifier: GPL-3.0-or-later
"""The clients whose header a configuration trusts for their address (nginx's realip module)."""

from __future__ import annotations

import ipaddress
from typing import Dict, List, Optional, Sequence, Set, Tuple

from .configuration import Directive

SOURCE_HEADER = "X-Replay-Source"
"""The header of the replay itself, for configurations that leave nginx's default."""

_DEFAULT_HEADER = "X-Real-IP"
_HTTP = -1


def is_bindable(source: str) -> bool:
    """Returns whether a connection can really come from an address: listeners are on the loopback interface's IPv4."""
    address = ipaddress.ip_address(source)
    return address.version == 4 and address.is_loopback


class RealIp:
    """The effect of the realip directives of a configuration.

    A scope is the `start` of a block, -1 for the http block.

    Attributes:
        trusts: the set_real_ip_from directives.
        idle: the real_ip_header directives that have no effect, as no network is trusted around or below them.
        free: whether none is left in the http block, so that the replay can put its own there.
        headers: for each port the headers that have to hold a client's address, None among them if there is a
            server block where that is impossible.
    """

    def __init__(self, found: Sequence[Directive]) -> None:
        """Reads the directives of a whole configuration."""
        self._outer = {item.start: _HTTP if _is_http(item) else _scope(item) for item in found}
        own = [item for item in found if item.is_effective and len(item.words) > 1]
        self.trusts = [item for item in own if item.words[0] == "set_real_ip_from"]
        self._trusting = {_scope(item) for item in self.trusts}
        named = [item for item in own if item.words[0] == "real_ip_header"]
        self.idle = [item for item in named if not self._has_effect(_scope(item))]
        self._named = {_scope(item): item.words[1] for item in named if item not in self.idle}
        self.free = _HTTP not in self._trusting and _HTTP not in self._named
        self.headers = self._headers([item for item in found if item.is_listen])

    def edits(self) -> List[Tuple[int, int, str]]:
        """Returns what makes nginx trust clients on 127.0.0.1 too, where it trusts anybody: start, end, new text."""
        edits = [(item.start, item.end, "") for item in self.idle]
        written: Set[int] = set()
        for item in self.trusts:
            scope = _scope(item)
            added = " set_real_ip_from 127.0.0.1;"
            if self._name(scope) is None and scope not in written:
                # Otherwise it would get the replay's own header from the http block.
                added += f" real_ip_header {_DEFAULT_HEADER};"
                written.add(scope)
            edits.append((item.end, item.end, added))
        return edits

    def _around(self, scope: int) -> List[int]:
        """Returns a scope and those around it, the innermost first."""
        scopes = [scope]
        while scopes[-1] != _HTTP:
            scopes.append(self._outer[scopes[-1]])
        return scopes

    def _is_trusting(self, scope: int) -> bool:
        return not self._trusting.isdisjoint(self._around(scope))

    def _has_effect(self, scope: int) -> bool:
        return self._is_trusting(scope) or any(scope in self._around(trusting) for trusting in self._trusting)

    def _name(self, scope: int) -> Optional[str]:
        """Returns the real_ip_header that is in force in a scope; None if nginx's default is."""
        return next((self._named[outer] for outer in self._around(scope) if outer in self._named), None)

    def _headers(self, listens: Sequence[Directive]) -> Dict[int, Tuple[Optional[str], ...]]:
        headers: Dict[int, List[Optional[str]]] = {}
        for listen in listens:
            headers.setdefault(listen.port, []).append(self._header(_scope(listen)))
        return {port: tuple(dict.fromkeys(names)) for port, names in headers.items()}

    def _header(self, scope: int) -> Optional[str]:
        if not self._is_trusting(scope):
            return SOURCE_HEADER if self.free and self._name(scope) is None else None
        name = self._name(scope) or _DEFAULT_HEADER
        return None if name == "proxy_protocol" else name


def _is_http(item: Directive) -> bool:
    return item.words == ("http",) and not item.blocks


def _scope(item: Directive) -> int:
    """Returns the scope that a directive is in."""
    return _HTTP if item.blocks in ((), ("http",)) else item.inside


__all__ = ("SOURCE_HEADER", "RealIp", "is_bindable")
