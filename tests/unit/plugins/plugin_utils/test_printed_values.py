# SPDX-License-Identifier: GPL-3.0-or-later
"""No value leaves the place that it is printed to: it is refused, or the file has the same form with any value.

``FUZZ=50`` tries more of them (tests/support/examples.py).
``tests/render/test_printed_values.py`` asks the programs that read the files.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import crossplane
import pytest
import yaml
from ansible_collections.baremetal.synapse.plugins.plugin_utils.lifecycle.host_checks import host_problems
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.errors import TopologyError
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.inputs import INPUTS
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.texts import control_character
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.topology import Topology
from ansible_collections.baremetal.synapse.plugins.plugin_utils.rendering import quoting
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.config import shared_config
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.drop_in import drop_in
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.units import main_unit
from ansible_collections.baremetal.synapse.plugins.plugin_utils.views.firewall import firewall_rules
from ansible_collections.baremetal.synapse.plugins.plugin_utils.views.text import as_yaml
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tests.support.examples import tried
from tests.support.nasty import texts, values
from tests.unit.fleets import one_host, several_hosts
from tools.proxy_files import proxy_files

FOUND = {
    "distribution": "Debian",
    "distribution_major_version": "13",
    "python_version": "3.13.5",
    "memtotal_mb": 65536,
    "processor_vcpus": 4,
}
NGINX = {"nginx_tls_certificate": "/etc/ssl/matrix.pem", "nginx_tls_certificate_key": "/etc/ssl/matrix.key"}
Directive = dict[str, Any]


def refusals_of(topology: Topology, **variables: Any) -> list[str]:
    """Returns why a host of everything is refused with these variables."""
    host = {"seen": FOUND, **NGINX, **variables}
    return host_problems(topology, {"synapse1": host}, surveyed="seen", with_memory=False)


def parsed(folder: Path, text: str) -> list[Directive]:
    """Returns the directives of a file as crossplane reads them."""
    path = folder / "nginx.conf"
    path.write_text(text)
    found = crossplane.parse(str(path), single=True, check_ctx=False, check_args=False)
    assert found["status"] == "ok", (found["errors"], text)
    directives: list[Directive] = found["config"][0]["parsed"]
    return directives


def form(directives: list[Directive]) -> list[Any]:
    """Returns the names of directives and what is in their blocks, without their values; in a map, names are values."""
    return [
        (entry["directive"], len(entry["args"]), _form_of_map(block) if entry["directive"] == "map" else form(block))
        for entry in directives
        for block in [entry.get("block", [])]
    ]


def _form_of_map(entries: list[Directive]) -> list[Any]:
    return [(len(entry["args"]), len(entry.get("block", []))) for entry in entries]


@cache
def usual_form(folder: Path) -> list[Any]:
    """Returns the form of nginx's site with usual values."""
    networks = {name: ["192.0.2.0/24"] for name in ("nginx_admin_allowed", "nginx_trusted_proxies")}
    fleet = one_host(synapse_public_baseurl="https://matrix.example.org")
    return form(parsed(folder, proxy_files(fleet, {**NGINX, **networks}).site))


def site_of(folder: Path, topology: Topology, **variables: Any) -> list[Directive]:
    """Returns nginx's site with these variables, after a look at its form."""
    networks = {name: ["192.0.2.0/24"] for name in ("nginx_admin_allowed", "nginx_trusted_proxies")}
    site = parsed(folder, proxy_files(topology, {**NGINX, **networks, **variables}).site)
    assert form(site) == usual_form(folder)
    return site


def arguments(directives: list[Directive], name: str) -> Iterator[str]:
    """Returns the values of all directives of a name, without nginx's escapes."""
    for entry in directives:
        if entry["directive"] == name:
            # crossplane leaves a doubled backslash as it is.
            yield from (value.replace("\\\\", "\\") for value in entry["args"])
        yield from arguments(entry.get("block", []), name)


# Each grammar


