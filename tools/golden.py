# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the golden files: every view of every example inventory, as the filters give it.

Usage: ``python -m tools.golden`` rewrites tests/unit/golden after a change that was meant to change them; the
difference that git shows is then what a reviewer reads. tests/unit/test_golden.py fails while they are out of date.
"""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / ".ansible" / "collections"))

from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.topology import parse_topology

from tools.inventory import load_topology_json

ROOT = Path(__file__).resolve().parent.parent
INVENTORIES = ROOT / "inventories"
GOLDEN = ROOT / "tests" / "unit" / "golden"
# These tell what is wrong with an inventory, a host or a variable, so they say nothing of an example.
CHECKS = frozenset({"visits", "topology_problem", "host_problem", "host_problems", "networks_problem", "plan_problem"})
# A machine to plan PostgreSQL for.
_MEMORY_MIB = 8192
_CPUS = 4
_PYTHONS = ("3.11.2", "3.13.5")

Filter = Callable[..., Any]


def filter_names() -> list[str]:
    """Returns the names of all filters of the collection, from their files."""
    return sorted(path.stem for path in (ROOT / "plugins" / "filter").glob("[!_]*.py"))


def load_filter(name: str) -> Filter:
    """Returns one filter, as Ansible would load it."""
    module = importlib.import_module(f"ansible_collections.baremetal.synapse.plugins.filter.{name}")
    function: Filter = module.FilterModule().filters()[name]
    return function


def _of_the_topology(view: Filter, topology_json: str) -> Any:
    return view(topology_json)


def _of_inputs(_view: Filter, topology_json: str) -> Any:
    return json.loads(topology_json)


def _of_workers(view: Filter, topology_json: str) -> Any:
    topology = parse_topology(topology_json)
    places = dict.fromkeys((worker.host, worker.group) for worker in topology.workers)
    found = [entry for host, group in places for entry in view(topology_json, host, group)]
    return {entry["name"]: {**entry, "config": yaml.safe_load(entry["config"])} for entry in found}


def _of_documents(view: Filter, topology_json: str) -> Any:
    return yaml.safe_load(view(topology_json))


def _of_documents_of_hosts(view: Filter, topology_json: str) -> Any:
    return {host: json.loads(text) for host, text in _of_hosts(view, topology_json).items()}


def _of_hosts(view: Filter, topology_json: str) -> Any:
    return {host: view(topology_json, host) for host in parse_topology(topology_json).addresses}


def _of_a_machine(view: Filter, topology_json: str) -> Any:
    return view(topology_json, memory_mib=_MEMORY_MIB, cpus=_CPUS)


def _of_each_machine(view: Filter, topology_json: str) -> Any:
    return {host: view(topology_json, host, memory_mib=_MEMORY_MIB) for host in parse_topology(topology_json).addresses}


def _of_pythons(view: Filter, topology_json: str) -> Any:
    return {python: view(topology_json, python) for python in _PYTHONS}


def _of_bare_hosts(view: Filter, topology_json: str) -> Any:
    topology = parse_topology(topology_json)
    proxies = {host: {"stdout_lines": ["write the configuration"]} for host in topology.nginx_hosts}
    return view(topology_json, {host: {"processes": []} for host in topology.addresses}, proxies)


def _of_units(view: Filter, topology_json: str) -> Any:
    units = [load_filter("main_unit")(topology_json)]
    for host in parse_topology(topology_json).addresses:
        units += load_filter("worker_units")(topology_json, host)
    media_store_path = load_filter("fleet")(topology_json)["media_store_path"]
    return {unit["name"]: view(unit, media_store_path) for unit in units}


# Filters that take more than the topology, or something else; all others take it alone.
_CALLS: dict[str, Callable[[Filter, str], Any]] = {
    "topology": _of_inputs,
    "worker_files": _of_workers,
    "process_files": _of_hosts,
    "watchdog": _of_hosts,
    "worker_units": _of_hosts,
    "fingerprint_inputs": _of_documents_of_hosts,
    "shared_config": _of_documents,
    "main_config": _of_documents,
    "firewall_rules": _of_hosts,
    "plan": _of_bare_hosts,
    "release_dir": _of_pythons,
    "postgres_settings": _of_a_machine,
    "memory_budget": _of_each_machine,
    "unit_drop_in": _of_units,
}


def inventory_names() -> list[str]:
    """Returns the names of the example inventories."""
    return sorted(path.name for path in INVENTORIES.iterdir() if path.is_dir())


def views(inventory: str) -> dict[str, str]:
    """Returns the golden files of an inventory, by their names."""
    topology_json = load_topology_json(INVENTORIES / inventory)
    found = {}
    for name in filter_names():
        if name in CHECKS:
            continue
        call = _CALLS.get(name, _of_the_topology)
        value = call(load_filter(name), topology_json)
        if name == "diagram":
            found["diagram.svg"] = value
        else:
            found[f"{name}.json"] = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    return found


def main() -> None:
    """Rewrites all golden files."""
    shutil.rmtree(GOLDEN, ignore_errors=True)
    for inventory in inventory_names():
        directory = GOLDEN / inventory
        directory.mkdir(parents=True)
        for name, text in views(inventory).items():
            (directory / name).write_text(text)


if __name__ == "__main__":
    main()
