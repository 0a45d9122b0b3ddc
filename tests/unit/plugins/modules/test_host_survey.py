# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host is, from what its own programs and files say."""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path

from ansible_collections.baremetal.synapse.plugins.modules.host_survey import (
    account,
    directories,
    installed,
    memory_mib,
)

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


def test_a_directory_is_told_with_where_it_leads_and_what_is_in_it(tmp_path: Path) -> None:
    real, link, file = tmp_path / "real", tmp_path / "link", tmp_path / "file"
    real.mkdir()
    file.write_text("")
    link.symlink_to(real)
    (real / "b").mkdir()
    (real / "a").write_text("")
    found = directories([str(real), str(link), str(file), str(tmp_path / "missing"), f"{link}/b"])
    owner = pwd.getpwuid(os.getuid()).pw_name
    assert found == {
        str(real): {"real": str(real), "link": False, "owner": owner, "names": ["a", "b"]},
        str(link): {"real": str(real), "link": True, "owner": owner, "names": ["a", "b"]},
        f"{link}/b": {"real": f"{real}/b", "link": False, "owner": owner, "names": []},
    }


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
