# SPDX-License-Identifier: GPL-3.0-or-later
"""How a configuration is taken apart and moved for a replay; nginx itself is in tests/proxy/."""

from __future__ import annotations

import pytest
from ansible_collections.baremetal.synapse.plugins.module_utils._replay import (
    Reception,
    Recorded,
    ReplayError,
    directives,
    listen_ports,
    relocate,
    socket_name,
    stray_addresses,
    upstream_servers,
)

HTTP = r"""
# server 10.9.9.9:1; in a comment
log_format short '$status; {';
map $request_uri $chosen {
  default "one";
  "~^/a{2};" "two";
  listen "~^/not\"one";
  server 10.9.9.9:2;
}
upstream one {
  zone one 128k;
  server 10.0.0.1:8008 max_fails=3 fail_timeout=5s; # first
  server unix:/run/b.sock backup;
  keepalive 32;
}
upstream two { server 10.0.0.1:8008; server [fd00::1]:8008 down; }
"""
SITE = """
server {
  listen 80 default_server;
  listen [::]:80 default_server;
  access_log /var/log/nginx/a.log short buffer=4k;
  location / { return 301 $scheme://$host; }
}
server {
  listen 443 ssl http2;
  listen [::]:443 ssl http2;
  listen 192.0.2.1:8448 ssl;
  http2 on;
  ssl_certificate /etc/ssl/x.pem;
  ssl_ciphers
    A:B;
  access_log off;
  error_log /var/log/nginx/e.log crit;
  proxy_set_header X-Forwarded-Proto $scheme;
  location ~ "^/(x|y{2})$" { proxy_pass http://$chosen; add_header A "${scheme} $schemes"; }
}
"""
PORTS = {80: 7080, 443: 7443, 8448: 7448}


def relocated(text: str) -> str:
    servers = {address: f"unix:u/{number}" for number, address in enumerate(upstream_servers(HTTP))}
    return relocate(text, servers, PORTS, "/scratch")


def test_servers_are_those_of_upstreams_and_of_nothing_else() -> None:
    assert upstream_servers(HTTP) == ("10.0.0.1:8008", "unix:/run/b.sock", "[fd00::1]:8008")


def test_only_the_addresses_of_upstreams_change() -> None:
    expected = (
        HTTP.replace("server 10.0.0.1:8008", "server unix:u/0")
        .replace("server unix:/run/b.sock", "server unix:u/1")
        .replace("server [fd00::1]:8008", "server unix:u/2")
    )
    assert relocated(HTTP) == expected


def test_ports_are_found_once_each() -> None:
    assert listen_ports(SITE) == (80, 443, 8448)


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


def test_names_of_sockets_are_short_and_differ() -> None:
    long = [f"unix:/run/matrix-synapse/{'x' * 80}-{number}.sock" for number in range(2)]
    names = [socket_name(address) for address in (*long, "unix:/run/a.sock", "[fd00::1]:8008")]
    assert names[2:] == ["run_a.sock", "[fd00::1]:8008"]
    assert len(set(names)) == len(names)
    assert max(map(len, names)) <= 60


def test_a_reception_is_read_byte_for_byte() -> None:
    head = b"GET /a%2Fb//c/..%2f?q=%zz HTTP/1.1\r\nHost: h:8448\r\nX-A: 1\r\nx-a: 2"
    recorded = Recorded(200, (Reception("one", b"GET / HTTP/1.1"), Reception("two", head)), b"HTTP/1.1 200 OK\r\nB: c")
    assert recorded.tried == ("one", "two")
    assert recorded.raw_path == "/a%2Fb//c/..%2f?q=%zz"
    assert recorded.headers == {"host": "h:8448", "x-a": "1, 2"}
    assert recorded.answer_headers == {"b": "c"}


def test_what_nobody_received_has_no_path() -> None:
    recorded = Recorded(404, (), b"")
    assert (recorded.tried, recorded.raw_path, recorded.headers) == ((), None, {})
