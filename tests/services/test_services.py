# SPDX-License-Identifier: GPL-3.0-or-later
"""A service more is a row in the table of services and a role: no other file knows of it.

The copy of the collection deploys it, closes its listener, draws it, counts what it takes, plans its restart, renders
its files, and removes it.
"""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tools.runs import Fleet, Run

UNIT = "/etc/systemd/system/echo.service"


def run(fleet: Fleet, copy: Path, playbook: str, *arguments: str) -> Run:
    """Runs a playbook of the copy to its end."""
    done = fleet.run(*arguments, playbook=str(copy / "playbooks" / f"{playbook}.yml"), directory=copy)
    assert done.code == 0, done.output[-5000:]
    return done


def echoed(fleet: Fleet) -> str:
    """Returns what the service answers to the host of Synapse, which its row admits."""
    return fleet.shell(f"curl -sf --max-time 5 http://{fleet.addresses['spare1']}:7777/", host="matrix1").strip()


def test_its_files_are_rendered_and_it_is_drawn(fleet: Fleet, copy: Path, tmp_path: Path) -> None:
    run(fleet, copy, "render", f"--extra-vars=render_to={tmp_path}/out")
    assert (tmp_path / "out/spare1/etc/echo/index.html").read_text() == "echo\n"
    assert not (tmp_path / "out/matrix1/etc/echo").exists()
    picture = (tmp_path / "out/fleet.svg").read_text()
    assert ">Echo<" in picture
    assert ">echoes<" in picture
    rules = (tmp_path / "out/spare1/etc/matrix-synapse-firewall.nft").read_text()
    assert re.search(r"tcp dport 7777 ip saddr @echo accept", rules)
    assert re.search(r"tcp dport 7777 drop", rules)


def test_it_is_deployed_and_a_second_run_changes_nothing(fleet: Fleet, copy: Path) -> None:
    run(fleet, copy, "site")
    assert echoed(fleet) == "echo"
    assert run(fleet, copy, "site").changed == 0


def test_its_listener_is_closed_to_others(fleet: Fleet) -> None:
    # The machine that runs the tests is not of the fleet.
    with pytest.raises((urllib.error.URLError, TimeoutError)):
        urllib.request.urlopen(f"http://{fleet.addresses['spare1']}:7777/", timeout=3)


def test_its_memory_and_its_connections_are_counted(fleet: Fleet, copy: Path) -> None:
    told = run(fleet, copy, "plan").output
    assert re.search(r"\bEcho\b.*", told), told[-3000:]
    (assigned,) = re.findall(r"64 of \d+ MiB assigned.*", told)
    assert "Echo" in assigned
    # Main has 5 and one more while it starts.
    assert "9 connections" in told


def test_a_change_is_planned_as_a_restart_and_carried_out(fleet: Fleet, copy: Path) -> None:
    fleet.set_variables(host="spare1", echo_text="something else")
    planned = run(fleet, copy, "plan").output
    assert "restart Echo on spare1: its files change" in planned
    assert "While Echo restarts, nothing is repeated." in planned
    assert echoed(fleet) == "echo"
    started = fleet.shell("systemctl show -P ActiveEnterTimestampMonotonic echo.service", host="spare1")
    run(fleet, copy, "site", "--tags=echo")
    assert echoed(fleet) == "something else"
    assert fleet.shell("systemctl show -P ActiveEnterTimestampMonotonic echo.service", host="spare1") != started
    assert run(fleet, copy, "site").changed == 0


def test_it_is_removed_from_a_host_that_leaves_its_group(fleet: Fleet, copy: Path, tmp_path: Path) -> None:
    hosts = yaml.safe_load((fleet.inventory / "hosts.yml").read_text())
    hosts["all"]["children"]["echo"] = {"hosts": {}}
    without = tmp_path / "inventory"
    (without / "group_vars/all").mkdir(parents=True)
    (without / "hosts.yml").write_text(yaml.safe_dump(hosts))
    (without / "group_vars/all/synapse.yml").write_text((fleet.inventory / "group_vars/all/synapse.yml").read_text())
    left = replace(fleet, inventory=without)
    run(left, copy, "site")
    assert fleet.shell(f"test -e {UNIT} || test -d /etc/echo || echo gone", host="spare1").strip() == "gone"
    assert fleet.shell("systemctl is-active echo.service || true", host="spare1").strip() == "inactive"
    assert "7777" not in fleet.shell("nft list table inet matrix_synapse", host="spare1")
    assert run(left, copy, "site").changed == 0
