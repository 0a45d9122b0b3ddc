# SPDX-License-Identifier: GPL-3.0-or-later
"""A configuration is read as crossplane, a parser of nginx's own makers, reads it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import crossplane
import pytest
from ansible_collections.baremetal.synapse.plugins.module_utils.replay.configuration import (
    directives,
    listen_ports,
    stray_addresses,
    upstream_servers,
)
from ansible_collections.baremetal.synapse.plugins.module_utils.replay.errors import ReplayError

from tests.unit.fleets import INVENTORIES, example
from tests.unit.nginx_texts import HTTP, SITE
from tools.proxy_files import proxy_files

Words = list[tuple[tuple[str, ...], list[str]]]


def by_crossplane(folder: Path, text: str) -> Words:
    """Returns the blocks around each directive and its words, as crossplane reads them."""
    path = folder / "nginx.conf"
    path.write_text(text)
    parsed = crossplane.parse(str(path), single=True, check_ctx=False, check_args=False)
    assert parsed["errors"] == []

    def walk(entries: list[dict[str, Any]], around: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], list[str]]]:
        for entry in entries:
            yield around, [entry["directive"], *entry["args"]]
            yield from walk(entry.get("block", []), (*around, entry["directive"]))

    return list(walk(parsed["config"][0]["parsed"], ()))


def by_replay(text: str) -> Words:
    """Returns the same as the replay reads it."""
    return [(item.blocks, _without_parentheses(item.words)) for item in directives(text)]


def _without_parentheses(words: tuple[str, ...]) -> list[str]:
    """Returns the words as crossplane gives them: the condition of an if stands without its parentheses."""
    if words[0] != "if":
        return list(words)
    first, *others = words[1:]
    condition = [first.removeprefix("("), *others]
    last = condition.pop().removesuffix(")")
    # After a quote the parenthesis is a word of its own.
    return ["if", *condition, *([last] if last else [])]


@pytest.mark.parametrize("inventory", INVENTORIES)
def test_rendered_files_are_read_as_crossplane_reads_them(inventory: str, tmp_path: Path) -> None:
    files = proxy_files(example(inventory), {"nginx_trusted_proxies": ["192.0.2.0/24"]})
    for text, least in ((files.http, 30), (files.site, 80)):
        expected = by_crossplane(tmp_path, text)
        assert len(expected) > least
        assert by_replay(text) == expected


def test_what_is_hard_to_read_is_read_as_crossplane_reads_it(tmp_path: Path) -> None:
    for text in (HTTP, SITE):
        assert by_replay(text) == by_crossplane(tmp_path, text)


def test_servers_are_those_of_upstreams_and_of_nothing_else() -> None:
    assert upstream_servers(HTTP) == ("10.0.0.1:8008", "unix:/run/b.sock", "[fd00::1]:8008")


def test_ports_are_found_once_each() -> None:
    assert listen_ports(SITE) == (80, 443, 8448)


def test_words_and_their_blocks() -> None:
    found = {item.words[0]: item for item in directives("a 'b c' d\"e; location ~ 'x{2}' { if ($f) { return 404; } }")}
    assert found["a"].words == ("a", "b c", 'd"e')
    assert found["return"].blocks[-1] == "if"


@pytest.mark.parametrize("text", ["server {", "}", 'a "b;', "server { a }"])
def test_what_does_not_fit_together_is_refused(text: str) -> None:
    with pytest.raises(ReplayError):
        directives(text)


def test_a_server_without_a_listener_is_refused() -> None:
    with pytest.raises(ReplayError, match="no listen"):
        listen_ports("server { return 200; } server { listen 80; }")


@pytest.mark.parametrize("listen", ["unix:/run/nginx.sock", "192.0.2.1"])
def test_a_listener_without_a_port_is_refused(listen: str) -> None:
    with pytest.raises(ReplayError, match="names no port"):
        listen_ports(f"server {{ listen {listen}; }}")


def test_addresses_outside_upstreams_are_found() -> None:
    site = "server { location /a { proxy_pass http://one; } location /b { proxy_pass http://10.0.0.9:8008/x; } }"
    assert stray_addresses(HTTP, SITE + site) == ("10.0.0.9:8008/x",)
