# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host is, from what its own programs and files say."""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path

from ansible_collections.baremetal.synapse.plugins.modules.host_survey import account, clusters, installed, memory_mib

STATES = """Package: liburing2
Architecture: amd64
Auto-Installed: 1

Package: acl
Architecture: amd64
Auto-Installed: 0

Package: ssl-cert
Architecture: amd64
Auto-Installed: 1

"""


def test_packages_that_are_whole_and_wanted_are_told() -> None:
    answer = "nginx installed\nsudo config-files\nacl installed\nssl-cert installed\nredis-server half-configured\n"
    assert installed(answer, STATES) == ["acl", "nginx"]


def test_a_host_that_never_installed_a_dependency_has_no_states() -> None:
    assert installed("nginx installed\n", "") == ["nginx"]


def test_a_host_without_dpkg_has_no_packages() -> None:
    assert installed("", "") == []


def test_memory_is_whole_mib() -> None:
    assert memory_mib("MemTotal:        2097151 kB\nMemFree:          123 kB\n") == 2047


def test_an_account_is_told_as_the_user_module_takes_it() -> None:
    me = pwd.getpwuid(os.getuid())
    assert account(me.pw_name) == {
        "group": grp.getgrgid(me.pw_gid).gr_name,
        "home": me.pw_dir,
        "shell": me.pw_shell,
    }
    assert account("nobody-has-this-name") is None


def test_a_cluster_has_the_port_that_it_listens_on(tmp_path: Path) -> None:
    (tmp_path / "postmaster.pid").write_text("123\n/data\n1700000000\n5433\n/run/postgresql\n")
    line = f"17 main 5432 online postgres {tmp_path} /var/log/postgresql/postgresql-17-main.log\n"
    assert clusters(line) == [{"version": "17", "name": "main", "port": 5433, "running": True}]


def test_a_cluster_that_does_not_run_has_the_port_of_its_configuration(tmp_path: Path) -> None:
    line = f"15 old 5434 down,recovery postgres {tmp_path} /var/log/postgresql/postgresql-15-old.log\n"
    assert clusters(line) == [{"version": "15", "name": "old", "port": 5434, "running": False}]


def test_a_host_without_clusters_has_none() -> None:
    assert clusters("") == []
