# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that cannot be deployed to are told before anything is done, all of them at once."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.baremetal.synapse.plugins.plugin_utils.lifecycle.host_checks import (
    host_paths,
    host_problems,
)
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model import layout

from tests.unit.fleets import one_host, several_hosts

FOUND: dict[str, Any] = {
    "distribution": "Debian",
    "distribution_major_version": "13",
    "python_version": "3.13.5",
    "memtotal_mb": 4096,
    "processor_vcpus": 2,
}
FLEET = several_hosts({"generic1": {"generic_workers": {"sync": {"count": 3, "memory_max": "1G"}}}})


def problems(found: dict[str, Any] | None = None, *, with_memory: bool = True, **variables: Any) -> list[str]:
    """Returns what is wrong with generic1, with this found on it and these variables of its own."""
    host = {"seen": {**FOUND, **(found or {})}, **variables}
    return host_problems(FLEET, {"generic1": host}, surveyed="seen", with_memory=with_memory)


@pytest.mark.parametrize("version", ["12", "13"])
def test_nothing_is_wrong_with_what_is_supported(version: str) -> None:
    assert problems({"distribution_major_version": version}, watchdog_interval=1, watchdog_grace="60") == []


@pytest.mark.parametrize(
    ("found", "variables", "told"),
    [
        (
            {"distribution_major_version": "11"},
            {},
            "on host generic1 is 'Debian 11': this collection supports Debian 12",
        ),
        ({"distribution": "Ubuntu", "distribution_major_version": "24"}, {}, "on host generic1 is 'Ubuntu 24'"),
        ({"python_version": "3.8.1"}, {}, "it needs Python 3.10, the host has 3.8.1"),
        ({"memtotal_mb": 3000}, {}, "memory_max on host generic1 is '3072 MiB'"),
        ({}, {"watchdog_interval": 0}, "watchdog_interval on host generic1 is 0: it is a whole number of seconds"),
        ({}, {"watchdog_checks": -1}, "watchdog_checks on host generic1 is -1: "),
        ({}, {"watchdog_grace": "soon"}, "watchdog_grace on host generic1 is 'soon': "),
        ({}, {"watchdog_interval": 1.5}, "watchdog_interval on host generic1 is 1.5: "),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence(found: dict[str, Any], variables: dict[str, Any], told: str) -> None:
    (problem,) = problems(found, **variables)
    assert told in problem


def test_memory_is_not_compared_with_what_nobody_has_asked_the_host_for() -> None:
    assert problems({"memtotal_mb": 3000}, with_memory=False) == []


def test_all_problems_of_a_host_are_told() -> None:
    found = problems({"python_version": "3.8.1"}, watchdog_interval=0, watchdog_grace=0)
    assert [problem.split(" on host ")[0] for problem in found] == [
        "watchdog_interval",
        "watchdog_grace",
        "synapse_version",
    ]


def test_a_host_is_asked_for_what_it_runs() -> None:
    host = {"seen": {**FOUND, "python_version": "3.8.1"}, "watchdog_interval": 0, "redis_maxmemory_mib": -1}
    found = {name: host_problems(FLEET, {name: host}, surveyed="seen") for name in ("db1", "cache1")}
    assert found["db1"] == []
    assert found["cache1"] == [
        "redis_maxmemory_mib on host cache1 is -1: it is a whole number of MiB. Set it to a number from 0 to"
        " 1073741824, without quotes."
    ]


@pytest.mark.parametrize("limit", [0, "0", 256, "256", None])
def test_limits_of_redis_that_can_be(limit: object) -> None:
    host = {"seen": FOUND, "redis_maxmemory_mib": limit}
    assert host_problems(FLEET, {"cache1": host}, surveyed="seen") == []


def test_hosts_with_the_same_problem_share_a_sentence() -> None:
    old = {"seen": {**FOUND, "distribution_major_version": "11"}}
    found = host_problems(FLEET, {"db1": old, "main1": {"seen": FOUND}, "proxy1": old}, surveyed="seen")
    assert [problem.split(" is ")[0] for problem in found] == ["The operating system on hosts db1, proxy1"]


ONE_HOST = one_host()
NGINX: dict[str, Any] = {
    "nginx_tls_certificate": "/etc/ssl/matrix.pem",
    "nginx_tls_certificate_key": "/etc/ssl/matrix.key",
}


def problems_of_nginx(found: dict[str, Any] | None = None, **variables: Any) -> list[str]:
    """Returns what is wrong with a host of everything, with these variables of its own."""
    host = {"seen": {**FOUND, **(found or {})}, **variables}
    return host_problems(ONE_HOST, {"synapse1": host}, surveyed="seen")


@pytest.mark.parametrize("value", [[], None, "192.0.2.0/24", ["192.0.2.0/24", "2001:db8::/32", "192.0.2.1"]])
def test_nothing_is_wrong_with_networks(value: object) -> None:
    assert problems_of_nginx(**NGINX, nginx_admin_allowed=value) == []


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (5, "is 5: it is a list of networks. Write a list of networks, such as"),
        (["office.example.org"], "is ['office.example.org']: 'office.example.org' in it is no network, and nginx"),
        (["192.0.2.0/24; allow all"], "'192.0.2.0/24; allow all' in it is no network"),
        ([3], "'3' in it is no network"),
    ],
)
def test_what_is_wrong_with_networks_is_told(value: object, told: str) -> None:
    (problem,) = problems_of_nginx(**NGINX, nginx_trusted_proxies=value)
    assert problem.startswith("nginx_trusted_proxies on host synapse1 is ")
    assert told in problem


