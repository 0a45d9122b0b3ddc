# SPDX-License-Identifier: GPL-3.0-or-later
"""What nginx's routing costs: its CPU time for a request, against a plain proxy_pass.

A fixed mix of requests goes through nginx with the rendered configurations of small and large fleets, in turns, and
through a floor: one location with proxy_pass to one upstream, in the lines that Synapse's documentation gives. The
floor too keeps its connections to Synapse and writes an access log with lines of equal length, each with a write of its
own, as nginx does by default. Ours writes them once a second, which saves about what routing costs; a second floor that
does the same shows how much. Everything is on loopback and without TLS, which would hide the
routing. Only the CPU time of nginx's worker is counted; what it passes requests to is another nginx, which answers at
once.

Usage: ``.venv/bin/python -m benchmarks.routing [--rounds 7] [--seconds 2] [--with NAME=FOLDER] [--write]``;
``--with`` adds a folder with http.conf and site.conf, ``--write`` puts the table into README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / ".ansible" / "collections"))

from ansible_collections.baremetal.synapse.plugins.module_utils.replay.configuration import (
    listen_ports,
    upstream_servers,
)
from ansible_collections.baremetal.synapse.plugins.module_utils.replay.messages import HTTPS
from ansible_collections.baremetal.synapse.plugins.module_utils.replay.nginx import free_ports, socket_name
from ansible_collections.baremetal.synapse.plugins.module_utils.replay.relocation import relocate

from benchmarks.readme import write_table
from tools.docs_tables import table
from tools.inventory import load_topology
from tools.nginx import MissingProgramError, library_path, nginx_binary, unpacked
from tools.runs import ROOT

EXAMPLES = ("single_host", "full")
CONNECTIONS = 16
_ROOM = "!aBcDeFgHiJkLmNoPqR:example.org"
_EVENT = "$Rqnc-F-dvnEYJTyHq_iKxU2bZ1CI92-kuZq3a5lr5Zg"
_USER = "@alice:example.org"
_TEXT = json.dumps({"msgtype": "m.text", "body": "Would tomorrow at ten suit you?"})
# What clients and other servers ask for most, each once, but for /sync and sending.
REQUESTS: tuple[tuple[str, str, str], ...] = (
    ("GET", "/_matrix/client/v3/sync?since=s72594_4483_1934_57_3_22_1&timeout=30000&filter=1", ""),
    ("GET", "/_matrix/client/v3/sync?since=s72594_4483_1934_57_3_22_2&timeout=30000&filter=1", ""),
    ("PUT", f"/_matrix/client/v3/rooms/{_ROOM}/send/m.room.message/m1700000000.1", _TEXT),
    ("PUT", f"/_matrix/client/v3/rooms/{_ROOM}/send/m.room.encrypted/m1700000000.2", _TEXT * 4),
    ("PUT", f"/_matrix/client/v3/rooms/{_ROOM}/typing/{_USER}", '{"typing": true, "timeout": 30000}'),
    ("POST", f"/_matrix/client/v3/rooms/{_ROOM}/receipt/m.read/{_EVENT}", "{}"),
    ("GET", f"/_matrix/client/v3/rooms/{_ROOM}/messages?dir=b&limit=20&from=t47429-4392820", ""),
    ("GET", f"/_matrix/client/v3/rooms/{_ROOM}/members?not_membership=leave", ""),
    ("GET", "/_matrix/client/v1/media/download/example.org/SEsfnsuifSDFSSEF", ""),
    ("GET", "/_matrix/client/v1/media/thumbnail/example.org/SEsfnsuifSDFSSEF?width=96&height=96", ""),
    ("POST", "/_matrix/client/v3/keys/query", json.dumps({"device_keys": {_USER: []}})),
    ("POST", "/_matrix/client/v3/keys/upload", json.dumps({"one_time_keys": {"signed_curve25519:AAAAHg": {}}})),
    ("GET", f"/_matrix/client/v3/profile/{_USER}", ""),
    (
        "PUT",
        "/_matrix/federation/v1/send/1700000000123",
        json.dumps({"origin": "other.example", "pdus": [], "edus": []}),
    ),
    ("GET", f"/_matrix/federation/v1/event/{_EVENT}", ""),
    ("GET", f"/_matrix/federation/v1/state_ids/{_ROOM}?event_id={_EVENT}", ""),
    ("GET", "/_matrix/client/versions", ""),
    ("GET", "/_matrix/client/v3/account/whoami", ""),
    ("GET", "/_matrix/client/v3/pushrules/", ""),
    ("PUT", f"/_matrix/client/v3/user/{_USER}/account_data/m.direct", "{}"),
)
_CLIENT_AUTHORIZATION = "Bearer syt_YWxpY2U_ZGGnUvtgLCMEbfRpSUNE_1fKuOV"
_SERVER_AUTHORIZATION = 'X-Matrix origin="other.example",destination="example.org",key="ed25519:a_b",sig="c2lnbmF0dXJl"'
_FLOOR_HTTP = r"""
log_format floor
  '$time_iso8601\t$request_method\t$uri\t$status\tsynapse_main\t$upstream_addr\t$request_time\t$remote_addr';
