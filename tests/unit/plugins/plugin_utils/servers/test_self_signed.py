# SPDX-License-Identifier: GPL-3.0-or-later
"""Names in the self-signed certificate."""

from __future__ import annotations

from ansible_collections.baremetal.synapse.plugins.plugin_utils.servers.self_signed import (
    printed_names,
    subject_names,
)

from tests.unit.filters import load_filter
from tools.inventory import load_topology_json
from tools.runs import ROOT

PRINTED = ["X509v3 Subject Alternative Name: ", "    DNS:example.org, DNS:matrix.example.org, IP Address:192.0.2.1"]


def test_names_and_addresses_are_told_apart_and_named_once() -> None:
    names = ["example.org", "192.0.2.1", "[2001:db8::1]", "2001:db8::2", "example.org", "1.example.org"]
    assert subject_names(names) == [
        "DNS:example.org",
        "IP:192.0.2.1",
        "IP:2001:db8::1",
        "IP:2001:db8::2",
        "DNS:1.example.org",
    ]


def test_names_are_read_as_openssl_prints_them() -> None:
    assert printed_names(PRINTED) == ["DNS:example.org", "DNS:matrix.example.org", "IP:192.0.2.1"]
    assert printed_names([]) == []


def test_a_certificate_with_other_names_is_not_current() -> None:
    view, topology = load_filter("self_signed"), load_topology_json(ROOT / "inventories" / "single_host")
    names = view(topology, ["192.0.2.1"])["names"]
    printed = [", ".join(name.replace("IP:", "IP Address:") for name in reversed(names))]
    assert view(topology, ["192.0.2.1"], printed)["current"]
    assert not view(topology, [], printed)["current"]
    assert not view(topology, ["192.0.2.1"])["current"]
