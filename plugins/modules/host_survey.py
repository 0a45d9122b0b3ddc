#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Return the facts of a host that the roles need, in one call."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_survey
short_description: Return the facts of a host that the roles need
version_added: 0.1.0
description:
  - Looks at the operating system, the machine, the packages, the account of Synapse, the clusters of PostgreSQL, the
    servers for Redis, the sites of nginx and the TCP ports in use, and changes nothing.
  - One call instead of one for each question, because a call costs a run on a host that needs nothing more time than
    most answers do.
options:
  user:
    description: The account to look for.
    type: str
    required: true
  paths:
    description: Paths to look for.
    type: list
    elements: path
    default: []
attributes:
  platform:
    details: On another Linux it finds no packages and no clusters.
extends_documentation_fragment:
  - baremetal.synapse.attributes.read_only
"""

EXAMPLES = r"""
- name: Host | Look at the host
  baremetal.synapse.host_survey:
    user: matrix-synapse
  register: topology_host
"""

RETURN = r"""
distribution:
  description: The name of the operating system.
  returned: success
  type: str
  sample: Debian
distribution_major_version:
  description: The first number of its version; empty if it has none.
  returned: success
  type: str
  sample: "13"
architecture:
  description: What the kernel calls the machine.
  returned: success
  type: str
  sample: x86_64
python_version:
  description: The Python that Ansible uses on the host.
  returned: success
  type: str
  sample: 3.13.5
memtotal_mb:
  description: The memory in MiB.
  returned: success
  type: int
processor_vcpus:
  description: The processors that a process may use.
  returned: success
  type: int
packages:
  description:
    - The names of the packages that are installed for their own sake. Those that apt would remove with the package that
      needs them are not among them.
  returned: success
  type: list
  elements: str
account:
  description: The account O(user), null if there is none.
  returned: success
  type: dict
  contains:
    group:
      description: Its first group.
      type: str
    home:
      description: Its home directory.
      type: str
    shell:
      description: Its shell.
      type: str
paths:
  description: For each of O(paths) whether it exists.
  returned: success
  type: dict
directories:
  description: Those of O(paths) that are directories, by path. A link to one is one.
  returned: success
  type: dict
  contains:
    real:
      description: Where the path leads when all links are followed.
      type: str
    link:
      description: Whether the path itself is a link.
      type: bool
    owner:
      description: The name of the owner, or the number if it has no name.
      type: str
    names:
      description: The first names in it, in the order of the alphabet.
      type: list
      elements: str
certificates:
  description: Those of O(paths) that are certificates or private keys which openssl can read, by path.
  returned: success
  type: dict
  contains:
    expired:
      description: Whether the certificate has expired; false for a key.
      type: bool
    names:
      description: The names and addresses of the certificate.
      type: list
      elements: str
    public_key:
      description: A hash of the public key.
      type: str
postgres_clusters:
  description: The clusters of PostgreSQL, without those whose creation was cut off.
  returned: success
  type: list
  elements: dict
  contains:
    version:
      description: The release series of PostgreSQL.
      type: str
      sample: "17"
    name:
      description: The name of the cluster.
      type: str
      sample: main
    port:
      description: The port on which it listens, or will once it runs.
      type: int
    running:
      description: Whether it runs.
      type: bool
    ours:
      description: Whether it has the settings of this collection.
      type: bool
    content:
      description:
        - What it says of itself - C(databases), C(max_connections), C(pending) (settings that wait for a restart),
          C(files) (settings of its files, and errors in them) and C(hba_errors).
        - Null if it does not run, or does not answer.
      type: dict
redis_instances:
  description: The servers that Debian's packages for Redis run, or would.
  returned: success
  type: list
  elements: dict
  contains:
    package:
      description: The package.
      type: str
      sample: redis-server
    name:
      description: V(default) for the server that the package itself starts, else the name after the C(@) of its unit.
      type: str
    ours:
      description: Whether it has the settings of this collection.
      type: bool
    running:
      description: Whether it runs; null if it was not asked.
      type: bool
    content:
      description: C(keys), their number, C(appendonly) and C(port). Null if it was not asked, or does not answer.
      type: dict
ports:
  description: The TCP ports on which somebody listens.
  returned: success
  type: list
  elements: dict
  contains:
    address:
      description: The address.
      type: str
    port:
      description: The port.
      type: int
    program:
      description: The name of the program; empty if it runs in a container.
      type: str
      sample: caddy
    unit:
      description: Its unit.
      type: str
      sample: caddy.service