@tried(300)
@given(texts)
def test_nginx_reads_one_parameter(tmp_path: Path, text: str) -> None:
    try:
        quoted = quoting.nginx(text)
    except ValueError:
        assert "$" in text or control_character(text)
        return
    (directive,) = parsed(tmp_path, f"root {quoted};")
    assert list(arguments([directive], "root")) == [text]
    # Variables are replaced within quotes, too.
    assert "$" not in quoted


# shlex knows the two escapes that systemd's and Redis' double quotes share.
@tried(300)
@given(texts)
def test_systemd_and_redis_read_one_word(text: str) -> None:
    for quote, undone in ((quoting.systemd, lambda word: word.replace("%%", "%")), (quoting.redis, str)):
        try:
            quoted = quote(text)
        except ValueError:
            assert control_character(text)
            continue
        (word,) = shlex.split(quoted)
        assert undone(word) == text
        assert quoted.count("%") % 2 == 0 or quote is quoting.redis


@tried(300)
@given(texts)
def test_postgresql_and_sql_read_one_literal(text: str) -> None:
    for quote in (quoting.sql, quoting.postgresql):
        try:
            quoted = quote(text)
        except ValueError:
            assert control_character(text)
            continue
        inner = quoted.removeprefix("E").removeprefix("'").removesuffix("'")
        assert "'" not in inner.replace("''", "")
        doubled = quoted.startswith("E") or quote is quoting.postgresql
        plain = inner.replace("''", "'")
        assert (plain.replace("\\\\", "\\") if doubled else plain) == text
        assert doubled or "\\" not in inner


@tried(80)
@given(st.dictionaries(texts, values, max_size=4))
def test_yaml_reads_what_was_written(config: dict[str, Any]) -> None:
    assume("\\ud" not in json.dumps(config).lower())
    assert yaml.safe_load(as_yaml(config)) == config


def test_a_grammar_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="'toml' is no grammar: known are nginx"):
        quoting.quoted("a", "toml")


# nginx's files, with each value that an operator can set

_NGINX_TEXTS = ("nginx_tls_certificate", "nginx_tls_certificate_key", "nginx_acme_webroot")
_DIRECTIVES = {
    "nginx_tls_certificate": "ssl_certificate",
    "nginx_tls_certificate_key": "ssl_certificate_key",
    "nginx_acme_webroot": "root",
    "nginx_admin_allowed": "allow",
    "nginx_trusted_proxies": "set_real_ip_from",
}
ONE_HOST = one_host(synapse_public_baseurl="https://matrix.example.org")


@pytest.mark.parametrize("variable", _NGINX_TEXTS)
@tried(50)
@given(text=texts)
@example(text="/etc/letsencrypt/live/*.example.org/full chain; {1}.pem")
def test_a_path_of_nginx_stays_in_its_place(tmp_path: Path, variable: str, text: str) -> None:
    if refusals_of(ONE_HOST, **{variable: text}) or not text:
        return
    site = site_of(tmp_path, ONE_HOST, **{variable: text})
    assert text in set(arguments(site, _DIRECTIVES[variable]))


@pytest.mark.parametrize("variable", ["nginx_admin_allowed", "nginx_trusted_proxies"])
@tried(50)
@given(text=st.one_of(texts, st.ip_addresses().map(str)))
@example(text="10.0.0.0/255.0.0.0")
@example(text="fe80::1%a;b")
def test_a_network_of_nginx_stays_in_its_place(tmp_path: Path, variable: str, text: str) -> None:
    if refusals_of(ONE_HOST, **{variable: [text]}):
        return
    written = next(arguments(site_of(tmp_path, ONE_HOST, **{variable: [text]}), _DIRECTIVES[variable]))
    assert set(written) <= set("0123456789abcdef.:/")


@pytest.mark.parametrize("variable", ["synapse_server_name", "synapse_public_baseurl", "synapse_max_upload_size"])
@tried(50)
@given(text=texts)
@example(text="https://.example.org/")
@example(text="https://example.org:99999/")
@example(text="https://a..b/")
@example(text="example.org:0")
@example(text="[::::]")
@example(text="999.1.1.1")
@example(text="99999999999999999999G")
def test_an_input_of_nginx_stays_in_its_place(tmp_path: Path, variable: str, text: str) -> None:
    usual = {"synapse_public_baseurl": "https://matrix.example.org"}
    assume(text)  # an empty text is "not set"
    try:
        fleet = one_host(**{**usual, variable: text})
    except TopologyError:
        return
    site_of(tmp_path, fleet)


