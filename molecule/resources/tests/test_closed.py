# SPDX-License-Identifier: GPL-3.0-or-later
"""What must not be reached, read or found: ports, internal paths, sockets, files and secrets."""

from __future__ import annotations

import contextlib
import json
import secrets
import selectors
import shlex
import socket
from collections.abc import Callable, Iterator

import pytest
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.process import Process
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.config import health
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.secrets import hidden_files, secret_files
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.units import unit_of

from tests.support.deployment import LAYOUT, Deployment, private_listeners, topology
from tools.matrix import CLIENT, Client

SSH = {22}
PROXY = {80, 443, 8448}
EVERYWHERE = ("0.0.0.0", "[::]", "*")  # noqa: S104
# A port that nobody answers costs a second.
AT_ONCE = 4000
PROCESSES = topology().processes


def _public(host: str) -> set[int]:
    """The ports of a host that everybody may reach."""
    return SSH | (PROXY if host in topology().hosts_of("nginx") else set())


def _secrets(host: str) -> list[str]:
    """The secrets that a host of Synapse has."""
    return [entry["path"] for entry in secret_files(topology(), host)]


_TRY = """
import json, os, socket, sys
files, addresses = json.loads(sys.argv[1]), json.loads(sys.argv[2])
opened = []
for path in files:
    try:
        open(path, "rb").close()
        opened.append(path)
    except PermissionError:
        pass
for path in addresses:
    try:
        socket.socket(socket.AF_UNIX).connect(path)
        opened.append(path)
    except PermissionError:
        pass
print(json.dumps(opened))
"""

# What an intruder without rights can read: directories that all may enter, files that all may read.
_SEARCH = r"""
import json, os, re, stat, subprocess, sys
values = {}
for path in json.loads(sys.argv[1]):
    # The last word of each: the others tell what it is.
    values[re.split(rb"[\s:]", open(path, "rb").read().strip())[-1]] = path
assert all(len(value) >= 16 for value in values), "a secret is too short to be searched for"
found = []
def look(place, content):
    found.extend((values[value], place) for value in values if value in content)
def look_into(path):
    with open(path, "rb") as file:
        look(path, file.read())
def may(right, path):
    return os.lstat(path).st_mode & right
for top in filter(lambda top: may(stat.S_IXOTH, top), os.scandir("/")):
    if top.name in ("proc", "sys", "dev") or not top.is_dir(follow_symlinks=False):
        continue
    for directory, below, names in os.walk(top):
        below[:] = [name for name in below if may(stat.S_IXOTH, os.path.join(directory, name))]
        for path in (os.path.join(directory, name) for name in names):
            if may(stat.S_IROTH, path) and stat.S_ISREG(os.lstat(path).st_mode):
                look_into(path)
for directory, _, names in os.walk("/var/log"):
    for name in names:
        look_into(os.path.join(directory, name))
look("the journal", subprocess.run(["journalctl", "-q", "-o", "cat"], capture_output=True).stdout)
look("the units", subprocess.run(["systemctl", "show", "*"], capture_output=True).stdout)
for pid in filter(str.isdigit, os.listdir("/proc")):
    for kind in ("cmdline", "environ"):
        try:
            look_into("/proc/%s/%s" % (pid, kind))
        except OSError:
            pass  # it has ended
print(json.dumps(found))
"""


def _open_ports(address: str) -> set[int]:
    """Try every TCP port of an address, some hundred at a time."""
    return {port for first in range(1, 65536, AT_ONCE) for port in _open_among(address, first)}


def _open_among(address: str, first: int) -> Iterator[int]:
    with selectors.DefaultSelector() as waiting, contextlib.ExitStack() as attempts:
        for port in range(first, min(first + AT_ONCE, 65536)):
            attempt = attempts.enter_context(socket.socket())
            attempt.setblocking(False)
            attempt.connect_ex((address, port))
            waiting.register(attempt, selectors.EVENT_WRITE, (port, attempt))
        # What does not answer within this time is not open.
        while waiting.get_map() and (events := waiting.select(timeout=1)):
            for key, _ in events:
                port, attempt = key.data
                waiting.unregister(attempt)
                if attempt.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                    yield port


