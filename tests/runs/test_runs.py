# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator may rely on in a run: check mode, cut off runs, second runs, secrets, scaling, bad input."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml

from tools.runs import ROOT, Fleet, Run

from .conftest import OPERATORS_SECRET

# Of a first run; tests/killed kills many more between two inventories.
KILLED_AT = (
    "Secret files | Generate what is missing",
    "Build | Install the packages of the release",
    "Database | Create the database",
    "Wave | Drain, stop and start",
)


def worker_pids(fleet: Fleet) -> dict[str, int]:
    """Returns the process of every Synapse unit that runs."""
    patterns = "matrix-synapse.service 'matrix-synapse-worker@*.service'"
    shown = fleet.shell(f"systemctl show --property=Id,MainPID,ActiveState {patterns}")
    units = [dict(line.split("=", 1) for line in block.splitlines() if line) for block in shown.split("\n\n")]
    return {unit["Id"]: int(unit["MainPID"]) for unit in units if unit and unit["ActiveState"] == "active"}


def other_pids(fleet: Fleet) -> str:
    """Returns the processes of PostgreSQL, Redis and nginx."""
    return fleet.shell(
        "systemctl show --property=Id,MainPID 'postgresql@*.service' 'redis-server@*.service' nginx.service"
    )


def with_sync_workers(count: int) -> str:
    """Returns the extra variables of the example with another number of sync workers."""
    example = ROOT / "inventories" / "single_host" / "group_vars" / "generic_workers.yml"
    pools = yaml.safe_load(example.read_text())
    pools["generic_workers"]["sync"]["count"] = count
    return json.dumps(pools)


def finish(run: Run, outputs: list[str]) -> Run:
    """Keeps the output for the search for secrets, and expects success."""
    outputs.append(run.output)
    assert run.code == 0, run.output[-4000:]
    return run


def test_check_mode_on_a_bare_host_neither_fails_nor_changes_it(fleet: Fleet, outputs: list[str]) -> None:
    before = fleet.shell("dpkg-query -f '${Package}\\n' -W; ls /etc /opt /var/lib; cat /etc/passwd")
    finish(fleet.run("--check", "--diff", "-vvv"), outputs)
    assert fleet.shell("dpkg-query -f '${Package}\\n' -W; ls /etc /opt /var/lib; cat /etc/passwd") == before


def test_a_wrong_inventory_is_refused_before_the_host_is_touched(fleet: Fleet) -> None:
    run = fleet.run("-e", json.dumps({"generic_workers": {"sync": {"count": -1}}}))
    assert run.code != 0
    assert "generic_workers.sync.count on host synapse1 is -1: a pool has 0 to 40 workers on one host." in run.output
    # The context of the run with its two checks, the inventory, and the refusal.
    assert run.tasks <= 5
    assert "changed=0" in run.output
    assert not fleet.shell("ls -d /etc/matrix-synapse /etc/postgresql 2>/dev/null", check=False)


@pytest.mark.parametrize("task", KILLED_AT)
def test_a_run_is_killed(fleet: Fleet, outputs: list[str], task: str) -> None:
    run = fleet.run_killed(task, "--diff", "-vvv")
    outputs.append(run.output)
    assert run.code < 0, f"no run came to the task {task!r}"


def test_the_next_run_finishes_what_killed_ones_began(fleet: Fleet, outputs: list[str]) -> None:
    finish(fleet.run("--diff", "-vvv"), outputs)
    assert fleet.shell("systemctl --failed --no-legend") == ""
    assert len(worker_pids(fleet)) == 9


def test_a_second_run_changes_nothing(fleet: Fleet, outputs: list[str]) -> None:
    before = worker_pids(fleet)
    run = finish(fleet.run("--diff", "-vvv"), outputs)
    assert run.changed == 0
    assert worker_pids(fleet) == before


