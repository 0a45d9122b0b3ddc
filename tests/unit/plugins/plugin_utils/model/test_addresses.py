# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses and names are what nginx, nftables, PostgreSQL, Redis and Synapse all accept."""

from __future__ import annotations

import pytest
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.addresses import (
    certificate_names,
    host_address,
    networks,
    server_name,
    url,
)


@pytest.mark.parametrize("value", ["10.0.0.1", "127.0.0.1", "fd00::1", "2001:DB8::1", "::1", "192.0.2.1"])
def test_an_address_of_a_host(value: str) -> None:
    assert host_address(value) is None


@pytest.mark.parametrize(
    ("value", "reason", "fix"),
    [
        ("fe80::1%eth0", "a zone is known to one host only", "Write 10.0.0.11 or fd00::11."),
        ("fe80::1", "a link-local address needs a zone", "Set it to the host's private address"),
        ("::ffff:10.0.0.1", "it is an IPv4 address in IPv6's form", "Write 10.0.0.1."),
        ("0.0.0.0", "processes would listen on all networks", "Set it to the host's private"),  # noqa: S104
        ("::", "processes would listen on all networks", "Set it to the host's private address"),
        ("224.0.0.1", "it is an address of many hosts", "Set it to the host's private address"),
        ("ff02::1", "it is an address of many hosts", "Set it to the host's private address"),
        ("255.255.255.255", "it is an address of many hosts", "Set it to the host's private address"),
        ("10.0.0.1/24", "it is an IP address, because", "Write 10.0.0.11."),
        ("10.0.0.1:8008", "it is an IP address, because", "Write 10.0.0.11."),
        ("10.0.0.1\n", "it is an IP address, because", "Write 10.0.0.11."),
        ("010.0.0.1", "it is an IP address, because", "Write 10.0.0.11."),
        ("[fd00::1]", "it is an IP address, because", "Write 10.0.0.11."),
        ("host1", "it is an IP address, because", "Write 10.0.0.11."),
        (167772161, "it is an IP address, because", "Write 10.0.0.11."),
    ],
)
def test_an_address_of_no_host(value: object, reason: str, fix: str) -> None:
    problem = host_address(value)
    assert problem is not None
    assert reason in problem[0]
    assert problem[1].startswith(fix)


@pytest.mark.parametrize(
    ("value", "reason", "fix"),
    [
        ("fe80::%eth0/64", "has a zone, which nginx does not read", "Write the network without the zone."),
        ("::ffff:192.0.2.0/120", "and nginx would never see such a client", "Write 192.0.2.0/24."),
        ("::ffff:192.0.2.1", "and nginx would never see such a client", "Write 192.0.2.1/32."),
        ("10.0.0.0/33", "is no network", "Write a list of networks"),
        ("all", "is no network", "Write a list of networks"),
        ("unix:", "is no network", "Write a list of networks"),
    ],
)
def test_a_network_that_cannot_be(value: str, reason: str, fix: str) -> None:
    problem = networks("nginx")(["10.0.0.0/8", value])
    assert problem is not None
    assert reason in problem[0]
    assert problem[1].startswith(fix)


@pytest.mark.parametrize(
    "value", ["10.0.0.0/8", "10.0.0.0/255.0.0.0", "10.1.2.3/8", "2001:db8::/32", "::/0", "192.0.2.1"]
)
def test_a_network(value: str) -> None:
    assert networks("nginx")([value]) is None


@pytest.mark.parametrize(
    ("value", "valid"),
    [
        *((name, True) for name in ("example.org", "a-b.example", "localhost", "192.0.2.1", "[2001:db8::1]:8448")),
        *((name, True) for name in ("example.org:8448", "xn--bcher-kva.example", f"{'a' * 63}.example")),
        *((name, False) for name in ("a..b", ".example.org", "example.org.", "a-.b", "-a", "192.0.2.999", "[::::]")),
        *((name, False) for name in ("example.org:0", "example.org:99999", "[fe80::1%a]", f"{'a' * 64}.example")),
        *((name, False) for name in ("*.example.org", "example.*", "~a", "$hostname", "a b", "Example.org", "a_b")),
    ],
)
def test_a_server_name(value: str, valid: bool) -> None:
    assert (server_name(value) is None) == valid


@pytest.mark.parametrize(
    ("value", "valid"),
    [
        *(
            (f"https://{rest}", True)
            for rest in ("matrix.example.org/", "a.b", "a.b:8448/", "[::1]:80/", "a.b/c/d/", "A.b")
        ),
        *(
            (f"https://{rest}", False)
            for rest in ("", "/", ".a.b/", "a..b/", "a.b:99999/", "a.b:/", "a.b/$x", "a.b/?q")
        ),
        *((f"https://{rest}", False) for rest in ("u@a.b/", "a.b\n", "[::::]/", "*.a.b/", "a.b//c")),
        ("ftp://a.b/", False),
    ],
)
def test_a_url(value: str, valid: bool) -> None:
    assert (url(value) is None) == valid


@pytest.mark.parametrize(
    ("value", "valid"),
    [
        (["matrix.lan", "*.lan", "192.0.2.1", "2001:db8::1", "[2001:db8::1]"], True),
        (["a,DNS:b"], False),
        (["a b"], False),
        (["fe80::1%a"], False),
        ([3], False),
        ("matrix.lan", False),
    ],
)
def test_names_of_a_certificate(value: object, valid: bool) -> None:
    assert (certificate_names(value) is None) == valid
