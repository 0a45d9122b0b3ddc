# SPDX-License-Identifier: GPL-3.0-or-later
"""A deployed fleet: what its inventory promises, and what its hosts show.

The inventories come from the environment, so the same tests run against every scenario:
``EXAMPLE_INVENTORY``, and ``DISPOSABLE_INVENTORY`` with the addresses of the hosts that were booted for it.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import json
import os
import re
import shlex
import ssl
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import testinfra
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model import layout
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.duties import DUTIES
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.process import Process
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.topology import Topology
from ansible_collections.baremetal.synapse.plugins.plugin_utils.routing.proxy import proxy_server
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.config import health, instance_map
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.secrets import secret_files
from testinfra.host import Host

from tools.inventory import load_topology
from tools.matrix import Account, Client

T = TypeVar("T")

OUTSIDE = "10.88.0.1"
"""The controller's address, as the hosts see it."""

LAYOUT = layout.layout()
ACCESS_LOG = "/var/log/nginx/matrix-synapse.access.log"
SELF_SIGNED_CERTIFICATE = "/etc/ssl/certs/matrix-synapse.pem"

# nginx gathers lines, and writes them when it is told to open its logs anew. A process of it that has the new log open
# has written all that belongs into the old one.
_TAKE_LINES = """
import json, os, shutil, subprocess, sys, time
log = sys.argv[1]
taken = log + ".taken"
os.rename(log, taken)
owner = os.stat(taken)
open(log, "x").close()
os.chown(log, owner.st_uid, owner.st_gid)
shutil.copymode(taken, log)
subprocess.run(["nginx", "-s", "reopen"], check=True)
with open("/run/nginx.pid") as file:
    master = file.read().strip()
def opened(pid):
    folder = "/proc/%s/fd" % pid
    for name in os.listdir(folder):
        try:
            yield os.readlink(os.path.join(folder, name))
        except FileNotFoundError:
            pass
def writing():
    with open("/proc/%s/task/%s/children" % (master, master)) as file:
        pids = [master, *file.read().split()]
    for pid in pids:
        try:
            if taken in opened(pid):
                return True
        except FileNotFoundError:
            pass
    return False
end = time.monotonic() + 20
while writing():
    assert time.monotonic() < end, "a process of nginx does not open its log anew"
    time.sleep(0.01)
with open(taken, "rb") as file:
    lines = file.read().decode(errors="replace").splitlines()
os.remove(taken)
print(json.dumps({"lines": lines, "now": int(time.time())}))
"""

_JOURNAL = """
import json, subprocess, sys
fields = "--output-fields=_SYSTEMD_UNIT,MESSAGE"
command = ["journalctl", "-q", "-o", "json", "--since", sys.argv[1], fields, "-g", "Processed request"]
entries = subprocess.run(command, capture_output=True, text=True).stdout.splitlines()
print(json.dumps([json.loads(entry) for entry in entries]))
"""

_METRICS = """
import json, re, sys, urllib.request
from concurrent.futures import ThreadPoolExecutor
targets, wanted = json.loads(sys.argv[1]), re.compile(sys.argv[2])
def fetch(target):
    text = urllib.request.urlopen("http://%s:%d/metrics" % tuple(target[1:]), timeout=20).read().decode()
    return target[0], [line for line in text.splitlines() if wanted.match(line)]
with ThreadPoolExecutor(4) as pool:
    print(json.dumps(dict(pool.map(fetch, targets))))
"""

_ASK = """
import http.client, json, socket, sys
place, port = sys.argv[1], int(sys.argv[2])
class Connection(http.client.HTTPConnection):
    def connect(self):
        if not place.startswith("/"):
            return super().connect()
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(place)
def ask(method, target, token):
    connection = Connection(place, port, timeout=60)
    headers = {"Authorization": "Bearer " + token, "X-Forwarded-Proto": "https"}
    connection.request(method, target, None if method in ("GET", "DELETE") else "{}", headers)
    return connection.getresponse().status
print(json.dumps([ask(*request) for request in json.loads(sys.argv[3])]))
"""

