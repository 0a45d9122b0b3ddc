# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host is, from what its own programs and files say."""

from __future__ import annotations

import grp
import os
import pwd

from ansible_collections.baremetal.synapse.plugins.modules.host_survey import account, installed, memory_mib

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
