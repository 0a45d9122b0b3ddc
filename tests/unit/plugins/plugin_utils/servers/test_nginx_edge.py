# SPDX-License-Identifier: GPL-3.0-or-later
"""nginx of a host with other sites: what is left to them, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.baremetal.synapse.plugins.module_utils._nginx_dump import effective
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.topology import Topology
from ansible_collections.baremetal.synapse.plugins.plugin_utils.servers.nginx_edge import check_tenants, proxy_edge

from tests.unit.fleets import one_host

DEBIAN = """
include /etc/nginx/modules-enabled/*.conf;
http {
  include /etc/nginx/conf.d/*.conf;
  include /etc/nginx/sites-enabled/*;
  %s
}
"""
INCLUDE = "include snippets/matrix-synapse-well-known*.conf;"


def fleet(**variables: Any) -> Topology:
    return one_host(
        **{"synapse_server_name": "example.org", "synapse_public_baseurl": "https://matrix.example.org/", **variables}
    )


def host(web: str | None = None, *, http: str = "", main: str = "", **nginx: Any) -> dict[str, Any]:
    """Returns what the survey finds on a host with one site of somebody else."""
    found: dict[str, Any] = {"distribution": "Debian", "distribution_major_version": "13"}
    if web is None:
        return {**found, "nginx": None}
    files = {
        "/etc/nginx/nginx.conf": main + DEBIAN % http,
        "/etc/nginx/sites-enabled/web": web,
        "/etc/nginx/sites-enabled/zz-matrix-synapse": "server { listen 443; server_name example.org; }",
    }
    return {**found, "nginx": {**effective(files), "refusal": "", "default_site": False, **nginx}}


def edge(found: dict[str, Any], topology: Topology | None = None, **variables: Any) -> dict[str, Any]:
    return proxy_edge(topology or fleet(), "synapse1", found, variables)


def problems(found: dict[str, Any], topology: Topology | None = None, **variables: Any) -> list[str]:
    return [str(problem) for problem in check_tenants(topology or fleet(), "synapse1", found, variables)]


def test_a_host_of_its_own() -> None:
    made = edge(host())
    assert made["names"] == ["example.org", "matrix.example.org"]
    assert made["plain"] == ["80", "[::]:80"]
    assert made["main"] == ["443 ssl", "[::]:443 ssl", "8448 ssl", "[::]:8448 ssl"]
    assert made["catch_all"] == made["plain"] + made["main"]
    assert made["alone"]
    assert "/etc/nginx/sites-enabled/default" in made["disabled"]
    assert problems(host()) == []


def test_listeners_follow_the_variables_and_the_version_of_nginx() -> None:
    made = edge({"distribution": "Debian", "distribution_major_version": "12"}, nginx_ipv6=False, nginx_http_port=8080)
    assert made["plain"] == ["8080"]
    assert made["main"] == ["443 ssl http2", "8448 ssl http2"]


@pytest.mark.parametrize(
    ("variables", "listens"),
    [
        ({}, ["80", "[::]:80"]),
        ({"nginx_http_port": 8080, "nginx_ipv6": False}, ["8080"]),
        ({"nginx_listen": "192.0.2.10:8008"}, ["192.0.2.10:8008"]),
        ({"nginx_listen": "[2001:db8::1]:8008"}, ["[2001:db8::1]:8008"]),
    ],
)
def test_behind_a_proxy_that_ends_tls(variables: dict[str, Any], listens: list[str]) -> None:
    made = edge(host(), nginx_tls="off", **variables)
    assert (made["tls"], made["plain"], made["main"]) == ("off", [], listens)
    assert made["catch_all"] == listens


def test_further_names_are_those_of_the_certificate_too() -> None:
    made = edge(
        host(),
        nginx_server_names=["Chat.example.net"],
        nginx_tls_self_signed_names=["192.0.2.1", "2001:db8::1"],
    )
    assert made["names"][2:] == ["chat.example.net", "192.0.2.1", "[2001:db8::1]"]


def test_ports_are_those_of_no_name() -> None:
    assert edge(host(), fleet(synapse_server_name="example.org:8448"))["names"][0] == "example.org"


# Other sites


def test_the_server_for_unknown_names_is_left_to_others_where_they_listen() -> None:
    made = edge(host("server { listen 80 default_server; listen [::]:443 ssl; server_name shop.org; }"))
    assert made["catch_all"] == ["[::]:80", "443 ssl", "8448 ssl", "[::]:8448 ssl"]
    assert not made["alone"]


def test_a_site_that_listens_for_the_host_alone_is_none_of_our_business() -> None:
    found = host("server { listen 127.0.0.1:80 default_server; listen [::1]:443; server_name example.org; }")
    assert len(edge(found)["catch_all"]) == 6
    assert problems(found) == []


@pytest.mark.parametrize("name", ["example.org", ".example.org", "www.example.org example.org"])
def test_a_website_of_the_base_domain_is_refused_with_its_file_and_the_fix(name: str) -> None:
    (problem,) = problems(host(f"server {{ listen 443 ssl; server_name {name}; }}"))
    assert "synapse_server_name on host synapse1 is 'example.org': /etc/nginx/sites-enabled/web has" in problem
    assert "nginx_base_domain: include" in problem
    assert INCLUDE in problem


def test_a_website_of_the_base_domain_may_include_the_answers_of_matrix() -> None:
    found = host("server { listen 443 ssl; server_name example.org; }")
    made = edge(found, nginx_base_domain="include")
    assert made["names"] == ["matrix.example.org"]
    assert made["include_missing"]
    assert problems(found, nginx_base_domain="include") == []
    included = host(f"server {{ listen 443 ssl; server_name example.org; {INCLUDE} }}")
    assert not edge(included, nginx_base_domain="include")["include_missing"]
    assert not edge(included)["include_missing"]


def test_the_base_domain_cannot_be_included_if_clients_use_it() -> None:
    (problem,) = problems(host(), fleet(synapse_public_baseurl=None), nginx_base_domain="include")
    assert "synapse_public_baseurl: https://matrix.example.org/" in problem


def test_a_site_of_another_name_is_refused_too() -> None:
    (public,) = problems(host("server { listen 443 ssl; server_name matrix.example.org; }"))
    assert public.startswith("synapse_public_baseurl on host synapse1 is 'matrix.example.org'")
    (more,) = problems(host("server { server_name a.org; }"), nginx_server_names=["a.org"])
    assert more.startswith("nginx_server_names")


@pytest.mark.parametrize("names", ["shop.org", "*.example.org", "www.example.org", "_", '""'])
def test_sites_of_other_names_are_admitted(names: str) -> None:
    assert problems(host(f"server {{ listen 443 ssl; server_name {names}; }}")) == []


def test_our_own_sites_are_no_others() -> None:
    found = host("")
    assert edge(found)["alone"]
    assert problems(found) == []


def test_the_site_of_the_package_is_kept_if_it_serves_something() -> None:
    found = host("", default_site=True)
    found["nginx"]["servers"] += effective(
        {"/etc/nginx/nginx.conf": "http { include sites-enabled/*; }", "/etc/nginx/sites-enabled/default": "server {}"}
    )["servers"]
    assert "/etc/nginx/sites-enabled/default" not in edge(found)["disabled"]
    assert "80" not in edge(found)["catch_all"]
    found["nginx"]["default_site"] = False
    assert "/etc/nginx/sites-enabled/default" in edge(found)["disabled"]
    assert "80" in edge(found)["catch_all"]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("stream { server { listen 443; proxy_pass 10.0.0.1:443; } }", "passes this port on as a stream"),
        ("http { server { listen [::]:8448 ipv6only=off; } }", "ipv6only=off"),
    ],
)
def test_listeners_that_exclude_ours_are_refused(text: str, word: str) -> None:
    (problem,) = problems(host("", main=text))
    assert word in problem
    assert "/etc/nginx/nginx.conf" in problem


# Settings that nginx takes once


def test_settings_of_others_are_not_written_again() -> None:
    found = host("", http="map_hash_max_size 16384;", main="pcre_jit off;")
    written = edge(found)["settings"]
    assert "map_hash_max_size" not in [entry["name"] for entry in written["http"]]
    assert [entry["name"] for entry in written["main"]] == ["worker_rlimit_nofile"]
    assert problems(found) == []


def test_settings_of_others_that_are_too_low_are_refused() -> None:
    low = host("", http="map_hash_bucket_size 64;", main="worker_rlimit_nofile 1024;")
    bucket, files = problems(low)
    assert "map_hash_bucket_size in /etc/nginx/nginx.conf on host synapse1 is '64'" in bucket
    assert "needs 16384 here" in files


def test_an_nginx_conf_that_reads_no_sites_is_refused() -> None:
    found = host("")
    found["nginx"]["settings"] = [
        entry for entry in found["nginx"]["settings"] if entry["words"][-1] != "/etc/nginx/sites-enabled/*"
    ]
    (problem,) = problems(found)
    assert "include /etc/nginx/sites-enabled/*;" in problem


def test_a_configuration_that_nginx_refuses_already_is_refused_if_it_is_of_others() -> None:
    theirs = 'nginx: [emerg] unknown directive "x" in /etc/nginx/sites-enabled/web:1'
    (problem,) = problems(host("", refusal=theirs))
    assert theirs in problem
    assert problems(host("", refusal=theirs.replace("web", "zz-matrix-synapse"))) == []
    # A run repairs it.
    assert problems(host("", refusal="nginx: [emerg] cannot load certificate")) == []