def test_a_cluster_too_old_for_the_release_is_refused(fleet: Fleet) -> None:
    """The host has an older cluster too, as after an upgrade of Debian."""
    config, data = "/etc/postgresql/13/synapse", "/var/lib/postgresql/13/synapse"
    fleet.shell(
        f"install -d -o postgres {config} {data} && echo \"data_directory = '{data}'\" > {config}/postgresql.conf"
    )
    run = fleet.run("-e", "postgres_version=13")
    fleet.shell("rm -r /etc/postgresql/13 /var/lib/postgresql/13")
    assert run.code != 0
    assert "it needs PostgreSQL 14, the host has 13" in run.output
    assert run.changed == 0


def test_check_mode_tells_what_adding_a_worker_would_do_and_does_nothing(fleet: Fleet, outputs: list[str]) -> None:
    before = worker_pids(fleet)
    run = finish(fleet.run("--check", "--diff", "-e", with_sync_workers(3)), outputs)
    assert "synapse1-sync-3" in run.output
    assert run.changed > 0
    assert worker_pids(fleet) == before


def test_adding_a_worker_restarts_no_other_process(fleet: Fleet, outputs: list[str]) -> None:
    before, others = worker_pids(fleet), other_pids(fleet)
    finish(fleet.run("-e", with_sync_workers(3)), outputs)
    after = worker_pids(fleet)
    assert set(after) - set(before) == {"matrix-synapse-worker@synapse1-sync-3.service"}
    assert before.items() <= after.items()
    assert other_pids(fleet) == others


def test_the_tasks_of_a_run_do_not_grow_with_the_workers(fleet: Fleet, outputs: list[str]) -> None:
    """Three of them run."""
    one_more, nine_more = (finish(fleet.run("--check", "-e", with_sync_workers(count)), outputs) for count in (4, 12))
    assert nine_more.changed > 0
    assert one_more.tasks == nine_more.tasks
    assert one_more.executed <= 110


def test_a_changed_setting_of_a_pool_restarts_that_pool_alone(fleet: Fleet, outputs: list[str]) -> None:
    settings = json.loads(with_sync_workers(3))
    settings["generic_workers"]["sync"]["cache_factor"] = 0.7
    before = worker_pids(fleet)
    finish(fleet.run("-e", json.dumps(settings), "--tags", "synapse"), outputs)
    after = worker_pids(fleet)
    restarted = {unit for unit in before if before[unit] != after[unit]}
    assert restarted == {f"matrix-synapse-worker@synapse1-sync-{index}.service" for index in (1, 2, 3)}


def test_a_change_cut_off_before_its_restarts_is_finished_by_the_next_run(fleet: Fleet, outputs: list[str]) -> None:
    """The shared file is written, and nothing is restarted."""
    settings = json.dumps({**json.loads(with_sync_workers(3)), "synapse_cp_max": 6})
    before = worker_pids(fleet)
    cut_off = fleet.run_killed("Compute the plan", "-e", settings, "--tags", "synapse")
    assert cut_off.code < 0
    assert "cp_max: 6" in fleet.shell("cat /etc/matrix-synapse/homeserver.yaml")
    assert worker_pids(fleet) == before
    finish(fleet.run("-e", settings), outputs)
    after = worker_pids(fleet)
    assert after.keys() == before.keys()
    assert not before.items() & after.items()


def test_the_release_may_be_upgraded(fleet: Fleet, outputs: list[str]) -> None:
    """Until here an older release ran."""
    assert "1.152.1" in fleet.shell("readlink /opt/matrix-synapse/current")
    fleet.set_variables(synapse_version="1.163.2")
    finish(fleet.run("--diff", "-vvv", "-e", with_sync_workers(3)), outputs)
    assert "1.163.2" in fleet.shell("readlink /opt/matrix-synapse/current")
    assert len(worker_pids(fleet)) == 10
    running = fleet.shell("for pid in $(pgrep -f synapse.app); do readlink /proc/$pid/exe; cat /proc/$pid/maps; done")
    assert "1.163.2" in running
    assert "1.152.1" not in running


