# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that also serves others: they serve the same after a run, after a second one, and when Synapse is gone."""

from __future__ import annotations

import re
import time

import pytest

from tools.runs import ROOT, Fleet

# What the shop answers, and which processes do.
SHOP = """
PGPASSWORD=shop psql -h 127.0.0.1 -p 5432 -U shop shop -Atc 'SELECT count(*) FROM orders'
redis-cli -h 127.0.0.1 GET shop:cart
redis-cli CONFIG GET appendonly
redis-cli CONFIG GET save
curl -sk --resolve shop.test:443:127.0.0.1 https://shop.test/
systemctl show --property=MainPID --value 'postgresql@*-main' redis-server nginx
"""
PLAN = "baremetal.synapse.plan"
PORT = 5433


def version(fleet: Fleet) -> str:
    """Returns the major version of PostgreSQL on the host."""
    return fleet.shell("ls /etc/postgresql").strip()


@pytest.fixture(scope="session")
def shop(fleet: Fleet) -> str:
    """What the shop answers before the first run."""
    return fleet.shell(SHOP)


def eventually(fleet: Fleet, command: str, seconds: float = 60) -> None:
    """Waits until a command succeeds on the host."""
    end = time.monotonic() + seconds
    while True:
        try:
            fleet.shell(command)
            return
        except RuntimeError:
            if time.monotonic() > end:
                raise
            time.sleep(0.5)


def test_the_cluster_of_the_shop_is_refused_by_name_before_anything_is_changed(fleet: Fleet, shop: str) -> None:
    run = fleet.run()
    assert run.code != 0
    assert f"the cluster {version(fleet)}/main with the database shop has it" in run.output
    assert run.changed == 0
    fleet.set_variables(redis_instance="default")
    run = fleet.run()
    fleet.unset_variables("redis_instance")
    assert "redis-server.service holds 1 keys and keeps its data on disk (appendonly)" in run.output
    assert run.changed == 0
    assert fleet.shell(SHOP) == shop


@pytest.mark.parametrize(("playbook", "arguments"), [(PLAN, ()), ("baremetal.synapse.site", ("--check", "--diff"))])
def test_plan_and_check_work_and_change_nothing(
    fleet: Fleet, shop: str, playbook: str, arguments: tuple[str, ...]
) -> None:
    fleet.set_variables(postgres_port=PORT)
    run = fleet.run(*arguments, playbook=playbook)
    assert run.code == 0, run.output[-4000:]
    assert fleet.shell(SHOP) == shop
    assert not fleet.shell("ls -d /etc/matrix-synapse 2>/dev/null", check=False)


def test_a_run_leaves_the_shop_alone(fleet: Fleet, shop: str) -> None:
    run = fleet.run()
    assert run.code == 0, run.output[-4000:]
    assert fleet.shell(SHOP) == shop
    names = [line.split()[1:3] for line in fleet.shell("pg_lsclusters --no-header").splitlines()]
    assert names == [["main", "5432"], ["synapse", str(PORT)]]
    assert fleet.shell("systemctl is-active redis-server@synapse").strip() == "active"
    assert fleet.shell("systemctl --failed --no-legend") == ""
    run = fleet.run()
    assert (run.code, run.changed) == (0, 0), run.output[-4000:]
    assert fleet.shell(SHOP) == shop


def test_a_server_that_is_killed_comes_back(fleet: Fleet) -> None:
    """Redis even if that happens more often than systemd puts up with by default."""
    fleet.shell(f"kill -9 $(head -1 /var/lib/postgresql/{version(fleet)}/synapse/postmaster.pid)")
    for _ in range(7):
        fleet.shell("kill -9 $(systemctl show --property=MainPID --value redis-server@synapse)")
        eventually(fleet, "redis-cli -s /run/redis-synapse/redis-server.sock PING")
    eventually(fleet, f"runuser -u postgres -- psql -p {PORT} -d synapse -c 'SELECT 1'")
    assert fleet.shell("systemctl --failed --no-legend") == ""


def test_postgresql_comes_back_when_a_full_disk_has_space_again(fleet: Fleet) -> None:
    unit, wal = f"postgresql@{version(fleet)}-synapse", f"/var/lib/postgresql/{version(fleet)}/synapse/pg_wal"
    psql = f"runuser -u postgres -- psql -p {PORT} -d postgres"
    fleet.shell(
        f"systemctl stop {unit} && cp -a {wal} /var/tmp/wal && mount -t tmpfs -o size=80m,mode=0700 tmpfs {wal}"
        f" && chown postgres: {wal} && cp -a /var/tmp/wal/. {wal} && systemctl start {unit}"
    )
    fleet.shell(f"cat /dev/zero >{wal}/full", check=False)
    fleet.shell(f"{psql} -c 'CREATE TABLE much AS SELECT generate_series(1, 3000000)'", check=False)
    # It fails more than once in the meantime.
    eventually(fleet, f"[ $(systemctl show --property=NRestarts --value {unit}) -ge 3 ]")
    fleet.shell(f"rm {wal}/full")
    eventually(fleet, f"{psql} -c 'SELECT 1'", 90)
    fleet.shell(
        f"{psql} -c 'DROP TABLE IF EXISTS much' -c CHECKPOINT && systemctl stop {unit} && rm -rf /var/tmp/wal"
        f" && cp -a {wal} /var/tmp/wal && umount {wal} && rm -rf {wal} && mv /var/tmp/wal {wal}"
        f" && systemctl start {unit}"
    )


@pytest.mark.parametrize("unit", ["postgresql@*-synapse.service", "redis-server@synapse.service"])
def test_units_have_a_sandbox(fleet: Fleet, unit: str) -> None:
    told = fleet.shell(f"systemd-analyze security --no-pager '{unit.replace('*', version(fleet))}' | tail -1")
    assert float(re.findall(r"[0-9.]+", told)[-1]) < 4, told


def commands(heading: str) -> str:
    """Returns the commands of the first block below a sentence of docs/operations.md, as root types them."""
    text = (ROOT / "docs" / "operations.md").read_text().partition(heading)[2]
    block = text.partition("```console\n")[2].partition("```")[0]
    return "\n".join(line.removeprefix("# ") for line in block.splitlines())


def test_synapse_goes_by_the_commands_of_the_documentation(fleet: Fleet, shop: str) -> None:
    script = commands("To remove Synapse from a host").replace(" 17 ", f" {version(fleet)} ")
    fleet.shell(f"set -e\n{script}")
    assert fleet.shell(SHOP) == shop
    assert fleet.shell("pg_lsclusters --no-header").split()[1] == "main"
    assert fleet.shell("systemctl --failed --no-legend") == ""
    assert not fleet.shell("ls -d /etc/matrix-synapse /opt/matrix-synapse 2>/dev/null", check=False)