upstream synapse_main {
  server unix:/run/floor.sock;
  keepalive 32;
  keepalive_requests 10000;
}
"""
_FLOOR_SITE = """
server {
  listen 443 ssl;
  access_log /var/log/nginx/access.log floor;
  client_max_body_size 50M;
  location / {
    proxy_pass http://synapse_main;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header Host $host:$server_port;
  }
}
"""
# Hosts that serve requests, and what runs on each: 200 workers in all. What may be there once is on the first one.
_MANY = (
    "sync: 10, initial_sync: 2, sliding_sync: 4, client_reader: 6, room: 8, federation_reader: 4,"
    " federation_inbound: 5, login: 1, events: 3"
)
_ONCE = (
    "typing: 1, to_device: 1, account_data: 1, presence: 1, push_rules: 1, receipts: 2, device_lists: 3,"
    " thread_subscriptions: 1, sso: 1"
)
_MEDIA = "media: 4"
_BACKGROUND = "background_tasks: 1, user_directory: 1, appservices: 1, pusher: 3, federation_sender: 6"
_GENERIC_HOSTS = 4
_MARKED = re.compile(
    r"(<!-- routing benchmark: written by benchmarks/routing.py -->\n).*?(<!-- end of routing benchmark -->)", re.DOTALL
)
_START_SECONDS = 20.0


@dataclass(frozen=True)
class Configuration:
    """What nginx is given.

    Attributes:
        http: what belongs into the http block.
        site: the server blocks.
        main: what belongs to the top level.
        workers: how many workers its fleet has; None if it is no fleet's.
    """

    http: str
    site: str
    main: str = ""
    workers: int | None = None

    @classmethod
    def read(cls, folder: Path, workers: int | None = None) -> Configuration:
        """Reads http.conf, site.conf and, if it is there, main.conf."""
        main = folder / "main.conf"
        return cls(
            http=(folder / "http.conf").read_text(),
            site=(folder / "site.conf").read_text(),
            main=main.read_text() if main.exists() else "",
            workers=workers,
        )


@dataclass(frozen=True)
class Cost:
    """What a request costs.

    Attributes:
        microseconds: CPU time of nginx's worker, as the median of all rounds.
        ratio: the same against the floor of the same round, as the median of all rounds: other work on the machine
            makes both dearer.
    """

    microseconds: float
    ratio: float


FLOOR = Configuration(http=_FLOOR_HTTP, site=_FLOOR_SITE)
# The same with its log written as ours.
LOG_FLOOR = Configuration(http=_FLOOR_HTTP, site=_FLOOR_SITE.replace("log floor;", "log floor buffer=32k flush=1s;"))
_PLAIN = {"floor": "plain `proxy_pass`", "log floor": "the same, its log written once a second"}


def write_large_inventory(folder: Path) -> Path:
    """Writes an inventory of 200 workers on several hosts, and returns its folder."""
    generic = [f"generic{number}" for number in range(1, _GENERIC_HOSTS + 1)]
    groups = {
        "postgres": ["main1"],
        "redis": ["main1"],
        "synapse_main": ["main1"],
        "generic_workers": generic,
        "media_workers": ["media1"],
        "background_workers": ["background1"],
        "nginx": ["proxy1"],
    }
    hosts = list(dict.fromkeys(host for members in groups.values() for host in members))
    worker_variables: dict[str, dict[str, object]] = {
        "generic1": {"generic_workers": _pools(_MANY, _ONCE)},
        **{host: {"generic_workers": _pools(_MANY)} for host in generic[1:]},
        "media1": {"media_workers": _pools(_MEDIA)},
        "background1": {"background_workers": _pools(_BACKGROUND)},
    }
    inventory = {
        "all": {
            "hosts": {
                host: {"synapse_address": f"10.0.0.{number}", **worker_variables.get(host, {})}
                for number, host in enumerate(hosts, start=1)
            },
            "vars": {
                "synapse_server_name": "example.org",
                "nginx_tls_certificate": "/etc/ssl/matrix/fullchain.pem",
                "nginx_tls_certificate_key": "/etc/ssl/matrix/privkey.pem",
            },
            "children": {group: {"hosts": dict.fromkeys(members)} for group, members in groups.items()},
        }
    }
    folder.mkdir()
    # JSON is YAML.
    (folder / "hosts.yml").write_text(json.dumps(inventory))
    return folder


def render(inventory: Path, folder: Path) -> Configuration:
    """Returns nginx's configuration of an inventory, rendered into a folder by playbooks/render.yml."""
    command = [
        str(ROOT / ".venv" / "bin" / "ansible-playbook"),
        "baremetal.synapse.render",
        "--inventory",
        str(inventory),
        "--extra-vars",
        json.dumps({"render_to": str(folder)}),
    ]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    found = sorted(folder.glob("*/etc/nginx/matrix-synapse"))
    if run.returncode != 0 or len(found) != 1:
        raise SystemExit(f"{inventory.name} was not rendered:\n{(run.stdout + run.stderr)[-3000:]}")
    return Configuration.read(found[0], workers=len(load_topology(inventory).workers))


