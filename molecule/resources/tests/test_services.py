# SPDX-License-Identifier: GPL-3.0-or-later
"""systemd's view of the fleet: all processes run, within their limits and sandboxes, and stop and start together."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

import pytest
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.process import Process
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.config import health

from tests.support.deployment import LAYOUT, Deployment, Machine, topology, unit_of, until

UNITS = {unit_of(process): process for process in topology().processes}
MOST_EXPOSED = 1.5
DEFAULT_OPEN_FILES = 65536
BYTES = {"K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}

_HEALTH = """
import http.client, json, socket, sys
class Connection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.host)
answers = {}
for name, where in json.loads(sys.argv[1]).items():
    kind = Connection if "socket" in where else http.client.HTTPConnection
    connection = kind(where.get("socket") or where["address"], where.get("port"), timeout=10)
    try:
        connection.request("GET", "/health")
        answers[name] = connection.getresponse().status
    except OSError as error:
        answers[name] = str(error)
print(json.dumps(answers))
"""
_IDENTIFIERS = """
import json, subprocess, sys
found = {}
fields = "--output-fields=_SYSTEMD_UNIT,SYSLOG_IDENTIFIER"
command = ["journalctl", "-q", "-b", "-o", "json", fields, "-g", "^(INFO|WARNING) - "]
for line in subprocess.run(command, capture_output=True, text=True).stdout.splitlines():
    entry = json.loads(line)
    found.setdefault(entry.get("_SYSTEMD_UNIT", ""), set()).add(entry.get("SYSLOG_IDENTIFIER"))
print(json.dumps({unit: sorted(names) for unit, names in found.items()}))
"""


def _shown(machine: Machine, properties: Iterable[str], units: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return properties of units of one host, as systemd has them now."""
    shown = machine.shell(f"systemctl show -p {','.join(('Id', *properties))} {' '.join(units)}")
    found = [dict(line.split("=", 1) for line in block.splitlines()) for block in shown.strip().split("\n\n")]
    return {entry.pop("Id"): entry for entry in found}


def _show(fleet: Deployment, *properties: str, units: Iterable[str] = UNITS) -> dict[str, dict[str, str]]:
    """Return properties of units of processes, each as the systemd of its host has them now."""
    found: dict[str, dict[str, str]] = {}
    for machine in fleet.synapse_machines:
        if its := [unit for unit in units if UNITS[unit].host == machine.name]:
            found |= _shown(machine, properties, its)
    return found


def _health(fleet: Deployment, processes: Iterable[Process]) -> dict[str, object]:
    """Ask each process on its own host."""
    wanted: dict[str, dict[str, object]] = {}
    for process in processes:
        wanted.setdefault(process.host, {})[process.name] = health(topology(), process)
    found: dict[str, object] = {}
    for host, its in wanted.items():
        found |= json.loads(fleet.on(host).python(_HEALTH, json.dumps(its)))
    return found


def _states(fleet: Deployment) -> dict[str, str]:
    return {unit: shown["ActiveState"] for unit, shown in _show(fleet, "ActiveState").items()}


def _sockets(fleet: Deployment) -> set[str]:
    find = f"find {LAYOUT['http_socket_dir']} {LAYOUT['replication_socket_dir']} -type s"
    return {path for machine in fleet.synapse_machines for path in machine.shell(find).split()}


def test_system_is_well(fleet: Deployment) -> None:
    """No unit of any host has failed."""
    for machine in fleet.machines.values():
        assert machine.shell("systemctl --failed --plain --no-legend") == "", machine.name
        assert machine.host.run("systemctl is-system-running").stdout.strip() == "running", machine.name


def test_units_run_now_and_after_a_boot(fleet: Deployment) -> None:
    """Those of the topology, and no other that looks like ours."""
    for machine in fleet.synapse_machines:
        its = {unit for unit, process in UNITS.items() if process.host == machine.name}
        shown = _shown(machine, ("ActiveState", "SubState", "UnitFileState", "NRestarts"), [*its, LAYOUT["target"]])
        processes = "matrix-synapse.service 'matrix-synapse-worker@*.service'"
        # Units that others only name are there, too, as not found.
        listed = machine.shell(f"systemctl list-units --state=loaded --plain --no-legend {processes}").splitlines()

        assert {unit: (of["ActiveState"], of["UnitFileState"]) for unit, of in shown.items()} == dict.fromkeys(
            [*its, LAYOUT["target"]], ("active", "enabled")
        )
        assert {line.split()[0] for line in listed} == its
        assert {unit: of["NRestarts"] for unit, of in shown.items() if unit in its} == dict.fromkeys(its, "0")


def test_processes_answer(fleet: Deployment) -> None:
    """Each on its own listener."""
    assert _health(fleet, topology().processes) == {process.name: 200 for process in topology().processes}


@pytest.mark.skipif(topology().host_of("redis") is None, reason="a fleet without workers has no Redis")
def test_processes_are_connected(fleet: Deployment) -> None:
    """Health says nothing about Redis; this metric does."""
    samples = fleet.metrics("synapse_replication_tcp_resource_total_connections")

    assert {name: [s.value >= 1 for s in of] for name, of in samples.items()} == {
        process.name: [True] for process in topology().processes
    }


