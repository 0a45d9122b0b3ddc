# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/render.yml: every file of every host, without a host; nginx and Synapse take what is rendered."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model import layout
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.topology import Topology
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.secrets import secret_files
from ansible_collections.baremetal.synapse.plugins.plugin_utils.views.diagram import diagram

from tools.inventory import load_topology, load_variables
from tools.nginx import nginx_binary
from tools.proxy_files import proxy_files
from tools.routes.install import environment

from .conftest import INVENTORIES, ROOT, SEVERAL_HOSTS, Render, Run

NGINX_CONF = """
daemon off;
pid {scratch}/nginx.pid;
include {etc}/modules-enabled/*.conf;
events {{ worker_connections 768; }}
http {{
  client_body_temp_path {scratch}/body;
  proxy_temp_path {scratch}/proxy;
  fastcgi_temp_path {scratch}/fastcgi;
  uwsgi_temp_path {scratch}/uwsgi;
  scgi_temp_path {scratch}/scgi;
  access_log {scratch}/access.log;
  include {etc}/conf.d/*.conf;
  include {etc}/sites-enabled/*;
}}
"""

# As the units start the processes: homeserver.yaml and then their own file. One interpreter parses them all.
PARSE = """
import json, logging.config, pathlib, sys, yaml
from synapse.config.homeserver import HomeServerConfig
shared, log, files = sys.argv[1], sys.argv[2], sys.argv[3:]
logging.config.dictConfig(yaml.safe_load(pathlib.Path(log).read_text()))
told = {}
for file in files:
    arguments = ["-c", shared, "-c", file]
    if pathlib.Path(file).name == "main.yaml":
        config = HomeServerConfig.load_or_generate_config("Synapse homeserver", arguments)
    else:
        config = HomeServerConfig.load_config("Synapse worker", arguments)
    told[file] = {
        "app": config.worker.worker_app,
        "name": config.worker.worker_name,
        "server": config.server.server_name,
        "keys": [key.version for key in config.key.signing_key],
        "listeners": len(config.worker.worker_listeners or config.server.listeners),
        "replication": config.worker.worker_replication_secret,
    }
print(json.dumps(told))
"""


@dataclass(frozen=True)
class Tree:
    """An inventory that was rendered, twice.

    Attributes:
        inventory: the inventory.
        topology: what it says.
        root: the directory.
        first: the first run.
        second: the second one.
        files: the digest of each file before the second run.
    """

    inventory: Path
    topology: Topology
    root: Path
    first: Run
    second: Run
    files: dict[str, str]


