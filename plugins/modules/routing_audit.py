#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Judge the nginx configuration of a host by what the processes behind it serve."""

from __future__ import annotations

DOCUMENTATION = r"""
module: routing_audit
short_description: Judge nginx's configuration by what the Synapse processes behind it serve
version_added: 0.2.0
description:
  - Starts a second nginx in a temporary directory, on a port of the loopback interface, with the configuration files of
    this host; only addresses are replaced, so that requests end in this module and never at a real process.
  - Sends it a request for every route, method, version and way to write an id, and judges where each arrives by what
    the installed release of Synapse serves.
  - Nothing on the host is changed, and the running nginx is not touched.
options:
  registry:
    description: What C(registry_probe.py) printed on the host of the main process. The routes of the installed release.
    type: json
    required: true
  processes:
    description: What C(processes.py) printed on each host with Synapse processes.
    type: list
    elements: json
    required: true
  kept_on_main:
    description: Templates of paths that stay on main for a written reason.
    type: list
    elements: str
    default: []
  proof:
    description:
      - The proof of the installed release, C(roles/audit/files/proofs/RELEASE.json). It names the routes that a worker
        was seen to serve as the main process does.
      - Without it no route counts as proven.
    type: json
  http_conf:
    description: The file with nginx's maps and upstreams.
    type: path
    required: true
  site_conf:
    description: The file with nginx's server blocks.
    type: path
    required: true
  server_name:
    description: The server name that the requests carry.
    type: str
    required: true
extends_documentation_fragment:
  - baremetal.synapse.attributes.read_only
"""

EXAMPLES = r"""
- name: Judge the routing
  baremetal.synapse.routing_audit:
    registry: "{{ registry_probe.stdout }}"
    processes: ["{{ synapse_processes.stdout }}"]
    http_conf: /etc/nginx/conf.d/matrix-synapse.conf
    site_conf: /etc/nginx/sites-available/matrix-synapse
    server_name: example.org
"""

RETURN = r"""
table:
  description: The counts and, for each pool, the requests that it received.
  type: list
  elements: str
  returned: success
wrong:
  description: Every request that went wrong, one line each, 100 at most.
  type: list
  elements: str
  returned: success
wrong_count:
  description: How many requests went wrong.
  type: int
  returned: success
offloadable:
  description: What main serves although a worker of this fleet could, as methods and templates of paths.
  type: list
  elements: str
  returned: success
unproven:
  description:
    - What workers get although their answers were never compared with those of main for this release, as methods and
      templates of paths.
  type: list
  elements: str
  returned: success
release:
  description: The release of Synapse that is installed.
  type: str
  returned: success
"""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Set

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.baremetal.synapse.plugins.module_utils.conformance.judge import Fleet
from ansible_collections.baremetal.synapse.plugins.module_utils.conformance.members import Member, members_of
from ansible_collections.baremetal.synapse.plugins.module_utils.conformance.registry import Registry
from ansible_collections.baremetal.synapse.plugins.module_utils.conformance.verdict import Verdict, verdict_table
from ansible_collections.baremetal.synapse.plugins.module_utils.replay.errors import ReplayError
from ansible_collections.baremetal.synapse.plugins.module_utils.replay.replay import Replay

_SHOWN = 100


class AuditError(Exception):
    """The configuration cannot be checked; the message has the reason and the fix."""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "registry": {"type": "json", "required": True},
            "processes": {"type": "list", "elements": "json", "required": True},
            "kept_on_main": {"type": "list", "elements": "str", "default": []},
            "proof": {"type": "json"},
            "http_conf": {"type": "path", "required": True},
            "site_conf": {"type": "path", "required": True},
            "server_name": {"type": "str", "required": True},
        },
        supports_check_mode=True,
        no_log=True,  # the registry would fill the host's journal
    )
    nginx = module.get_bin_path("nginx", required=True, opt_dirs=["/usr/sbin"])
    try:
        result = audit(module.params, Path(nginx))
    except AuditError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(changed=False, **result)


def audit(parameters: Mapping[str, Any], nginx: Path) -> Dict[str, Any]:
    """Judges a configuration and returns the results of the module.

    Args:
        parameters: the options of the module.
        nginx: the program.

    Raises:
        AuditError: a file cannot be read, or nginx refuses the configuration.
    """
    registry = json.loads(parameters["registry"])
    hosts = [json.loads(text) for text in parameters["processes"]]
    members = [member for host in hosts for member in members_of(host["shared"], host["own"])]
    routes = Registry(registry["routes"], mas=any(host["mas"] for host in hosts))
    fleet = Fleet(routes, members, parameters["kept_on_main"])
    http_conf, site_conf = _read(parameters, "http_conf"), _read(parameters, "site_conf")
    try:
        with Replay(nginx, http_conf, site_conf, host=parameters["server_name"]) as replay:
            verdict = fleet.judge(replay, http_conf, site_conf)
    except ReplayError as exc:
        raise AuditError(f"{parameters['http_conf']} and {parameters['site_conf']}: {exc}") from exc
    release = registry["release"]
    return {
        "release": release,
        "table": [*verdict_table([(release, verdict)], "release").splitlines(), "", *pools(verdict, members)],
        "wrong": verdict.wrong[:_SHOWN],
        "wrong_count": len(verdict.wrong),
        "offloadable": sorted(verdict.offloadable),
        "unproven": sorted(verdict.on_workers - proven(parameters.get("proof"))),
    }


def proven(proof: Optional[str]) -> Set[str]:
    """Returns the routes that a proof names, as methods and templates of paths."""
    routes = json.loads(proof)["routes"] if proof else []
    return {f"{route['method']} {route['path']}" for route in routes if "proven" in route}


def _read(parameters: Mapping[str, Any], name: str) -> str:
    try:
        return Path(parameters[name]).read_text(encoding="utf-8")
    except OSError as exc:
        raise AuditError(f"{name} is {parameters[name]!r}: {exc.strerror}. Deploy nginx first: site.yml.") from exc


def pools(verdict: Verdict, members: List[Member]) -> List[str]:
    """Returns the table of pools: processes, requests, and faults."""
    of_pool: Dict[str, List[str]] = {}
    for member in members:
        of_pool.setdefault(re.sub(r"-\d+$", "", member.name), []).append(member.name)

    def total(counter: Counter[str], names: List[str]) -> int:
        return sum(counter[name] for name in names)

    rows: List[Any] = [("pool", "processes", "requests", "misrouted to it")]
    rows += [
        (pool, len(names), total(verdict.per_process, names), total(verdict.wrong_per_process, names))
        for pool, names in sorted(of_pool.items())
    ]
    width = max(len(row[0]) for row in rows)
    return [f"| {pool.ljust(width)} | {count!s:>9} | {got!s:>8} | {bad!s:>15} |" for pool, count, got, bad in rows]


if __name__ == "__main__":
    main()