def test_sandbox(fleet: Deployment) -> None:
    """What systemd makes of it, for each process."""
    analyze = "systemd-analyze security --no-pager --json=short"
    rows = [row for machine in fleet.synapse_machines for row in json.loads(machine.shell(analyze))]
    exposure = {row["unit"]: float(row["exposure"]) for row in rows if row["unit"] in UNITS}

    assert set(exposure) == set(UNITS)
    assert {unit: value for unit, value in exposure.items() if value > MOST_EXPOSED} == {}


def test_limits(fleet: Deployment) -> None:
    """Each process has the limits of its pool, and enough open files."""
    shown = _show(fleet, "LimitNOFILE", "MemoryMax", "CPUQuotaPerSecUSec", "Type", "NotifyAccess", "Restart")
    files = str(fleet.variables.get("synapse_limit_nofile", DEFAULT_OPEN_FILES))

    for unit, process in UNITS.items():
        settings = process.settings
        assert shown[unit] == {
            "LimitNOFILE": files,
            "MemoryMax": _bytes(settings.memory_max),
            "CPUQuotaPerSecUSec": _seconds(settings.cpu_quota),
            "Type": "notify",
            "NotifyAccess": "main",
            "Restart": "always",
        }, unit


def _bytes(size: str | None) -> str:
    if size is None:
        return "infinity"
    return str(int(size[:-1]) * BYTES[size[-1]] if size[-1] in BYTES else int(size))


def _seconds(quota: str | None) -> str:
    if quota is None:
        return "infinity"
    hundredths = int(quota.rstrip("%"))
    return f"{hundredths // 100}s" if hundredths % 100 == 0 else f"{hundredths * 10}ms"


def test_settings_of_the_pool_reach_the_process(fleet: Deployment) -> None:
    """Its environment, and jemalloc, if it is wanted."""
    pids = {unit: shown["MainPID"] for unit, shown in _show(fleet, "MainPID").items()}
    for machine in fleet.synapse_machines:
        its = {pid for unit, pid in pids.items() if UNITS[unit].host == machine.name}
        maps = machine.shell(f"grep -l jemalloc {' '.join(f'/proc/{pid}/maps' for pid in its)} || true").split()
        assert {path.split("/")[2] for path in maps} == (its if topology().options["synapse_jemalloc"] else set())
    for unit, process in UNITS.items():
        if process.settings.env:
            environment = fleet.on(process.host).shell(f"tr '\\0' '\\n' < /proc/{pids[unit]}/environ").splitlines()
            assert {f"{name}={value}" for name, value in process.settings.env.items()} <= set(environment)


def test_journal_names_the_process(fleet: Deployment) -> None:
    """Whoever reads the journal sees which of the many wrote a line."""
    found: dict[str, list[str]] = {}
    for machine in fleet.synapse_machines:
        found |= json.loads(machine.python(_IDENTIFIERS))

    assert {unit: found.get(unit) for unit in UNITS} == {
        unit: ["matrix-synapse" if process.is_main else process.name] for unit, process in UNITS.items()
    }


@pytest.mark.skipif(not topology().workers, reason="the inventory has no workers")
def test_a_stopped_worker_takes_nothing_along(fleet: Deployment) -> None:
    """The sockets of its siblings stay, and they go on serving."""
    worker = topology().workers[-1]
    before = _sockets(fleet)
    fleet.on(worker.host).shell(f"systemctl stop {unit_of(worker)}")
    try:
        gone = before - _sockets(fleet)
        others = [process for process in topology().processes if process is not worker]
        assert {path.rpartition("/")[2] for path in gone} <= {f"{worker.name}.sock"}
        assert set(_health(fleet, others).values()) == {200}
    finally:
        fleet.on(worker.host).shell(f"systemctl start {unit_of(worker)}")
    assert _sockets(fleet) == before
    assert _health(fleet, [worker]) == {worker.name: 200}


def test_a_killed_process_comes_back(fleet: Deployment) -> None:
    """By itself, over the sockets that it left behind."""
    process = topology().processes[-1]
    unit = unit_of(process)
    fleet.on(process.host).shell(f"systemctl kill --signal=KILL --kill-whom=main {unit}")

    def back() -> bool:
        return _show(fleet, "NRestarts", "ActiveState", units=[unit])[unit] == {
            "NRestarts": "1",
            "ActiveState": "active",
        }

    assert until(back, patience=60)
    assert _health(fleet, [process]) == {process.name: 200}


def test_target_stops_and_starts_all(fleet: Deployment) -> None:
    """One command on each host ends the whole, nothing of it stays, and one command brings it back."""
    before = _sockets(fleet)
    for machine in reversed(fleet.synapse_machines):
        machine.shell(f"systemctl stop {LAYOUT['target']}")
    try:
        # systemctl waits for the target itself; the main process stops after its workers.
        until(lambda: _states(fleet) == dict.fromkeys(UNITS, "inactive"), patience=30)
        assert _states(fleet) == dict.fromkeys(UNITS, "inactive")
        assert _sockets(fleet) == set()
        assert [m.host.run(f"pgrep -u {LAYOUT['user']}").stdout for m in fleet.synapse_machines] == [""] * len(
            fleet.synapse_machines
        )
    finally:
        for machine in fleet.synapse_machines:
            machine.shell(f"systemctl start {LAYOUT['target']}")
    assert _states(fleet) == dict.fromkeys(UNITS, "active")
    assert _sockets(fleet) == before
    assert set(_health(fleet, topology().processes).values()) == {200}
    with fleet.client() as client:
        assert re.match(r"v1\.\d+", client.call("GET", "/_matrix/client/versions")["versions"][-1])