def test_nginx_needs_a_certificate_and_its_key_or_may_make_them() -> None:
    certificate, key = problems_of_nginx()
    assert certificate.startswith(
        "nginx_tls_certificate on host synapse1 is not set: nginx serves Matrix over TLS only"
    )
    assert key.startswith("nginx_tls_certificate_key on host synapse1 is not set: ")
    # From the command line, a boolean is a text.
    for yes in (True, "true"):
        assert problems_of_nginx(nginx_tls_self_signed=yes) == []
    assert len(problems_of_nginx(nginx_tls_self_signed="false")) == 2


def test_the_certificate_must_be_on_the_host() -> None:
    assert host_paths(ONE_HOST, "synapse1", NGINX) == [
        "/etc/ssl/matrix.key",
        "/etc/ssl/matrix.pem",
        layout.PACKAGED_UNIT,
        layout.MEDIA_DIR,
    ]
    found = {"paths": {"/etc/ssl/matrix.pem": True, "/etc/ssl/matrix.key": False}}
    (problem,) = problems_of_nginx(found, **NGINX)
    assert problem.startswith(
        "nginx_tls_certificate_key on host synapse1 is '/etc/ssl/matrix.key': there is no such file"
    )


def certificate(**known: Any) -> dict[str, Any]:
    """Returns what a survey finds of a certificate for the server, with its key."""
    fitting = {"expired": False, "names": ["example.org"], "public_key": "1"}
    files = {"/etc/ssl/matrix.pem": {**fitting, **known}, "/etc/ssl/matrix.key": {**fitting, "names": []}}
    return {"certificates": files}


@pytest.mark.parametrize(
    ("known", "told"),
    [
        (
            {"expired": True},
            "nginx_tls_certificate on host synapse1 is '/etc/ssl/matrix.pem': the certificate has expired",
        ),
        (
            {"public_key": "2"},
            "nginx_tls_certificate_key on host synapse1 is '/etc/ssl/matrix.key': the key does not fit",
        ),
        ({"names": ["*.example.org", "a.org"]}, "the certificate is for *.example.org, a.org, and clients come to"),
    ],
)
def test_a_certificate_that_clients_would_refuse(known: dict[str, Any], told: str) -> None:
    (problem,) = problems_of_nginx(certificate(**known), **NGINX)
    assert told in problem
    assert problems_of_nginx(certificate(**known), nginx_tls="self_signed") == []


@pytest.mark.parametrize("names", [["example.org"], ["EXAMPLE.org", "x.org"], []])
def test_a_certificate_that_fits(names: list[str]) -> None:
    assert problems_of_nginx(certificate(names=names), **NGINX) == []


def test_a_wildcard_and_an_address_are_names_of_a_certificate() -> None:
    for url, name in (("https://matrix.example.org/", "*.example.org"), ("https://[2001:db8::1]/", "2001:DB8:0::1")):
        host = {"seen": {**FOUND, **certificate(names=[name])}, **NGINX}
        assert host_problems(one_host(synapse_public_baseurl=url), {"synapse1": host}, surveyed="seen") == []


