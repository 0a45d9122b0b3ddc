# SPDX-License-Identifier: GPL-3.0-or-later
"""Server blocks and settings, from what nginx -T prints."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.baremetal.synapse.plugins.module_utils._nginx_dump import effective, files_of, survey

CONF = """
pcre_jit on;
include modules-enabled/*.conf;
events { worker_connections 768; }
http {
  map $a $b { include listen.map; default 1; }
  variables_hash_max_size 2048;
  include /etc/nginx/conf.d/*.conf;
  include sites-enabled/*;
}
stream { server { listen 443; proxy_pass 10.0.0.1:443; } }
"""
WEB = """
server {
  listen 80 default_server; listen [::]:80 ipv6only=off;
  listen 192.0.2.1; listen unix:/run/web.sock;
  server_name Example.org www.example.org;
  include snippets/matrix-synapse-well-known*.conf;
  location / { include fastcgi.conf; if ($a) { return 200 "listen 1; server_name x;"; } }
}
server { server_name other.org; include snippets/tls.conf; }
"""
FILES = {
    "/etc/nginx/nginx.conf": CONF,
    "/etc/nginx/conf.d/a.conf": "map_hash_max_size 4096; upstream main { server 10.0.0.1; }",
    "/etc/nginx/sites-enabled/web": WEB,
    "/etc/nginx/snippets/tls.conf": "listen 443 ssl;",
    "/etc/nginx/unused.conf": "server { server_name unused.org; }",
}


def dumped(files: Mapping[str, str]) -> str:
    return "".join(f"# configuration file {path}:\n{text}\n" for path, text in files.items())


def servers(files: Mapping[str, str]) -> list[dict[str, Any]]:
    return effective(files)["servers"]


def test_server_blocks_are_found_with_their_files_and_names() -> None:
    found = [(server["kind"], server["file"], server["names"]) for server in servers(files_of(dumped(FILES)))]
    assert found == [
        ("http", "/etc/nginx/sites-enabled/web", ["example.org", "www.example.org"]),
        ("http", "/etc/nginx/sites-enabled/web", ["other.org"]),
        ("stream", "/etc/nginx/nginx.conf", []),
    ]


def test_listeners_have_address_port_and_default() -> None:
    web, other, stream = servers(FILES)
    assert [(listen["address"], listen["port"], listen["default"]) for listen in web["listens"]] == [
        ("*", 80, True),
        ("[::]", 80, False),
        ("192.0.2.1", 80, False),
        ("", 0, False),
    ]
    assert web["listens"][1]["options"] == ["ipv6only=off"]
    # One of them is in a file that the block includes.
    assert [(listen["address"], listen["port"]) for listen in other["listens"]] == [("*", 443)]
    assert [listen["port"] for listen in stream["listens"]] == [443]
    assert web["includes"] == ["snippets/matrix-synapse-well-known*.conf"]


def test_a_server_block_without_listener_has_nginxs_own() -> None:
    (server,) = servers({"/etc/nginx/nginx.conf": "http { server { server_name a; } }"})
    assert [(listen["address"], listen["port"]) for listen in server["listens"]] == [("*", 80)]


def test_settings_are_those_directly_in_main_and_http() -> None:
    found = {(entry["block"], entry["file"], " ".join(entry["words"])) for entry in effective(FILES)["settings"]}
    assert ("main", "/etc/nginx/nginx.conf", "pcre_jit on") in found
    assert ("http", "/etc/nginx/nginx.conf", "variables_hash_max_size 2048") in found
    assert ("http", "/etc/nginx/conf.d/a.conf", "map_hash_max_size 4096") in found
    assert ("http", "/etc/nginx/nginx.conf", "include sites-enabled/*") in found
    assert not [entry for entry in found if "worker_connections" in entry[2] or "fastcgi" in entry[2]]


def test_a_file_that_cannot_be_read_may_listen_anywhere() -> None:
    lua = "content_by_lua_block { x = '}\n }\nserver {\n  server_name lua.org;\n}\n"
    (server,) = servers({"/etc/nginx/nginx.conf": "http { include a; }", "/etc/nginx/a": lua})
    assert server["names"] == ["lua.org"]
    assert {listen["port"] for listen in server["listens"]} == {80, 443}


def test_files_that_include_each_other_end() -> None:
    assert servers({"/etc/nginx/nginx.conf": "http { include nginx.conf; }"}) == []


# The survey of a host


class Programs:
    """nginx and dpkg of a host.

    Attributes:
        code: what nginx -T ends with.
        conffiles: what dpkg knows.
    """

    def __init__(self, etc: Path, code: int = 0) -> None:
        self.etc = etc
        self.code = code
        self.conffiles = ""

    def __call__(self, command: Sequence[str]) -> tuple[int, str, str]:
        if command[0] == "dpkg-query":
            return 0, self.conffiles, ""
        assert list(command) == ["/usr/sbin/nginx", "-T"]
        if self.code:
            return self.code, "", "nginx: [warn] x\nnginx: [emerg] unknown directive in /etc/nginx/a:1\nnginx: failed\n"
        return 0, dumped({str(self.etc / "nginx.conf"): "http { server { server_name told.org; } }"}), ""


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    for folder in ("sites-available", "sites-enabled"):
        (tmp_path / folder).mkdir()
    (tmp_path / "nginx.conf").write_text("http { include sites-enabled/*; }")
    (tmp_path / "sites-available" / "default").write_text("server { listen 80 default_server; }")
    return tmp_path


def test_a_host_without_nginx_has_nothing(etc: Path) -> None:
    assert survey("", Programs(etc), etc) is None


def test_what_nginx_tells_counts(etc: Path) -> None:
    found = survey("/usr/sbin/nginx", Programs(etc), etc)
    assert found is not None
    assert [server["names"] for server in found["servers"]] == [["told.org"]]
    assert found["refusal"] == ""


def test_what_nginx_refuses_is_read_from_its_files(etc: Path) -> None:
    (etc / "sites-enabled" / "web").write_text("server { server_name read.org; nonsense; }")
    found = survey("/usr/sbin/nginx", Programs(etc, code=1), etc)
    assert found is not None
    assert [server["names"] for server in found["servers"]] == [["read.org"]]
    assert found["refusal"] == "nginx: [emerg] unknown directive in /etc/nginx/a:1"


@pytest.mark.parametrize("edited", [False, True])
def test_the_site_of_the_package_serves_something_if_it_was_edited(etc: Path, edited: bool) -> None:
    programs = Programs(etc)
    site = etc / "sites-available" / "default"
    digest = hashlib.md5(site.read_bytes()).hexdigest()  # noqa: S324  # what dpkg has
    programs.conffiles = f" /etc/nginx/mime.types 0\n {site} {digest}\n"
    found = survey("/usr/sbin/nginx", programs, etc)
    assert found is not None and found["default_site"] is False
    (etc / "sites-enabled" / "default").symlink_to(site)
    if edited:
        site.write_text("server { listen 80; root /srv/shop; }")
    found = survey("/usr/sbin/nginx", programs, etc)
    assert found is not None and found["default_site"] is edited