_REGISTER = """
import hashlib, hmac, http.client, json, socket, sys
place, port, secret_path, users = sys.argv[1], int(sys.argv[2]), sys.argv[3], json.loads(sys.argv[4])
class Connection(http.client.HTTPConnection):
    def connect(self):
        if not place.startswith("/"):
            return super().connect()
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(place)
def call(method, body=None):
    connection = Connection(place, port, timeout=30)
    headers = {"Content-Type": "application/json", "X-Forwarded-Proto": "https"}
    connection.request(method, "/_synapse/admin/v1/register", body, headers)
    answer = connection.getresponse()
    content = json.loads(answer.read())
    if answer.status != 200:
        sys.exit("%d %s" % (answer.status, content))
    return content
secret = open(secret_path).read().strip()
accounts = []
for user in users:
    nonce = call("GET")["nonce"]
    told = [nonce, user["username"], user["password"], "admin" if user["admin"] else "notadmin"]
    mac = hmac.new(secret.encode(), "\\0".join(told).encode(), hashlib.sha1).hexdigest()
    accounts.append(call("POST", json.dumps({**user, "nonce": nonce, "mac": mac})))
print(json.dumps(accounts))
"""


@dataclass(frozen=True)
class Served:
    """A request in nginx's access log; confirmed if the process that nginx names says in its journal that it had it."""

    method: str
    path: str
    status: int
    process: str
    client: str
    confirmed: bool = False


@dataclass(frozen=True)
class Sample:
    """One value of a metric."""

    name: str
    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True)
class Machine:
    """One host of a fleet.

    Attributes:
        name: its name in the inventory.
        variables: its variables.
        host: the host, over SSH.
    """

    name: str
    variables: Mapping[str, Any]
    host: Host

    @property
    def address(self) -> str:
        """The address under which the host is reached."""
        return str(self.variables["ansible_host"])

    def shell(self, command: str) -> str:
        """Run a command as root and return what it printed."""
        done = self.host.run(command)
        assert done.rc == 0, f"{command[:200]}\nended on {self.name} with {done.rc}: {done.stderr[-2000:]}"
        return str(done.stdout)

    def python(self, program: str, *arguments: str, user: str = "root") -> str:
        """Run a Python program on the host."""
        words = ["python3", "-c", program, *arguments]
        return self.shell(shlex.join(words if user == "root" else ["runuser", "-u", user, "--", *words]))