def test_ports_from_outside(fleet: Deployment) -> None:
    """SSH and nginx, and nothing else, on any host."""
    for name, machine in fleet.machines.items():
        assert _open_ports(machine.address) == _public(name), name


def test_listeners_inside(fleet: Deployment) -> None:
    """What is private listens on the private address alone; on one host with sockets, only metrics do, on loopback."""
    for name, machine in fleet.machines.items():
        found: dict[str, set[int]] = {}
        for line in machine.shell("ss -Hltn").splitlines():
            address, _, port = line.split()[3].rpartition(":")
            found.setdefault("all" if address in EVERYWHERE else address, set()).add(int(port))
        private = set().union(*private_listeners(topology(), name).values())
        expected = {"all": _public(name)} | ({topology().addresses[name]: private} if private else {})

        assert found == expected, name
        assert machine.shell("ss -Hlun") == "", name


WALKS = (
    "/_synapse/replication/fed_send_edu/x/y",
    "/_synapse/metrics",
    "/metrics",
    "/health",
    "/_matrix/client/../../_synapse/metrics",
    "/_matrix/client/..%2f..%2f_synapse/replication/fed_send_edu/x/y",
    "/_matrix/client/..%2F..%2F_synapse%2Freplication/x",
    "/_matrix/client/%2e%2e/%2e%2e/_synapse/replication/x",
    "/_matrix/client/%2E./.%2e/_synapse/metrics",
    "/_matrix/client/%2e%2e%2f%2e%2e%2f_synapse/admin/v1/server_version",
    "/_synapse/client/../admin/v1/server_version",
    "/_synapse/client/%2e%2e/admin/v1/server_version",
    "/_matrix/../_synapse/admin/v1/server_version",
    "/_matrix/./client/versions",
    "//_synapse/metrics",
    "/_synapse//metrics",
    "/%5fsynapse/metrics",
    "/_SYNAPSE/metrics",
)


@pytest.mark.parametrize("path", WALKS)
def test_internal_paths_are_refused(path: str, fleet: Deployment) -> None:
    """By nginx itself: no process sees the request."""
    fleet.mark()
    with fleet.client() as client:
        answer = client.request("GET", path)

    assert answer.status_code in (400, 404)
    assert [line.process for line in fleet.nginx_lines()] in ([], ["-"])


@pytest.mark.parametrize(
    "path",
    [
        "/_synapse/admin/v1/server_version",
        "/_synapse/admin/v1/register",
        "/_synapse/admin/v1/rooms/!x:y",
        "/_synapse/admin/v1/media/quarantine/x/y",
        "/_synapse/mas/query_user",
        "/_synapse%2fadmin/v1/server_version",
        "/_synapse/%61dmin/v1/server_version",
    ],
)
def test_admin_api_is_closed(path: str, fleet: Deployment) -> None:
    """To all but the networks that the inventory names; the host itself is none of them."""
    command = ["curl", "-sk", "-o", "/dev/null", "-w", "%{http_code}", "--path-as-is"]
    command += ["--resolve", f"{fleet.public_name}:443:127.0.0.1", f"https://{fleet.public_name}{path}"]
    fleet.mark()

    assert fleet.edge.shell(shlex.join(command)) in ("403", "404")
    assert [line.process for line in fleet.nginx_lines()] == ["-"]


@pytest.mark.parametrize("user", [LAYOUT["proxy_group"], "nobody"])
def test_others_cannot_look_inside(user: str, fleet: Deployment) -> None:
    """nginx' user reaches the sockets that are for it, and nothing else of Synapse; other users reach nothing."""
    for machine in fleet.synapse_machines:
        configuration = machine.shell(f"find {LAYOUT['config_dir']} -type f").split()
        inside = machine.shell(f"find {LAYOUT['replication_socket_dir']} -type s").split()
        for_nginx = [where["socket"] for process in PROCESSES if "socket" in (where := health(topology(), process))]
        assert set(_secrets(machine.name)) < set(configuration)
        assert bool(inside) == bool(topology().unix and topology().workers)

        tried = json.dumps(configuration), json.dumps(inside + for_nginx)
        opened = json.loads(machine.python(_TRY, *tried, user=user))

        assert opened == (for_nginx if user == LAYOUT["proxy_group"] else [])