nginx:
  description: What nginx serves, from C(nginx -T); null if there is no nginx.
  returned: success
  type: dict
  contains:
    servers:
      description: Its server blocks, each with C(file), C(kind), C(names), C(listens) and C(includes).
      type: list
      elements: dict
    settings:
      description: The directives of the main block and of C(http), each with C(file), C(block) and C(words).
      type: list
      elements: dict
    refusal:
      description: Why C(nginx -t) fails; empty if it does not.
      type: str
    default_site:
      description: Whether the site of Debian's package is enabled, and was edited or has pages.
      type: bool
"""

import grp
import os
import platform
import pwd
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.sys_info import get_distribution, get_distribution_version
from ansible_collections.baremetal.synapse.plugins.module_utils._certificates import certificates
from ansible_collections.baremetal.synapse.plugins.module_utils._nginx_dump import survey as nginx_survey
from ansible_collections.baremetal.synapse.plugins.module_utils._ports_in_use import ports_in_use
from ansible_collections.baremetal.synapse.plugins.module_utils._postgres_clusters import clusters
from ansible_collections.baremetal.synapse.plugins.module_utils._redis_instances import instances

_MEMORY = Path("/proc/meminfo")
_STATES = Path("/var/lib/apt/extended_states")
_FORMAT = "${Package} ${db:Status-Status}\n"
_NAMES = 20


def memory_mib(text: str) -> int:
    """Returns the memory of the machine, from /proc/meminfo."""
    lines = dict(line.split(":", 1) for line in text.splitlines())
    return int(lines["MemTotal"].split()[0]) // 1024


def account(user: str) -> dict[str, str] | None:
    """Returns the entry of an account."""
    try:
        entry = pwd.getpwnam(user)
        group = grp.getgrgid(entry.pw_gid).gr_name
    except KeyError:
        return None
    return {"group": group, "home": entry.pw_dir, "shell": entry.pw_shell}


def directories(paths: list[str]) -> dict[str, dict[str, Any]]:
    """Returns what is known of those paths that are directories."""
    return {path: _directory(path) for path in paths if os.path.isdir(path)}


def _directory(path: str) -> dict[str, Any]:
    uid = os.stat(path).st_uid
    try:
        owner = pwd.getpwuid(uid).pw_name
    except KeyError:
        owner = str(uid)
    try:
        names = sorted(os.listdir(path))[:_NAMES]
    except OSError:
        names = []
    return {"real": os.path.realpath(path), "link": os.path.islink(path), "owner": owner, "names": names}


def installed(answer: str, states: str) -> list[str]:
    """Returns the names of the packages that are installed for their own sake.

    Args:
        answer: lines ``NAME STATUS`` of dpkg-query.
        states: apt's file extended_states: a paragraph for each package that was installed because of another one.
    """
    pairs = (line.split() for line in answer.splitlines())
    automatic = {
        lines["Package"]
        for paragraph in states.split("\n\n")
        if (lines := dict(line.split(": ", 1) for line in paragraph.strip().splitlines())).get("Auto-Installed") == "1"
    }
    return sorted({name for name, status in pairs if status == "installed"} - automatic)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "user": {"type": "str", "required": True},
            "paths": {"type": "list", "elements": "path", "default": []},
        },
        supports_check_mode=True,
    )

    def known(path: Path) -> str:
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def output_of(program: str, *arguments: str) -> str:
        path = module.get_bin_path(program)
        return str(module.run_command([path, *arguments], check_rc=True)[1]) if path else ""

    # nginx -T makes logs that do not exist yet.
    os.umask(0o027)
    nginx = module.get_bin_path("nginx", opt_dirs=["/usr/sbin"]) or ""
    module.exit_json(
        changed=False,
        distribution=get_distribution(),
        distribution_major_version=(get_distribution_version() or "").split(".")[0],
        architecture=platform.machine(),
        python_version=platform.python_version(),
        memtotal_mb=memory_mib(known(_MEMORY)),
        processor_vcpus=len(os.sched_getaffinity(0)),
        packages=installed(output_of("dpkg-query", "--show", f"--showformat={_FORMAT}"), known(_STATES)),
        account=account(module.params["user"]),
        paths={path: os.path.exists(path) for path in module.params["paths"]},
        directories=directories(module.params["paths"]),
        postgres_clusters=clusters(output_of("pg_lsclusters", "--no-header"), module.run_command),
        redis_instances=instances(module.run_command),
        ports=ports_in_use(),
        certificates=certificates(module.get_bin_path("openssl") or "", module.params["paths"], module.run_command),
        nginx=nginx_survey(nginx, module.run_command),
    )


if __name__ == "__main__":
    main()
