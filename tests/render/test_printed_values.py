# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs that read the files get back the values that were written: samples for each of them.

``tests/unit/plugins/plugin_utils/test_printed_values.py`` tries far more values, with parsers in Python.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.errors import TopologyError
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.releases import NEWEST
from ansible_collections.baremetal.synapse.plugins.plugin_utils.rendering import quoting
from ansible_collections.baremetal.synapse.plugins.plugin_utils.routing.proxy import proxy_server
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.config import shared_config
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.drop_in import drop_in
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.units import main_unit
from ansible_collections.baremetal.synapse.plugins.plugin_utils.views.firewall import firewall_rules
from ansible_collections.baremetal.synapse.plugins.plugin_utils.views.text import as_yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tests.support.nasty import FIXED
from tests.unit.fleets import one_host, several_hosts
from tools.nginx import nginx_binary
from tools.routes.install import environment

ROOT = Path(__file__).resolve().parents[2]
# A client that does not answer has a test fail, not wait.
_SECONDS = 30


def expressible(grammar: str) -> dict[str, str]:
    """Returns the samples that a grammar can express, with their quoted forms."""
    found = {}
    for text in FIXED:
        try:
            found[text] = quoting.quoted(text, grammar)
        except ValueError:
            continue
    # Most of the samples are awkward, not impossible.
    assert len(found) > len(FIXED) / 2
    return found


NGINX = """
{user}
daemon off;
pid {scratch}/nginx.pid;
error_log stderr;
events {{}}
http {{
  access_log off;
  client_body_temp_path {scratch}/body;
  proxy_temp_path {scratch}/proxy;
  fastcgi_temp_path {scratch}/fastcgi;
  uwsgi_temp_path {scratch}/uwsgi;
  scgi_temp_path {scratch}/scgi;
  default_type text/plain;
  server {{
    listen unix:{scratch}/nginx.sock;
    {directives}
  }}
}}
"""