@dataclass
class Deployment:
    """A fleet on one host or on several.

    Attributes:
        topology: what its inventory promises.
        variables: the variables of the main process' host.
        host: the main process' host, over SSH.
        others: the other hosts.
    """

    topology: Topology
    variables: Mapping[str, Any]
    host: Host
    others: Sequence[Machine] = ()
    _lines: list[Served] = field(default_factory=list, init=False)
    _marked: float = field(default=0.0, init=False)

    @functools.cached_property
    def machines(self) -> dict[str, Machine]:
        """All hosts of the fleet by their names, that of the main process first."""
        main = Machine(self.topology.main.host, self.variables, self.host)
        return {machine.name: machine for machine in (main, *self.others)}

    @property
    def synapse_machines(self) -> list[Machine]:
        """The hosts with processes of Synapse, that of the main process first."""
        hosts = {process.host for process in self.topology.processes}
        return [machine for name, machine in self.machines.items() if name in hosts]

    def on(self, host: str) -> Machine:
        """Return a host of the fleet by its name."""
        return self.machines[host]

    @property
    def edge(self) -> Machine:
        """The host whose nginx the clients of the tests use."""
        return self.on(self.topology.hosts_of("nginx")[0])

    @property
    def address(self) -> str:
        """The address under which clients reach the fleet."""
        return self.edge.address

    @property
    def public_name(self) -> str:
        """The name that clients use."""
        return str(proxy_server(self.topology)["public_name"])

    def shell(self, command: str) -> str:
        """Run a command as root on the main process' host and return what it printed."""
        return self.on(self.topology.main.host).shell(command)

    def python(self, program: str, *arguments: str, user: str = "root") -> str:
        """Run a Python program on the main process' host."""
        return self.on(self.topology.main.host).python(program, *arguments, user=user)

    # The way in.

    @functools.cached_property
    def certificate(self) -> str:
        """The certificate that the operator has put on the host, or the self-signed one."""
        path = self.edge.variables.get("nginx_tls_certificate") or SELF_SIGNED_CERTIFICATE
        return self.edge.shell(f"cat {shlex.quote(path)}")

    def trust(self) -> ssl.SSLContext:
        """Return a new context that trusts the certificate on the host, and no other; clients change theirs."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=self.certificate)
        # It may be the leaf of an authority that is not known here.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        return context

    def client(self, account: Account | None = None, *, port: int = 443, edge: str | None = None) -> Client:
        """Return a Matrix client that comes through nginx, of the first host with one or of the one that is named."""
        address = self.address if edge is None else self.on(edge).address
        client = Client(f"https://{address}:{port}", verify=self.trust())
        client.account = account
        return client

    def register(self, *usernames: str, admin: bool = False) -> list[Account]:
        """Make users with the shared secret, as ``register_new_matrix_user`` does, on the host itself."""
        users = [{"username": name, "password": password_of(name), "admin": admin} for name in usernames]
        secret = next(entry["path"] for entry in secret_files() if entry["name"] == "registration_shared_secret")
        answer = self.python(_REGISTER, *self._main_listener, secret, json.dumps(users))
        return [
            Account(user_id=entry["user_id"], device_id=entry["device_id"], access_token=entry["access_token"])
            for entry in json.loads(answer)
        ]

    def ask_main(self, requests: Iterable[tuple[str, str, str]]) -> list[int]:
        """Return what the main process itself answers to methods, targets and tokens, without nginx."""
        told = self.python(_ASK, *self._main_listener, json.dumps(list(requests)))
        return [int(status) for status in json.loads(told)]

    @property
    def _main_listener(self) -> tuple[str, str]:
        """The main process' socket, or its address, and its port."""
        where = health(self.topology, self.topology.main)
        return where.get("socket") or where["address"], str(where.get("port", 0))

    # Witnesses.

    def mark(self) -> None:
        """Forget the requests up to now."""
        self._marked = self._take()
        self._lines.clear()

    @property
    def marked(self) -> float:
        """When the requests up to then were forgotten, in seconds of the host's clock."""
        return self._marked

    def witnesses(self, requests: Iterable[tuple[str, str]], *, patience: float = 10) -> dict[tuple[str, str], Served]:
        """Return who served each request since the mark, by nginx's word and by the process' own.

        Args:
            requests: methods and raw paths. Synapse does not log OPTIONS.
            patience: seconds to wait for what was said to be written.
        """
        wanted = {(method, path.partition("?")[0]) for method, path in requests}
        since = f"@{int(self._marked)}"
        found: dict[tuple[str, str], Served] = {}

        def all_seen() -> bool:
            said = {
                (self._by_unit.get(entry["_SYSTEMD_UNIT"]), words[1], words[2])
                for machine in self.synapse_machines
                for entry in json.loads(machine.python(_JOURNAL, since))
                if (words := re.search(r'"([A-Z]+) ([^? ]+)\S* HTTP/[\d.]+"', entry["MESSAGE"]))
            }
            for line in self.nginx_lines():
                confirmed = (line.process, line.method, line.path) in said
                found[line.method, line.path] = replace(line, confirmed=confirmed)
            return all(request in found and found[request].confirmed for request in wanted)

        until(all_seen, patience=patience)
        return found

    def nginx_lines(self) -> list[Served]:
        """Return what nginx has logged since the mark."""
        self._take()
        return list(self._lines)

    def _take(self) -> float:
        """Take the lines out of nginx's log, and return the time of its host."""
        told = json.loads(self.edge.python(_TAKE_LINES, ACCESS_LOG))
        self._lines += map(self._parse, told["lines"])
        return float(told["now"])

    def _parse(self, line: str) -> Served:
        _, method, path, status, _, upstream, _, client = line.split("\t")
        # nginx lists every process that it tried; the last one has answered.
        last = upstream.rpartition(", ")[2]
        return Served(method, path, int(status), self._process_at.get(last, last), client)

    @functools.cached_property
    def _process_at(self) -> dict[str, str]:
        found = {}
        for process in self.topology.processes:
            where = health(self.topology, process)
            address = f"unix:{where['socket']}" if "socket" in where else f"{where['address']}:{where['port']}"
            found[address] = process.name
        return found

    @functools.cached_property
    def _by_unit(self) -> dict[str, str]:
        return {unit_of(process): process.name for process in self.topology.processes}

    def metrics(self, names: str, processes: Iterable[Process] | None = None) -> dict[str, list[Sample]]:
        """Return the metrics whose names match a regular expression, of each process."""
        targets: dict[str, list[tuple[str, str, int]]] = {}
        for process in processes or self.topology.processes:
            address = "127.0.0.1" if self.topology.unix else process.address
            targets.setdefault(process.host, []).append((process.name, address, process.metrics_port))
        found: dict[str, list[Sample]] = {}
        for host, its in targets.items():
            answer = json.loads(self.on(host).python(_METRICS, json.dumps(its), rf"(?:{names})(?:\{{| )"))
            found |= {name: [_sample(line) for line in lines] for name, lines in answer.items()}
        return found


