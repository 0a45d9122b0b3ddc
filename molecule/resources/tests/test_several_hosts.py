# SPDX-License-Identifier: GPL-3.0-or-later
"""Several hosts: each reaches what it needs and no more, and each stays so whatever happens to its firewall."""

from __future__ import annotations

import json
import re
import secrets
import shlex
from collections.abc import Callable, Iterator

import pytest
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.secrets import secret_files

from tests.support.deployment import (
    LAYOUT,
    Deployment,
    Machine,
    private_listeners,
    topology,
    unit_of,
    until,
)
from tests.support.playbooks import ansible
from tools.matrix import CLIENT, Client

HOSTS = list(topology().addresses)
SYNAPSE_HOSTS = {process.host for process in topology().processes}
WORKER_HOSTS = sorted(SYNAPSE_HOSTS - {topology().main.host})
pytestmark = pytest.mark.skipif(len(HOSTS) == 1 or not WORKER_HOSTS, reason="the fleet is on one host")

RULES = "nft list table inet matrix_synapse"
OPERATORS_RULES = "table inet operator { chain input { type filter hook input priority 0; tcp dport 9 drop; }; }"
SITE = "baremetal.synapse.site"

# Which of these addresses answers; one that drops what comes does not.
_PROBE = """
import json, socket, sys
from concurrent.futures import ThreadPoolExecutor
def opens(place):
    try:
        socket.create_connection(tuple(place), 2).close()
    except OSError:
        return False
    return True
places = json.loads(sys.argv[1])
with ThreadPoolExecutor(100) as pool:
    print(json.dumps([place for place, found in zip(places, pool.map(opens, places)) if found]))
"""


def _who_needs(kind: str) -> set[str]:
    """The hosts that a kind of listener is for."""
    if kind == "http":
        return set(topology().hosts_of("nginx"))
    return set() if kind == "metrics" else SYNAPSE_HOSTS


def _changed(output: str, host: str) -> int:
    """How many tasks have changed something on a host, or would."""
    recap = re.search(rf"^{re.escape(host)}\s+: ok=\d+\s+changed=(\d+)", output, re.MULTILINE)
    assert recap is not None, output[-3000:]
    return int(recap[1])


@pytest.mark.parametrize("source", HOSTS)
def test_a_host_reaches_what_it_needs_and_nothing_else(source: str, fleet: Deployment) -> None:
    """Every listener of the fleet is tried from every host."""
    needed: list[list[object]] = []
    others: list[list[object]] = []
    for host in HOSTS:
        for kind, ports in private_listeners(topology(), host).items():
            places = [[topology().addresses[host], port] for port in sorted(ports)]
            (needed if source == host or source in _who_needs(kind) else others).extend(places)

    assert json.loads(fleet.on(source).python(_PROBE, json.dumps(needed + others))) == needed
    assert others


@pytest.mark.parametrize("edge", topology().hosts_of("nginx"))
def test_every_proxy_serves(edge: str, fleet: Deployment, new_user: Callable[..., Client]) -> None:
    """A user of the one is known at the other, and both send to all workers."""
    account = new_user("anywhere").account
    with fleet.client(account, edge=edge) as client:
        room = client.create_room()
        assert client.send(room, f"through {edge}")
        assert client.call("GET", f"{CLIENT}/account/whoami")["user_id"] == client.user_id
        assert client.download(client.upload(b"a picture", "text/plain")) == b"a picture"


def test_processes_share_their_configuration_and_its_secrets(fleet: Deployment) -> None:
    """Byte for byte; lists that shard must be the same everywhere."""
    paths = [LAYOUT["shared_config"], *(entry["path"] for entry in secret_files(topology(), WORKER_HOSTS[0]))]
    command = f"sha256sum {shlex.join(paths)}"

    assert len({machine.shell(command) for machine in fleet.synapse_machines}) == 1


@pytest.fixture
def closed(fleet: Deployment) -> Iterator[Machine]:
    """A host with a firewall, which is put back as it was."""
    machine = fleet.on(WORKER_HOSTS[0])
    yield machine
    # Debian's nftables.service ends with a flush of all tables, and begins with one.
    machine.shell("systemctl stop nftables && systemctl reload matrix-synapse-firewall")


