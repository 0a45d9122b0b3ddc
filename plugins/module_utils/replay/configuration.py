# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads nginx's language: directives with their places in the text, and what a replay has to know of them.

The routing audit runs on hosts, with only the standard library; the unit tests compare this reader with crossplane.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Dict, FrozenSet, Iterator, List, Sequence, Set, Tuple

from .errors import ReplayError

_TOKEN = re.compile(
    r"""\s+ | \#[^\n]* | (?P<mark>[;{}])
    | (?P<word>"(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | (?!["'])(?:\\.|\$\{[^}]*\}|[^\s;{\\])+)""",
    re.VERBOSE | re.DOTALL,
)
# Blocks whose contents are directives; a map's contents only look like some.
_BLOCKS = frozenset({"http", "server", "location", "if", "limit_except", "upstream"})
_PASS = re.compile(r"(?:proxy|fastcgi|uwsgi|scgi|grpc|memcached)_pass")


@dataclass(frozen=True)
class Directive:
    """One directive of a configuration.

    Attributes:
        words: its name and its arguments, without quotes.
        spans: the places of these words in the text, quotes included.
        start: the offset of its first character.
        end: the offset after its ';'; for a block, after its '{'.
        stop: the offset after the whole of it; for a block, after its '}'.
        blocks: the names of the blocks around it, the outermost first.
        inside: the `start` of the block around it, -1 if there is none.
    """

    words: Tuple[str, ...]
    spans: Tuple[Tuple[int, int], ...]
    start: int
    end: int
    stop: int
    blocks: Tuple[str, ...]
    inside: int

    @property
    def is_effective(self) -> bool:
        """Whether it is a directive, not an entry of a map or a similar table."""
        return _BLOCKS.issuperset(self.blocks)

    def is_in(self, block: str) -> bool:
        """Returns whether this is a directive directly in a block of that name."""
        return self.is_effective and self.blocks[-1:] == (block,)

    @property
    def is_upstream(self) -> bool:
        """Whether it begins an upstream."""
        return self.words[0] == "upstream" and len(self.words) == 2

    @property
    def is_upstream_server(self) -> bool:
        """Whether it names a server of an upstream."""
        return self.words[0] == "server" and len(self.words) > 1 and self.is_in("upstream")

    @property
    def is_listen(self) -> bool:
        """Whether it names an address on which a server block listens."""
        return self.words[0] == "listen" and self.is_in("server")

    @property
    def port(self) -> int:
        """The port of a listen directive.

        Raises:
            ReplayError: it names none.
        """
        port = re.search(r"(?:^|:)([0-9]+)$", self.words[1])
        if port is None:
            raise ReplayError(f"listen {self.words[1]} names no port")
        return int(port[1])


@lru_cache(maxsize=16)
def directives(text: str) -> Tuple[Directive, ...]:
    """Returns the directives of a text in nginx's language, blocks before what is in them.

    Raises:
        ReplayError: its blocks do not fit together, or a directive has no end.
    """
    found: List[Directive] = []
    around: List[int] = []
    spans: List[Tuple[int, int]] = []
    for mark, span in _tokens(text):
        if not mark:
            spans.append(span)
        elif mark == "}":
            if spans or not around:
                raise ReplayError(f"line {_line(text, span[0])}: unexpected }}")
            block = around.pop()
            found[block] = replace(found[block], stop=span[1])
        elif spans:
            found.append(_directive(text, spans, span[1], [found[index] for index in around]))
            if mark == "{":
                around.append(len(found) - 1)
            spans = []
    if around:
        raise ReplayError(f"the block {found[around[-1]].words[0]} is not closed")
    if spans:
        raise ReplayError(f"line {_line(text, spans[0][0])}: the directive has no ';'")
    return tuple(found)


def _tokens(text: str) -> Iterator[Tuple[str, Tuple[int, int]]]:
    """Returns the words and marks of a text: the mark, or "" for a word, and its place."""
    position = 0
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            raise ReplayError(f"line {_line(text, position)}: a quote is not closed")
        position = token.end()
        if token["word"] or token["mark"]:
            yield token["mark"] or "", token.span()


def _directive(text: str, spans: Sequence[Tuple[int, int]], end: int, around: Sequence[Directive]) -> Directive:
    return Directive(
        words=tuple(_unquoted(text[start:stop]) for start, stop in spans),
        spans=tuple(spans),
        start=spans[0][0],
        end=end,
        stop=end,
        blocks=tuple(block.words[0] for block in around),
        inside=around[-1].start if around else -1,
    )


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def _unquoted(word: str) -> str:
    if len(word) >= 2 and word[0] in "\"'" and word[-1] == word[0]:
        return re.sub(r"\\([\"'\\])", r"\1", word[1:-1])
    return word


def upstream_servers(text: str) -> Tuple[str, ...]:
    """Returns the addresses of the servers of all upstreams, each once, in the order of the text."""
    return tuple(dict.fromkeys(item.words[1] for item in directives(text) if item.is_upstream_server))


def upstreams_of(text: str) -> Dict[str, FrozenSet[str]]:
    """Returns the addresses in each upstream of a configuration."""
    names = {item.start: item.words[1] for item in directives(text) if item.is_upstream}
    members: Dict[str, Set[str]] = {name: set() for name in names.values()}
    for item in directives(text):
        if item.is_upstream_server:
            members[names[item.inside]].add(item.words[1])
    return {name: frozenset(addresses) for name, addresses in members.items()}


def listen_ports(text: str) -> Tuple[int, ...]:
    """Returns the ports that are listened on, each once, in the order of the text.

    Raises:
        ReplayError: a listener has no port, or a server block has no listener and would get nginx's own default.
    """
    found = directives(text)
    listening = {item.inside for item in found if item.is_listen}
    servers = (item for item in found if item.words == ("server",) and item.blocks in ((), ("http",)))
    if any(server.start not in listening for server in servers):
        raise ReplayError("a server block has no listen directive, so that nginx would choose the port itself")
    return tuple(dict.fromkeys(item.port for item in found if item.is_listen))


def stray_addresses(http_conf: str, site_conf: str) -> Tuple[str, ...]:
    """Returns the addresses that requests are passed to, but that are no upstream of the configuration."""
    both = directives(http_conf) + directives(site_conf)
    known = {item.words[1] for item in both if item.is_upstream}
    targets = (item.words[1] for item in both if _PASS.fullmatch(item.words[0]))
    names = (re.sub(r"^[a-z]+://", "", target) for target in targets)
    return tuple(name for name in names if not name.startswith("$") and name.split("/")[0] not in known)


__all__ = ("Directive", "directives", "listen_ports", "stray_addresses", "upstream_servers", "upstreams_of")