def _sample(line: str) -> Sample:
    found = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
    assert found is not None, line
    labels = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', found[2] or ""))
    return Sample(found[1], labels, float(found[3]))


def password_of(username: str) -> str:
    """Return the password of a test user; it is for a server that is thrown away."""
    return hmac.new(b"test", username.encode(), hashlib.sha256).hexdigest()


def until(attempt: Callable[[], T | None], *, patience: float = 10.0) -> T | None:
    """Try until there is a result, or until the patience has ended."""
    deadline = time.monotonic() + patience
    while True:
        result = attempt()
        if result or time.monotonic() > deadline:
            return result
        time.sleep(0.2)


def unit_of(process: Process) -> str:
    """Return the systemd unit of a process."""
    return str(LAYOUT["main_unit"] if process.is_main else LAYOUT["worker_unit"].replace("@", f"@{process.name}"))


def private_listeners(topology: Topology, host: str) -> dict[str, set[int]]:
    """Return the TCP ports at which a host listens for the fleet, by what they are for."""
    its = [process for process in topology.processes if process.host == host]
    found = {"metrics": {process.metrics_port for process in its}}
    if not topology.unix:
        called = instance_map(topology)
        found["http"] = {process.http_port for process in its}
        found["replication"] = {process.replication_port for process in its if process.name in called}
        found["postgresql"] = {topology.options["postgres_port"]} if host == topology.host_of("postgres") else set()
        found["redis"] = {topology.options["redis_port"]} if host == topology.host_of("redis") else set()
    return {name: ports for name, ports in found.items() if ports}


def holders(topology: Topology, duty: str, *, writer: bool = False) -> set[str]:
    """Return the processes that may serve a duty's requests.

    Args:
        topology: the fleet.
        duty: the duty.
        writer: only the writer of the stream can do it, no worker in its stead.
    """
    fallbacks: Sequence[str] = () if writer else DUTIES[duty].fallback
    for name in (duty, *fallbacks):
        if workers := topology.with_duty(name):
            return {worker.name for worker in workers}
    return {topology.main.name}


def connect(variables: Mapping[str, Any], sockets: Path) -> Host:
    """Return a host whose commands share one SSH connection; testinfra's backend for inventories opens one for each."""
    shared = f"-o ControlMaster=auto -o ControlPersist=60s -o ControlPath={sockets}/%h"
    return testinfra.get_host(
        f"ssh://{variables['ansible_user']}@{variables['ansible_host']}",
        ssh_identity_file=variables["ansible_ssh_private_key_file"],
        ssh_extra_args=f"{variables.get('ansible_ssh_common_args', '')} {shared}",
    )


@functools.cache
def topology() -> Topology:
    """Return the topology of the inventories in the environment."""
    sources = [os.environ[name] for name in ("EXAMPLE_INVENTORY", "DISPOSABLE_INVENTORY")]
    return load_topology(*(Path(source) for source in sources))