def test_other_rules_stay(closed: Machine) -> None:
    """A run fixes our table, and leaves the operator's as it is."""
    rules = closed.shell(RULES)
    closed.shell(f"nft {shlex.quote(f'add {OPERATORS_RULES}')}")
    others = closed.shell("nft list table inet operator")
    closed.shell("nft delete table inet matrix_synapse")
    told = ansible("ansible-playbook", SITE, "--tags=firewall", f"--limit={closed.name}", "--check")
    assert _changed(told.stdout, closed.name) == 1
    closed.shell("nft -f /etc/matrix-synapse-firewall.nft && nft insert rule inet matrix_synapse input accept")
    run = ansible("ansible-playbook", SITE, "--tags=firewall", f"--limit={closed.name}")

    assert _changed(run.stdout, closed.name) == 1
    assert closed.shell(RULES) == rules
    assert closed.shell("nft list table inet operator") == others


@pytest.mark.parametrize("what", ["start", "restart", "reload"])
def test_a_flush_of_all_tables_does_not_open_the_host(what: str, closed: Machine) -> None:
    """nftables.service begins with one."""
    rules = closed.shell(RULES)
    if what != "start":
        closed.shell("systemctl start nftables")
    closed.shell(f"nft {shlex.quote(f'add {OPERATORS_RULES}')}")
    closed.shell(f"systemctl {what} nftables")

    assert closed.host.run("nft list table inet operator").rc != 0  # it was flushed
    assert closed.shell(RULES) == rules


def test_a_limited_run_changes_nothing() -> None:
    """After a run of the whole fleet it computes the same, and shows no secret."""
    run = ansible("ansible-playbook", SITE, f"--limit={WORKER_HOSTS[0]}", "--check", "--diff")

    assert run.returncode == 0, run.stdout[-3000:]
    assert _changed(run.stdout, WORKER_HOSTS[0]) == 0
    assert [host for host in HOSTS if re.search(rf"^{host}\s+: ok=", run.stdout, re.MULTILINE)] == [WORKER_HOSTS[0]]


def test_a_limited_run_brings_secrets_from_the_main_host(fleet: Deployment) -> None:
    """A lost copy and a changed one are as on the main host again, and no output shows them."""
    machine = fleet.on(WORKER_HOSTS[0])
    lost, changed = (f"{LAYOUT['secrets_dir']}/{name}" for name in ("macaroon_secret_key", "redis_password"))
    wrong = secrets.token_hex(16)
    machine.shell(f"rm {lost}; echo {wrong} > {changed}")
    arguments = ("ansible-playbook", SITE, f"--limit={machine.name}", "--tags=synapse", "--diff", "-vvv")
    told, run = ansible(*arguments, "--check"), ansible(*arguments)

    assert run.returncode == 0, run.stdout[-3000:]
    assert f"+ new secret {lost}" in told.stdout and f"of {changed}" in told.stdout
    for path in (lost, changed):
        assert machine.shell(f"cat {path}") == fleet.shell(f"cat {path}")
        assert machine.shell(f"stat -c '%U %a' {path}").split() == [LAYOUT["user"], "400"]
    for entry in secret_files():
        value = re.split(r"[\s:]", fleet.shell(f"cat {entry['path']}").strip())[-1]
        assert value not in told.stdout + run.stdout, entry["name"]


def test_a_boot_brings_all_back(fleet: Deployment) -> None:
    """The firewall first: it is there before the network is."""
    host = WORKER_HOSTS[-1]
    machine = fleet.on(host)
    rules = machine.shell(RULES)
    units = [unit_of(process) for process in topology().processes if process.host == host]
    run = ansible("ansible", host, "--module-name=ansible.builtin.reboot")
    assert run.returncode == 0, run.stdout[-3000:]

    assert machine.shell(RULES) == rules
    assert until(lambda: machine.host.run(f"systemctl is-active {shlex.join(units)}").rc == 0, patience=120)