def digests(root: Path) -> dict[str, str]:
    """Returns what each file and link below a directory holds."""
    return {
        str(path.relative_to(root)): str(path.readlink())
        if path.is_symlink()
        else hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


@pytest.fixture(scope="module", params=INVENTORIES)
def tree(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    render: Render,
    several_hosts: Path,
    debian: str,
) -> Tree:
    """Each example, and a fleet of several hosts."""
    inventory = several_hosts if request.param == SEVERAL_HOSTS else ROOT / "inventories" / request.param
    root = tmp_path_factory.mktemp("rendered") / "out"
    first = render(inventory, render_to=str(root), render_debian_version=debian)
    files = digests(root) if root.exists() else {}
    second = render(inventory, render_to=str(root), render_debian_version=debian)
    return Tree(inventory, load_topology(inventory), root, first, second, files)


@pytest.fixture
def copy(tree: Tree, tmp_path: Path) -> Path:
    """A copy of the tree that a test may change."""
    return Path(shutil.copytree(tree.root, tmp_path / "copy", symlinks=True))


def test_no_host_is_contacted(tree: Tree) -> None:
    for run in (tree.first, tree.second):
        assert (run.code, run.failures, run.touched) == (0, 0, False), run.output[-3000:]


def test_a_second_run_changes_nothing(tree: Tree) -> None:
    assert tree.first.changed > 0
    assert tree.second.changed == 0, tree.second.output[-3000:]
    assert digests(tree.root) == tree.files


def test_every_process_and_every_service_has_its_files(tree: Tree) -> None:
    topology = tree.topology
    for process in topology.processes:
        own = layout.MAIN_CONFIG if process.is_main else f"{layout.WORKERS_DIR}/{process.name}.yaml"
        unit = "matrix-synapse.service" if process.is_main else f"matrix-synapse-worker@{process.name}.service"
        for path in (layout.SHARED_CONFIG, layout.LOG_CONFIG, own, f"/etc/systemd/system/{unit}.d/pool.conf"):
            assert f"{process.host}{path}" in tree.files
    assert [name for name in tree.files if name.endswith("/etc/nginx/sites-enabled/zz-matrix-synapse")]
    assert [name for name in tree.files if re.search(r"/etc/postgresql/\d+/synapse/conf.d/matrix-synapse.conf$", name)]
    redis = [name for name in tree.files if re.search(r"/etc/(redis|valkey)/\w+-synapse.conf$", name)]
    assert len(redis) == (topology.host_of("redis") is not None)
    workers = [name for name in tree.files if f"{layout.WORKERS_DIR}/" in name]
    assert len(workers) == len(topology.workers)


def test_what_nginx_reads_is_what_the_drafts_say(tree: Tree) -> None:
    places = {"main": "modules-enabled/99-matrix-synapse.conf", "http": "conf.d/matrix-synapse.conf"}
    places["site"] = "sites-enabled/zz-matrix-synapse"
    for host in tree.topology.hosts_of("nginx"):
        nginx = tree.root / host / "etc/nginx"
        for draft, place in places.items():
            assert (nginx / place).read_bytes() == (nginx / "matrix-synapse" / f"{draft}.conf").read_bytes()


def test_the_tests_of_the_proxy_judge_the_same_bytes(tree: Tree, debian: str) -> None:
    groups, hostvars = load_variables(tree.inventory)
    for host in groups["nginx"]:
        files = proxy_files(tree.topology, hostvars[host], debian=int(debian))
        nginx = tree.root / host / "etc/nginx"
        assert (nginx / "conf.d/matrix-synapse.conf").read_text() == files.http
        assert (nginx / "sites-available/matrix-synapse").read_text() == files.site


def test_secrets_are_placeholders_and_for_their_owner_alone(tree: Tree) -> None:
    for host in {process.host for process in tree.topology.processes}:
        for secret in secret_files(tree.topology, host):
            file = tree.root / host / secret["path"].lstrip("/")
            assert "PLACEHOLDER" in file.read_text()
            assert file.stat().st_mode & 0o777 == 0o600
        assert (tree.root / host).stat().st_mode & 0o777 == 0o700
    for redis in tree.root.glob("*/etc/redis/redis-synapse.conf"):
        password = re.search(r'^requirepass "(.*)"$', redis.read_text(), re.MULTILINE)
        assert password and ("PLACEHOLDER" in password[1] or (tree.topology.unix and not password[1]))
    assert "placeholders" in (tree.root / "README").read_text()


def test_the_picture_shows_the_fleet(tree: Tree) -> None:
    assert (tree.root / "fleet.svg").read_text() == diagram(tree.topology)


def test_nginx_takes_what_is_rendered(tree: Tree, copy: Path, tmp_path: Path) -> None:
    # Where there are several, they have the same.
    etc = copy / tree.topology.hosts_of("nginx")[0] / "etc/nginx"
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    certificate, key = scratch / "certificate.pem", scratch / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"),
            *("-days=1", "-subj=/CN=example.org", f"-keyout={key}", f"-out={certificate}"),
        ],
        check=True,
        capture_output=True,
    )
    for path in etc.rglob("*.conf"):
        path.write_text(_elsewhere(path.read_text(), scratch))
    site = etc / "sites-available" / "matrix-synapse"
    text = _elsewhere(site.read_text(), scratch)
    text = re.sub(r"ssl_certificate \S+;", f"ssl_certificate {certificate};", text)
    site.write_text(re.sub(r"ssl_certificate_key \S+;", f"ssl_certificate_key {key};", text))
    config = scratch / "nginx.conf"
    config.write_text(NGINX_CONF.format(scratch=scratch, etc=etc))
    done = subprocess.run(
        [nginx_binary(), "-t", "-e", "stderr", "-p", scratch, "-c", config], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "[warn]" not in done.stderr


def _elsewhere(text: str, scratch: Path) -> str:
    """Returns a file of nginx with paths and ports that everybody may use."""
    text = text.replace("/var/log/nginx/", f"{scratch}/")
    text = re.sub(r"(?m)^(\s*listen (?:\[::\]:)?)(\d+)", lambda found: f"{found[1]}{20000 + int(found[2])}", text)
    return text if _has_ipv6() else re.sub(r"(?m)^\s*listen \[::\].*\n", "", text)


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::", 0))
    except OSError:
        return False
    return True


def _configurations(tree: Tree, copy: Path) -> Iterator[tuple[str, Path, list[Path]]]:
    """Rewrites the paths, and returns host, folder and files of the processes of each host."""
    for host in sorted({process.host for process in tree.topology.processes}):
        folder = copy / host / "etc" / "matrix-synapse"
        own = [*folder.glob("main.yaml"), *sorted(folder.glob("workers/*.yaml"))]
        for path in [folder / "homeserver.yaml", *own]:
            text = path.read_text()
            for place in ("/etc/matrix-synapse", "/var/lib/matrix-synapse"):
                text = text.replace(place, f"{copy}/{host}{place}")
            path.write_text(text)
        yield host, folder, own


def test_synapse_parses_every_configuration(tree: Tree, copy: Path) -> None:
    python = environment(str(tree.topology.release))
    expected = {
        str(copy / process.host / own.lstrip("/")): process
        for process in tree.topology.processes
        for own in [layout.MAIN_CONFIG if process.is_main else f"{layout.WORKERS_DIR}/{process.name}.yaml"]
    }
    before = sorted(str(path.relative_to(copy)) for path in copy.rglob("*"))
    for _host, folder, own in _configurations(tree, copy):
        done = subprocess.run(
            [python, "-c", PARSE, folder / "homeserver.yaml", folder / "log.yaml", *own],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        for file, told in json.loads(done.stdout).items():
            process = expected.pop(file)
            assert told["server"] == tree.topology.server_name
            assert told["keys"] == ["a_PLACEHOLDER"]
            assert told["name"] == (None if process.is_main else process.name)
            assert told["app"] == (None if process.is_main else "synapse.app.generic_worker")
            assert told["listeners"] >= 2
            assert bool(told["replication"]) == bool(tree.topology.workers)
    assert expected == {}
    # Nothing was missing that Synapse would have made.
    assert sorted(str(path.relative_to(copy)) for path in copy.rglob("*")) == before


# The playbook itself, where one inventory is enough.


@pytest.fixture
def example() -> Path:
    return ROOT / "inventories" / "single_host"


def test_a_part_of_the_hosts_gives_the_same_bytes(render: Render, several_hosts: Path, tmp_path: Path) -> None:
    assert render(several_hosts, render_to=str(tmp_path / "all")).code == 0
    assert render(several_hosts, "--limit=w1:front", render_to=str(tmp_path / "part")).code == 0
    everything = digests(tmp_path / "all")
    part = digests(tmp_path / "part")
    assert {name.split("/")[0] for name in part} == {".rendered", "README", "fleet.svg", "front", "w1"}
    assert {name: everything[name] for name in part} == part
    # The others keep their files.
    assert render(several_hosts, "--limit=w1", render_to=str(tmp_path / "all")).changed == 0
    assert digests(tmp_path / "all") == everything


def test_what_the_inventory_does_not_want_any_more_goes(render: Render, example: Path, tmp_path: Path) -> None:
    root = tmp_path / "out"
    assert render(example, render_to=str(root)).code == 0
    workers = root / "synapse1" / "etc" / "matrix-synapse" / "workers"
    assert list(workers.glob("*-sync-*.yaml"))
    (workers / "notes").write_text("mine")
    assert render(example, render_to=str(root), generic_workers={"reader": {"count": 1, "duties": ["room"]}}).code == 0
    assert not list(workers.glob("*-sync-*.yaml"))
    assert list(workers.glob("*-reader-1.yaml"))
    assert (workers / "notes").read_text() == "mine"


def test_check_mode_writes_nothing_and_tells(render: Render, example: Path, tmp_path: Path) -> None:
    run = render(example, "--check", "--diff", render_to=str(tmp_path / "out"))
    assert run.code == 0, run.output[-3000:]
    assert run.changed > 0
    assert "+server_name: example" in run.output
    assert not (tmp_path / "out").exists()


def test_a_relative_directory_is_below_that_of_the_caller(render: Render, example: Path, tmp_path: Path) -> None:
    assert render(example, directory=tmp_path, render_to="out").code == 0
    assert (tmp_path / "out" / "synapse1" / "etc" / "matrix-synapse" / "homeserver.yaml").is_file()


def test_the_debian_of_the_hosts_is_said_by_a_variable(render: Render, example: Path, tmp_path: Path) -> None:
    for version, postgres, http2 in (("12", 15, False), ("13", 17, True)):
        root = tmp_path / version
        assert render(example, render_to=str(root), render_debian_version=version).code == 0
        assert (root / "synapse1" / "etc" / "postgresql" / str(postgres)).is_dir()
        site = (root / "synapse1" / "etc" / "nginx" / "sites-available" / "matrix-synapse").read_text()
        assert ("http2 on;" in site) == http2
    assert render(example, render_to=str(tmp_path / "default")).code == 0
    assert digests(tmp_path / "default") == digests(tmp_path / "13")


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({}, "render_to is not set: it has to name the directory to render to. Give one that is empty"),
        ({"render_to": "/etc/hostname"}, "render_to is /etc/hostname: /etc/hostname is no directory. Give a directory"),
        ({"render_to": "/etc"}, "render_to is /etc: this directory has files that render.yml did not write"),
        (
            {"render_to": "out", "generic_workers": {"sync": {"count": -1}}},
            "generic_workers.sync.count on host synapse1 is -1: a pool has 0 to 40 workers on one host.",
        ),
        ({"render_to": "out", "nginx_tls_certificate": ""}, "nginx_tls_certificate on host synapse1 is not set"),
        (
            {"render_to": "out", "watchdog_checks": 0},
            "watchdog_checks on host synapse1 is 0: it is a whole number of checks",
        ),
        # From the command line, a number is a text.
        (
            {"render_to": "out", "watchdog_grace": "0"},
            "watchdog_grace on host synapse1 is '0': it is a whole number of seconds",
        ),
        (
            {"render_to": "out", "render_debian_version": "11"},
            "render_debian_version on host synapse1 is '11': it is one of 12, 13",
        ),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    render: Render, example: Path, tmp_path: Path, variables: dict[str, object], told: str
) -> None:
    run = render(example, directory=tmp_path, **variables)
    assert run.code != 0
    assert told in run.output
    assert list(tmp_path.iterdir()) == []


def test_a_deployment_in_the_process_of_a_rendering_is_refused(render: Render, example: Path, tmp_path: Path) -> None:
    root = tmp_path / "out"
    assert render(example, render_to=str(root)).code == 0
    rendered = digests(tmp_path)
    run = render(example, playbooks=["render.yml", "site.yml"], render_to=str(root))
    assert "run_context on host synapse1 has the mode render: " in run.output, run.output[-3000:]
    assert "Run render.yml and site.yml as two commands" in " ".join(run.output.split())
    assert (run.failures, run.touched, run.changed) == (1, False, 0), run.output[-3000:]
    assert run.code != 0
    assert digests(tmp_path) == rendered


def test_a_rendering_in_a_run_that_has_asked_the_hosts_is_refused(
    render: Render, example: Path, tmp_path: Path
) -> None:
    run = render(example, directory=tmp_path, render_to="out", topology_host={"distribution": "Debian"})
    assert "topology_host on host synapse1 is set: " in run.output, run.output[-3000:]
    assert (run.failures, run.changed) == (1, 0), run.output[-3000:]
    assert list(tmp_path.iterdir()) == []


HOST = {
    "distribution": "Debian",
    "distribution_major_version": "13",
    "python_version": "3.13.5",
    "memtotal_mb": 8192,
    "processor_vcpus": 4,
}


@pytest.mark.parametrize("tags", [[], ["--tags=nginx"]], ids=["all", "part"])
def test_a_deployment_that_would_write_below_a_directory_is_refused(
    render: Render, example: Path, tmp_path: Path, tags: list[str]
) -> None:
    context = {"mode": "render", "root": str(tmp_path / "out"), "placeholder": ""}
    run = render(example, *tags, directory=tmp_path, playbooks=["site.yml"], run_context=context)
    assert "run_context on host synapse1 has the mode render: " in run.output, run.output[-3000:]
    assert (run.failures, run.touched, run.changed) == (1, False, 0), run.output[-3000:]
    assert run.code != 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("variable", ["nginx_admin_allowed", "nginx_trusted_proxies"])
def test_networks_that_do_not_come_from_the_inventory_are_checked_too(
    render: Render, example: Path, tmp_path: Path, variable: str
) -> None:
    play = {
        "hosts": "nginx",
        "gather_facts": False,
        "vars": {variable: ["office.example.org"], "topology_host": HOST},
        "tasks": [
            {"ansible.builtin.import_role": {"name": f"baremetal.synapse.{role}", "tasks_from": tasks}}
            for role, tasks in (("run", "context"), ("topology", "compute"), ("topology", "host_checks"))
        ],
    }
    playbook = tmp_path / "own.yml"
    playbook.write_text(json.dumps([play]))
    run = render(example, playbooks=[str(playbook)])
    assert (run.failures, run.touched, run.changed) == (1, False, 0), run.output[-3000:]
    assert f"{variable} on host synapse1 is ['office.example.org']: 'office.example.org' in it is no" in run.output