@contextmanager
def running(configuration: str, folder: Path) -> Iterator[int]:
    """Runs nginx with a whole configuration, and gives the process id of its one worker."""
    folder.mkdir(exist_ok=True)
    (folder / "nginx.conf").write_text(configuration)
    command = [str(nginx_binary()), "-p", str(folder), "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"]
    master = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=(folder / "start.log").open("w"))
    try:
        children = Path(f"/proc/{master.pid}/task/{master.pid}/children")
        until = time.monotonic() + _START_SECONDS
        while not (folder / "nginx.pid").exists() or not children.read_text().split():
            if master.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"nginx does not start:\n{(folder / 'start.log').read_text()}")
            time.sleep(0.01)
        yield int(children.read_text().split()[0])
    finally:
        master.send_signal(signal.SIGTERM)
        master.wait()


def main_conf(folder: Path, http: Iterable[str], main: Iterable[str] = ()) -> str:
    """Returns a whole configuration of nginx that writes nothing outside of a folder."""
    user = ["user root;"] if os.geteuid() == 0 else []
    temporary = [f"{what}_temp_path {folder}/{what};" for what in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")]
    lines = [
        *user,
        "daemon off;",
        "worker_processes 1;",
        f"pid {folder}/nginx.pid;",
        *main,
        "events { worker_connections 4096; }",
        "http {",
        "access_log off;",
        # As long as the measurement, so that no connection is replaced within it.
        "keepalive_requests 100000000;",
        *temporary,
        *http,
        "}",
    ]
    return "\n".join([*lines, ""])


def upstream_conf(folder: Path, sockets: Iterable[Path]) -> str:
    """Returns the configuration of the nginx that stands for all processes of Synapse."""
    servers = [f'server {{ listen unix:{path}; location / {{ return 200 "{{}}"; }} }}' for path in sockets]
    return main_conf(folder, servers)


def lua_script() -> str:
    """Returns what wrk sends: the mix, over and over."""
    calls = []
    for method, path, body in REQUESTS:
        federation = path.startswith("/_matrix/federation")
        headers = {
            "Host": "matrix.example.org",
            "Authorization": _SERVER_AUTHORIZATION if federation else _CLIENT_AUTHORIZATION,
            "User-Agent": "Synapse/1.163.2" if federation else "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
            "Accept": "application/json",
            **({"Content-Type": "application/json"} if body else {}),
        }
        fields = ", ".join(f"[{json.dumps(name)}] = {json.dumps(value)}" for name, value in headers.items())
        arguments = f"{json.dumps(method)}, {json.dumps(path)}, {{{fields}}}, {json.dumps(body) if body else 'nil'}"
        calls.append(f"  requests[#requests + 1] = wrk.format({arguments})")
    return "\n".join(
        [
            "local requests, sent = {}, 0",
            "init = function()",
            *calls,
            "end",
            "request = function()",
            "  sent = sent + 1",
            "  return requests[sent % #requests + 1]",
            "end",
            "",
        ]
    )


class Bench:
    """nginx with several configurations side by side, before one that stands for Synapse."""

    def __init__(self, configurations: Mapping[str, Configuration], folder: Path) -> None:
        """Prepares; a short folder, as sockets are made in it."""
        self._configurations = configurations
        self._folder = folder
        self._stack = ExitStack()
        self._ports: dict[str, int] = {}
        self._workers: dict[str, int] = {}

    def __enter__(self) -> Bench:
        """Starts them all."""
        self._script = self._folder / "mix.lua"
        self._script.write_text(lua_script())
        servers = {
            address
            for configuration in self._configurations.values()
            for address in upstream_servers(configuration.http + configuration.site)
        }
        sockets = {address: self._folder / socket_name(address) for address in servers}
        upstream = self._folder / "upstream"
        self._stack.enter_context(running(upstream_conf(upstream, sockets.values()), upstream))
        for number, (name, configuration) in enumerate(self._configurations.items()):
            folder = self._folder / str(number)
            folder.mkdir()
            known = listen_ports(configuration.site)
            ports = dict(zip(known, free_ports(len(known)), strict=True))
            places = {address: f"unix:{path}" for address, path in sockets.items()}
            parts = [relocate(text, places, ports, str(folder)) for text in (configuration.http, configuration.site)]
            main = [configuration.main]
            self._workers[name] = self._stack.enter_context(running(main_conf(folder, parts, main), folder))
            self._ports[name] = ports[HTTPS]
        return self

    def __exit__(self, *_: object) -> None:
        """Ends them all."""
        self._stack.close()

    def sample(self, name: str, seconds: int) -> float:
        """Returns the CPU time of nginx for a request, in microseconds, as the mean of what it serves in so long."""
        before = self._cpu_nanoseconds(name)
        done = self._load(self._ports[name], seconds)
        return (self._cpu_nanoseconds(name) - before) / done / 1000

    def _cpu_nanoseconds(self, name: str) -> int:
        return int(Path(f"/proc/{self._workers[name]}/schedstat").read_text().split()[0])

    def _load(self, port: int, seconds: int) -> int:
        """Sends requests for so long, and returns how many were answered."""
        wrk = unpacked("wrk", "usr/bin/wrk", libraries=("libluajit-5.1-2",))
        command = [str(wrk), "--threads", "1", "--connections", str(CONNECTIONS), "--duration", f"{seconds}s"]
        command += ["--script", str(self._script), f"http://127.0.0.1:{port}"]
        environment = {**os.environ, "LD_LIBRARY_PATH": library_path("wrk")}
        run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        count = re.search(r"([0-9]+) requests in ", run.stdout)
        if count is None or "Non-2xx" in run.stdout or "Socket errors" in run.stdout:
            raise SystemExit(f"requests failed:\n{run.stdout}{run.stderr}")
        return int(count[1])


def measure(configurations: Mapping[str, Configuration], rounds: int, seconds: int) -> dict[str, Cost]:
    """Returns what a request costs with each configuration; the one named ``floor`` is what they are compared with."""
    microseconds: dict[str, list[float]] = {name: [] for name in configurations}
    with tempfile.TemporaryDirectory(prefix="routing-") as folder, Bench(configurations, Path(folder)) as bench:
        for name in configurations:
            bench.sample(name, 1)
        for number in range(rounds):
            print(f"round {number + 1} of {rounds} …", file=sys.stderr, flush=True)
            for name in configurations:
                microseconds[name].append(bench.sample(name, seconds))
    return {
        name: Cost(
            median(values), median(value / floor for value, floor in zip(values, microseconds["floor"], strict=True))
        )
        for name, values in microseconds.items()
    }


def report(configurations: Mapping[str, Configuration], costs: Mapping[str, Cost]) -> str:
    """Returns the table, as Markdown."""
    return table(
        ("configuration", "workers", "µs of CPU for a request", "against the floor"),
        (
            (
                _PLAIN.get(name, f"`{name}`"),
                "" if configuration.workers is None else str(configuration.workers),
                f"{costs[name].microseconds:.1f}",
                f"{costs[name].ratio:.2f}",
            )
            for name, configuration in configurations.items()
        ),
    )


def main() -> None:
    """Measures, prints, and writes if asked to."""
    parser = argparse.ArgumentParser(description="What nginx's routing costs.")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=2, help="how long each sample takes; at least 20,000 requests")
    parser.add_argument("--with", dest="others", action="append", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--write", action="store_true", help="put the table into README.md")
    options = parser.parse_args()
    configurations = {"floor": FLOOR, "log floor": LOG_FLOOR}
    try:
        nginx_binary()
        with tempfile.TemporaryDirectory() as folder:
            for example in EXAMPLES:
                configurations[example] = render(ROOT / "inventories" / example, Path(folder) / example)
            large = write_large_inventory(Path(folder) / "large.d")
            configurations["200 workers"] = render(large, Path(folder) / "large")
        for other in options.others:
            name, _, path = other.partition("=")
            configurations[name] = Configuration.read(Path(path))
        result = report(configurations, measure(configurations, options.rounds, options.seconds))
    except MissingProgramError as problem:
        print(f"error: {problem}", file=sys.stderr)
        raise SystemExit(2) from None
    print(result)
    if options.write:
        write_table(_MARKED, result)


def _pools(*counts: str) -> dict[str, dict[str, int]]:
    """Returns pools from texts such as 'sync: 2, login: 1'."""
    pairs = (entry.split(": ") for text in counts for entry in text.split(", "))
    return {name.strip(): {"count": int(count)} for name, count in pairs}


if __name__ == "__main__":
    main()