def test_who_ends_tls_in_front_of_nginx_is_known() -> None:
    trusted: dict[str, Any] = {"nginx_trusted_proxies": ["10.8.0.1"]}
    for off in ("off", False):
        assert problems_of_nginx(nginx_tls=off, **trusted) == []
    (problem,) = problems_of_nginx(nginx_tls="off")
    assert problem.startswith("nginx_trusted_proxies on host synapse1 is not set: with nginx_tls: 'off'")
    (problem,) = problems_of_nginx(nginx_tls="off", nginx_tls_self_signed=True, **trusted)
    assert "nginx_tls_self_signed on host synapse1 is True: nginx_tls is off. Remove" in problem
    (problem,) = problems_of_nginx(nginx_tls="self_signed", nginx_listen="127.0.0.1:8008")
    assert "nginx_listen on host synapse1 is '127.0.0.1:8008'" in problem


@pytest.mark.parametrize(
    "value", ["8008", "example.org:80", "[192.0.2.1]:80", "2001:db8::1:80", "192.0.2.1:0", "1.2.3.4:x"]
)
def test_an_address_without_a_port_is_none_to_listen_on(value: str) -> None:
    (problem,) = problems_of_nginx(nginx_tls="off", nginx_trusted_proxies=["10.8.0.1"], nginx_listen=value)
    assert "it is an address of the host with a port" in problem


def test_behind_a_proxy_the_ports_of_tls_may_be_those_of_others() -> None:
    caddy = [{"address": "0.0.0.0", "port": 443, "program": "caddy", "unit": "caddy.service"}]  # noqa: S104
    fleet = one_host(nginx_tls="off", nginx_trusted_proxies=["127.0.0.1"])
    host = {"seen": {**FOUND, "ports": caddy}, "nginx_tls": "off", "nginx_trusted_proxies": ["127.0.0.1"]}
    assert host_problems(fleet, {"synapse1": host}, surveyed="seen") == []
    assert problems_of_nginx({"ports": caddy}, nginx_tls="self_signed") != []


STORE = one_host(synapse_media_store_path="/srv/media")


@pytest.mark.parametrize(
    ("there", "told"),
    [
        (
            {"link": True, "real": "/mnt/a"},
            "it is a link, and a run would change the directory that it leads to. Write /mnt/a.",
        ),
        ({"real": "/etc"}, "links lead it to /etc, and /etc belongs to the system"),
        ({"real": "/home/a/media"}, "links lead it to /home/a/media, and the units of Synapse do not see /home"),
        (
            {"owner": "www-data", "names": ["index.html"]},
            "it belongs to www-data and has index.html, which is no medium",
        ),
        ({"owner": "root", "names": ["a", "local_content"]}, "it belongs to root and has a, which is no medium"),
        ({}, ""),
        ({"real": "/mnt/disk/media"}, ""),
        ({"names": ["lost+found", "local_content", "url_cache"]}, ""),
        ({"owner": "matrix-synapse", "names": ["anything"]}, ""),
    ],
)
def test_a_media_store_of_others_is_refused(there: dict[str, Any], told: str) -> None:
    place = {"real": "/srv/media", "link": False, "owner": "root", "names": [], **there}
    found = {**FOUND, "directories": {"/srv/media": place}}
    problems = host_problems(STORE, {"synapse1": {"seen": found, **NGINX}}, surveyed="seen")
    assert len(problems) == bool(told)
    assert told in "".join(problems)


def test_a_host_that_serves_no_media_may_have_anything_there() -> None:
    place = {"real": "/srv/media", "link": True, "owner": "root", "names": ["a"]}
    fleet = several_hosts({"generic1": {"generic_workers": {"sync": {}}}}, synapse_media_store_path="/srv/media")
    found = {**FOUND, "directories": {"/srv/media": place}}
    assert host_problems(fleet, {"generic1": {"seen": found}}, surveyed="seen") == []


def test_a_host_with_a_packaged_synapse_is_refused() -> None:
    (problem,) = problems_of_nginx({"paths": {layout.PACKAGED_UNIT: True}}, **NGINX)
    assert "a package has installed Synapse" in problem
    assert "keep its signing key" in problem


def test_the_certificate_that_signs_postgresqls_must_be_on_the_hosts_of_synapse() -> None:
    fleet = several_hosts(postgres_tls=True, postgres_tls_root_certificate="/etc/ssl/root.pem")
    assert "/etc/ssl/root.pem" in host_paths(fleet, "generic1", {})
    assert "/etc/ssl/root.pem" not in host_paths(fleet, "db1", {})
    own = {"seen": {**FOUND, "paths": {"/etc/ssl/root.pem": False}}}
    (problem,) = host_problems(fleet, {"generic1": own}, surveyed="seen")
    assert problem.startswith("postgres_tls_root_certificate on host generic1 is '/etc/ssl/root.pem': there is no such")