@contextmanager
def nginx(scratch: Path, directives: str) -> Iterator[None]:
    """Runs a server with these directives."""
    config = scratch / "nginx.conf"
    # Root's nginx would read files as somebody who may not enter the directories of a test.
    user = "user root;" if os.geteuid() == 0 else ""
    config.write_text(NGINX.format(user=user, scratch=scratch, directives=directives))
    arguments: list[str | Path] = [nginx_binary(), "-e", "stderr", "-p", scratch, "-c", config]
    tested = subprocess.run([*arguments, "-t"], capture_output=True, text=True, check=False)
    assert tested.returncode == 0, tested.stderr
    process = subprocess.Popen(arguments, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(_SECONDS)


def answer(scratch: Path, path: str, host: str = "localhost") -> bytes:
    """Returns what the server answers."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_SECONDS)
        deadline = time.monotonic() + _SECONDS
        while connection.connect_ex(str(scratch / "nginx.sock")):
            assert time.monotonic() < deadline, "nginx does not listen"
            time.sleep(0.02)
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        response = http.client.HTTPResponse(connection)
        response.begin()
        return response.read()


def test_nginx_answers_with_what_was_written(tmp_path: Path) -> None:
    samples = expressible("nginx")
    content = {"all": [text for text in FIXED if "\ud800" not in text]}
    fleet = one_host(synapse_extra_config={"extra_well_known_client_content": content})
    known = proxy_server(fleet)["well_known"]["client"]
    bodies = {**samples, known: quoting.nginx(known)}
    locations = "\n".join(
        f"location = /{number} {{ return 200 {bodies[text]}; }}" for number, text in enumerate(bodies)
    )
    with nginx(tmp_path, locations):
        found = [answer(tmp_path, f"/{number}").decode() for number in range(len(bodies))]
    assert found == list(bodies)
    assert json.loads(found[-1])["all"] == content["all"]


def test_nginx_finds_files_whose_paths_are_awkward(tmp_path: Path) -> None:
    directory = tmp_path / "a b;{c}\"'\\d #é"
    (directory / "here").mkdir(parents=True)
    (directory / "here" / "file").write_text("found")
    with nginx(tmp_path, f"location /here/ {{ root {quoting.nginx(str(directory))}; }}"):
        assert answer(tmp_path, "/here/file") == b"found"


def test_nginx_takes_names_of_every_length(tmp_path: Path) -> None:
    names = [("a" * 60 + ".") * 3 + "b" * length for length in (1, 20, 40)] + ["a" * length for length in (39, 40, 41)]
    written = " ".join(quoting.nginx_name(name) for name in names)
    with nginx(tmp_path, f"server_name {written}; location / {{ return 200 known; }}"):
        assert {answer(tmp_path, "/", name) for name in names} == {b"known"}


def test_nginx_takes_every_network(tmp_path: Path) -> None:
    networks = ["10.0.0.0/255.0.0.0", "10.1.2.3/8", "2001:db8::1/32", "192.0.2.1", "::/0"]
    directives = "".join(f"allow {quoting.nginx_network(network)}; " for network in networks)
    with nginx(tmp_path, f"location / {{ {directives} return 200 known; }}"):
        assert answer(tmp_path, "/") == b"known"


def test_postgresql_reads_what_was_written(tmp_path: Path) -> None:
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not programs:
        pytest.skip("PostgreSQL is not installed here")
    samples = expressible("postgresql")
    lines = [f"sample.s{number} = {quoted}" for number, quoted in enumerate(samples.values())]
    (tmp_path / "postgresql.conf").write_text("\n".join(lines) + "\n")
    for number, text in enumerate(samples):
        done = subprocess.run(
            [programs[-1], "-C", f"sample.s{number}", "-D", tmp_path], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout.removesuffix("\n")) == (0, text), done.stderr


def test_systemd_takes_a_unit_with_every_value(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd is not installed here")
    samples = {}
    for number, text in enumerate(FIXED):
        try:
            one_host(synapse_main_settings={"env": {"A": text}})
        except TopologyError:
            continue
        samples[f"A{number}"] = text
    fleet = one_host(
        synapse_media_store_path="/srv/a=b,c:d+e@f~g",
        synapse_main_settings={"env": samples, "memory_max": "99.5%", "cpu_quota": "999999%"},
    )
    unit = tmp_path / "sample.service"
    text = drop_in(main_unit(fleet), fleet.options["synapse_media_store_path"])
    unit.write_text(text.replace("[Service]\n", "[Service]\nExecStart=/bin/true\n"))
    done = subprocess.run([program, "verify", "--man=no", unit], capture_output=True, text=True, check=False)
    told = [line for line in done.stderr.splitlines() if "sample.service" in line]
    assert told == []


def test_nft_takes_the_rules(tmp_path: Path) -> None:
    nft = shutil.which("nft") or shutil.which("nft", path="/usr/sbin")
    if nft is None:
        pytest.skip("nftables is not installed here")
    templates = Environment(
        loader=FileSystemLoader(ROOT / "roles/firewall/templates"),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701  # nft's language, not HTML
    )
    templates.filters["comment"] = "# {}".format
    for network in ("10.0.0.0/255.0.0.0", "10.1.2.3/8", "0.0.0.0/0", "192.0.2.1"):
        fleet = several_hosts(synapse_metrics_allowed=[network, "::/0", "2001:db8::/32"])
        text = templates.get_template("firewall.nft.j2").render(
            item=firewall_rules(fleet, "main1"),
            ansible_managed="Ansible managed",
            __firewall_table="inet matrix_synapse_test",
            __firewall_unit="sample.service",
        )
        file = tmp_path / "rules.nft"
        file.write_text(text)
        done = subprocess.run(["unshare", "--net", nft, "-c", "-f", file], capture_output=True, text=True, check=False)
        assert done.returncode == 0, (done.stderr, text)


READ = """
import json, sys
from synapse.config._base import read_config_files
print(json.dumps(read_config_files(sys.argv[1:])))
"""


def test_synapse_reads_what_was_written(tmp_path: Path) -> None:
    texts = [text for text in FIXED if "\ud800" not in text]
    config = {
        "email": {"subjects": texts},
        "limits": dict.fromkeys(texts, 1),
        "numbers": [1, 1.5, 1e300, -1, True, None],
    }
    fleet = one_host(synapse_extra_config=config)
    file = tmp_path / "homeserver.yaml"
    file.write_text(f"# Ansible managed\n---\n{as_yaml(shared_config(fleet))}")
    done = subprocess.run([environment(str(NEWEST)), "-c", READ, file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {name: found[name] for name in config} == config
    assert re.fullmatch(r"[a-z.]+", found["server_name"])
