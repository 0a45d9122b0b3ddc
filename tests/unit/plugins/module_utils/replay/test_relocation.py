# SPDX-License-Identifier: GPL-3.0-or-later
"""A configuration is moved for a replay: only addresses, ports and logs change, and TLS is dropped."""

from __future__ import annotations

import pytest
from ansible_collections.baremetal.synapse.plugins.module_utils.replay.configuration import directives, upstream_servers
from ansible_collections.baremetal.synapse.plugins.module_utils.replay.relocation import relocate

from tests.unit.nginx_texts import HTTP, SITE

PORTS = {80: 7080, 443: 7443, 8448: 7448}


def relocated(text: str) -> str:
    servers = {address: f"unix:u/{number}" for number, address in enumerate(upstream_servers(HTTP))}
    return relocate(text, servers, PORTS, "/scratch")


def test_only_the_addresses_of_upstreams_change() -> None:
    expected = (
        HTTP.replace("server 10.0.0.1:8008", "server unix:u/0")
        .replace("server unix:/run/b.sock", "server unix:u/1")
        .replace("server [fd00::1]:8008", "server unix:u/2")
    )
    assert relocated(HTTP) == expected


def test_listeners_move_to_loopback_without_tls() -> None:
    listens = [item.words for item in directives(relocated(SITE)) if item.words[0] == "listen"]
    assert listens == [
        ("listen", "127.0.0.1:7080", "default_server"),
        ("listen", "127.0.0.1:7443"),
        ("listen", "127.0.0.1:7448"),
    ]


def test_tls_is_dropped_and_lines_keep_their_numbers() -> None:
    text = relocated(SITE)
    assert "ssl" not in text
    assert "http2" not in text
    before, after = SITE.splitlines(), text.splitlines()
    assert len(after) == len(before)
    assert after.index("  access_log off;") == before.index("  access_log off;")


def test_logs_go_to_the_folder_and_keep_their_options() -> None:
    text = relocated(SITE)
    assert "access_log /scratch/access.log short buffer=4k;" in text
    assert "error_log /scratch/error.log crit;" in text
    assert "access_log off;" in text


def test_a_block_with_tls_keeps_its_scheme() -> None:
    text = relocated(SITE)
    assert "proxy_set_header X-Forwarded-Proto https;" in text
    assert 'add_header A "https $schemes";' in text
    assert "return 301 $scheme://$host;" in text


def test_a_block_with_and_without_tls_has_no_scheme_of_its_own() -> None:
    text = "server { listen 80; listen 443 ssl; return 200 $scheme; }"
    assert "return 200 $scheme;" in relocated(text)


def test_where_somebody_is_trusted_the_clients_are_too() -> None:
    text = """
server {
  listen 80;
  set_real_ip_from 10.0.0.0/8;
  set_real_ip_from
    fd00::/8;
  real_ip_header X-Forwarded-For;
  real_ip_recursive on;
  return 200;
}
"""
    added = " set_real_ip_from 127.0.0.1;"
    expected = text.replace("10.0.0.0/8;", f"10.0.0.0/8;{added}").replace("fd00::/8;", f"fd00::/8;{added}")
    assert relocated(text) == expected.replace("listen 80;", "listen 127.0.0.1:7080;")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # The default of nginx is written out, once.
        (
            "set_real_ip_from a; set_real_ip_from b;",
            "set_real_ip_from a; set_real_ip_from 127.0.0.1; real_ip_header X-Real-IP;"
            " set_real_ip_from b; set_real_ip_from 127.0.0.1;",
        ),
        # A header goes where nobody is trusted around or below.
        ("http { real_ip_header A; server { real_ip_header B; } }", "http {  server {  } }"),
        (
            "http { real_ip_header A; server { set_real_ip_from a; } server { real_ip_header B; } }",
            "http { real_ip_header A; server { set_real_ip_from a; set_real_ip_from 127.0.0.1; } server {  } }",
        ),
        (
            "set_real_ip_from a; server { location / { real_ip_header B; } }",
            "set_real_ip_from a; set_real_ip_from 127.0.0.1; real_ip_header X-Real-IP;"
            " server { location / { real_ip_header B; } }",
        ),
        # A map's contents only look like directives.
        ("map $a $b { set_real_ip_from a; real_ip_header b; }", "map $a $b { set_real_ip_from a; real_ip_header b; }"),
    ],
)
def test_trust_and_its_header_belong_together(text: str, expected: str) -> None:
    assert relocated(text) == expected