def test_a_removed_worker_leaves_nothing_behind(fleet: Fleet, outputs: list[str]) -> None:
    finish(fleet.run("-e", with_sync_workers(2)), outputs)
    assert "matrix-synapse-worker@synapse1-sync-3.service" not in worker_pids(fleet)
    left = fleet.shell(
        "find /etc /run /var/lib/matrix-synapse -name '*synapse1-sync-3*' -not -path '/run/systemd/*';"
        " grep -rl synapse1-sync-3 /etc/matrix-synapse /etc/nginx; systemctl list-units --all --plain --no-legend"
        " 'matrix-synapse-worker@synapse1-sync-3*'",
        check=False,
    )
    assert left == ""


def test_the_transport_may_change_to_tcp(fleet: Fleet, outputs: list[str]) -> None:
    """PostgreSQL and Redis then have passwords, which pass through Ansible."""
    finish(fleet.run("--diff", "-vvv", "-e", "synapse_transport=tcp"), outputs)
    assert "127.0.0.1:10000" in fleet.shell("ss -ltn")
    assert fleet.shell("systemctl --failed --no-legend") == ""
    assert fleet.shell("systemctl is-active matrix-synapse-firewall").strip() == "active"
    # Accounts of people reach Synapse through nginx only.
    ask = "curl -s -o /dev/null -m 5 -w '%{http_code}' http://127.0.0.1:10000/health"
    found = {account: fleet.shell(f"runuser -u {account} -- {ask}", check=False) for account in ("www-data", "nobody")}
    assert found == {"www-data": "200", "nobody": "000"}
    assert len(worker_pids(fleet)) == 9


def test_a_run_after_all_that_changes_nothing(fleet: Fleet, outputs: list[str]) -> None:
    finish(fleet.run(), outputs)
    assert finish(fleet.run("--diff"), outputs).changed == 0


def test_no_secret_was_ever_in_the_output(fleet: Fleet, outputs: list[str]) -> None:
    values = fleet.shell("cd /etc/matrix-synapse/secrets && for f in *; do printf '%s ' $f; tail -n 1 $f; echo; done")
    secrets = {line.split()[0]: line.split()[-1].split(":")[-1] for line in values.splitlines() if line.strip()}
    assert len(secrets) == 7
    secrets["turn_shared_secret"] = OPERATORS_SECRET
    everything = "\n".join(outputs)
    assert "TASK [" in everything
    assert [name for name, value in secrets.items() if value in everything] == []


def test_the_built_collection_runs_from_anywhere(fleet: Fleet, tmp_path: Path) -> None:
    config = tmp_path / "ansible.cfg"
    config.write_text("")
    installed = tmp_path / "collections"
    settings = {
        "ANSIBLE_CONFIG": str(config),
        "ANSIBLE_HOME": str(tmp_path / "home"),
        "ANSIBLE_COLLECTIONS_PATH": str(installed),
    }
    galaxy = [str(ROOT / ".venv" / "bin" / "ansible-galaxy"), "collection"]
    environment = {**os.environ, **settings}
    subprocess.run([*galaxy, "build", "--output-path", tmp_path, ROOT], cwd=tmp_path, env=environment, check=True)
    tarball = next(tmp_path.glob("baremetal-synapse-*.tar.gz"))
    subprocess.run([*galaxy, "install", tarball], cwd=tmp_path, env=environment, check=True)
    elsewhere = Fleet(
        inventory=fleet.inventory,
        host=fleet.host,
        machine=fleet.machine,
        override=fleet.override,
        environment=settings,
    )
    run = elsewhere.run(directory=tmp_path)
    assert run.code == 0, run.output[-4000:]
    assert str(ROOT / "roles") not in run.output
    assert run.changed == 0