def test_replication_needs_its_own_listener(fleet: Deployment) -> None:
    """Where nginx comes in, the paths between processes do not exist."""
    for process in PROCESSES:
        where = health(topology(), process)
        words = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", "X-Forwarded-Proto: https"]
        words += ["--unix-socket", where["socket"]] if "socket" in where else []
        place = f"{where['address']}:{where['port']}" if "port" in where else "socket"
        on = fleet.on(process.host)
        assert on.shell(shlex.join([*words, f"http://{place}/_synapse/replication/fed_send_edu/a/b"])) == "404"


def test_modes_of_secrets(fleet: Deployment) -> None:
    """Synapse's user reads them; nobody writes them; a host has those that its processes need."""
    for machine in fleet.synapse_machines:
        wanted = _secrets(machine.name)
        assert set(machine.shell(f"find {LAYOUT['secrets_dir']} -type f").split()) == set(wanted)
        shown = machine.shell(f"stat -c '%n %U %G %a' {LAYOUT['secrets_dir']} {' '.join(wanted)}").splitlines()
        directory, *files = (line.split() for line in shown)

        assert directory[1:] == ["root", LAYOUT["group"], "750"]
        assert {tuple(entry[1:]) for entry in files} == {(LAYOUT["user"], LAYOUT["group"], "400")}


@pytest.fixture(scope="module")
def spoken_token(fleet: Deployment, new_user: Callable[..., Client]) -> Iterator[str]:
    """A token that a client has written into the query of a request, where logs might keep it."""
    client = new_user("careless")
    assert client.account is not None
    token = client.account.access_token
    with fleet.client() as nobody:
        assert nobody.request("GET", f"{CLIENT}/account/whoami?access_token={token}").status_code == 200
        assert nobody.request("GET", f"{CLIENT}/sync?access_token={token}&timeout=0").status_code == 200
        assert nobody.request("GET", f"/_synapse/metrics?access_token={token}").status_code == 404
    yield token


def test_secrets_are_nowhere_else(fleet: Deployment, spoken_token: str) -> None:
    """Not in what all may read, not in logs, not in the journal, not in the arguments or environment of a process."""
    values = [fleet.shell(f"tail -n 1 {path}").strip() for path in _secrets(topology().main.host)]
    for machine in fleet.machines.values():
        place = f"/root/{secrets.token_hex(8)}"
        # Also where the secret itself must not be.
        machine.shell(f"umask 077; mkdir {place}")
        try:
            for number, value in enumerate([*values, spoken_token]):
                machine.shell(f"umask 077; printf %s {shlex.quote(value)} > {place}/{number}")
            paths = [f"{place}/{number}" for number in range(len(values) + 1)]
            found = json.loads(machine.python(_SEARCH, json.dumps(paths)))
        finally:
            machine.shell(f"rm -r {place}")

        assert found == [], machine.name


@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: process.name)
def test_a_process_reads_the_secrets_that_it_needs_alone(fleet: Deployment, process: Process) -> None:
    """As its user, where its unit has put it."""
    machine = fleet.on(process.host)
    files = [*_secrets(process.host), LAYOUT["main_config"]]
    there = [path for path in files if machine.shell(f"test -e {path} && echo yes || true").strip()]
    readable = f"for file in {' '.join(there)}; do if [ -r $file ]; then echo $file; fi; done"
    user = f"setpriv --reuid={LAYOUT['user']} --regid={LAYOUT['group']} --clear-groups"
    pid = machine.shell(f"systemctl show --property=MainPID --value {unit_of(process)}").strip()
    found = machine.shell(f"nsenter --target {pid} --mount {user} sh -c {shlex.quote(readable)}").split()
    assert found == [path for path in there if path not in hidden_files(topology(), process)]


def test_no_file_of_a_release_is_writable_by_all(fleet: Deployment) -> None:
    for host in {process.host for process in PROCESSES}:
        machine = fleet.on(host)
        assert machine.shell(f"find {LAYOUT['install_dir']} -perm -o+w ! -type l").strip() == ""