@tried(40)
@given(st.dictionaries(texts, values, max_size=3))
@example({"a": "$host", "b": "'", "c": "\\", "d": "é\n"})
def test_answers_of_well_known_are_what_was_written(tmp_path: Path, content: dict[str, Any]) -> None:
    try:
        fleet = one_host(synapse_extra_config={"extra_well_known_client_content": content})
    except TopologyError:
        return
    site = parsed(tmp_path, proxy_files(fleet, NGINX).site)
    (answer,) = (value for value in arguments(site, "return") if "m.homeserver" in value)
    assert "$" not in answer
    expected = {**content, "m.homeserver": {"base_url": "https://example.org/"}}
    assert json.loads(answer) == expected


@tried(150)
@given(st.one_of(texts, st.from_regex(r"[a-z0-9.:\[\]-]{1,60}", fullmatch=True)))
def test_a_long_name_is_a_pattern_of_nginx(tmp_path: Path, text: str) -> None:
    try:
        one_host(synapse_server_name=text)
    except TopologyError:
        return
    (directive,) = parsed(tmp_path, f"server_name {quoting.nginx_name(text)};")
    assert len(directive["args"]) == 1
    assert len(directive["args"][0]) <= 40 or directive["args"][0].startswith("~^")


# systemd's files


@tried(150)
@given(texts, st.dictionaries(st.sampled_from(["A", "B_1"]), texts, max_size=2), texts, texts)
def test_a_drop_in_has_a_line_for_each_value(
    store: str, environment: dict[str, str], memory_max: str, cpu_quota: str
) -> None:
    settings: dict[str, Any] = {"env": environment}
    for name, value in (("memory_max", memory_max), ("cpu_quota", cpu_quota)):
        try:
            one_host(synapse_main_settings={name: value})
        except TopologyError:
            continue
        settings[name] = value
    try:
        fleet = one_host(synapse_media_store_path=store, synapse_main_settings=settings)
    except TopologyError:
        return
    lines = drop_in(main_unit(fleet), store).split("\n")
    found = [line.partition("=") for line in lines if line and line[0] not in "#["]
    expected = [
        "RequiresMountsFor",
        "ReadWritePaths",
        "InaccessiblePaths",
        *sorted({"CPUQuota", "MemoryMax"} & {f[0] for f in found}),
    ]
    assert [name for name, _, _ in found] == [*expected, *["Environment"] * len(environment)]
    (path,) = shlex.split(found[0][2])
    assert path.replace("%%", "%") == store
    words = [shlex.split(value)[0].replace("%%", "%") for name, _, value in found if name == "Environment"]
    assert words == sorted(f"{name}={value}" for name, value in environment.items())


# All inputs


@pytest.mark.parametrize("variable", sorted(INPUTS))
@tried(60)
@given(value=st.one_of(texts, values))
def test_an_input_is_refused_or_yields_files_that_can_be_read(variable: str, value: Any) -> None:
    try:
        fleet = one_host(**{variable: value})
    except TopologyError:
        return
    config = shared_config(fleet)
    assert yaml.safe_load(as_yaml(config)) == json.loads(json.dumps(config))
    as_yaml(config).encode()


@tried(200)
@given(st.one_of(texts, st.ip_addresses().map(str)), texts)
@example("fe80::1%eth0", "10.0.0.0/8")
@example("::ffff:10.0.0.3", "10.0.0.0/8")
def test_rules_of_the_firewall_have_addresses_only(address: str, network: str) -> None:
    try:
        fleet = several_hosts({"main1": {"synapse_address": address}}, synapse_metrics_allowed=[network])
    except TopologyError:
        return
    rules = firewall_rules(fleet, "main1")
    words = [rules["address"], *(source for listener in rules["listeners"] for source in listener["sources"])]
    assert all(set(word) <= set("0123456789abcdef.:/") for word in words)
