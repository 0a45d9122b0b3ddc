# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes what is generated from the model: tables and pictures of the documentation, and the interfaces of roles.

Usage: ``python -m tools.docs_tables`` rewrites them, ``--check`` fails if they are out of date.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / ".ansible" / "collections"))

from ansible_collections.baremetal.synapse.plugins.plugin_utils.model import layout
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.duties import DUTIES, WORKER_GROUPS
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.inputs import INPUTS
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.inputs.pools import POOL_INPUTS
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.presets import PRESETS
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.releases import OLDEST
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.schema import TOPOLOGY
from ansible_collections.baremetal.synapse.plugins.plugin_utils.routing.registry import registry
from ansible_collections.baremetal.synapse.plugins.plugin_utils.routing.rules import RULES, duty_of
from ansible_collections.baremetal.synapse.plugins.plugin_utils.views.diagram import diagram

from tools.interfaces import markdown, role_files, shown_default
from tools.inventory import load_topology

_TYPES = {"int": "integer", "str": "string", "list": "list", "dict": "mapping", "float": "number"}
ROOT = Path(__file__).resolve().parent.parent
_BALANCE = {
    "user": "by user",
    "room": "by room",
    "source": "by source address",
    "least_conn": "fewest connections",
    "round_robin": "round robin",
}


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Returns a Markdown table."""
    header = list(header)
    lines = [header, ["---"] * len(header), *map(list, rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def inputs() -> str:
    """Returns the table of all inputs of the topology."""
    return table(
        ("variable", "default", "set", "what it is"),
        (
            (
                f"`{entry.name}`",
                shown_default(entry),
                "per host" if entry.per_host else "once",
                markdown(entry.about),
            )
            for entry in INPUTS.values()
            if entry.role == TOPOLOGY
        ),
    )


def pools() -> str:
    """Returns the table of the settings of a pool."""
    return table(
        ("setting", "type", "default", "what it is"),
        (
            (f"`{entry.name}`", _TYPES[entry.kind.type], shown_default(entry), markdown(entry.about))
            for entry in POOL_INPUTS.values()
        ),
    )


def duties() -> str:
    """Returns the table of all duties."""
    routed = {duty_of(route) for route in registry().routes} | {rule.initial for rule in RULES}
    return table(
        ("duty", "what it does", "in", "how many", "nginx chooses", "without it", "since"),
        (
            (
                f"`{duty.name}`",
                duty.about,
                " or ".join(f"`{group}`" for group in duty.groups),
                "one" if duty.single else "many",
                ("-" if duty.single else _BALANCE[duty.balance]) if duty.name in routed else "not over HTTP",
                ", ".join((*(f"`{name}`" for name in duty.fallback), "main")),
                "" if duty.since == OLDEST else f"{duty.since.major}.{duty.since.minor}",
            )
            for duty in DUTIES.values()
        ),
    )


def presets() -> str:
    """Returns the table of what each preset runs on a host."""

    def cell(preset: str, group: str) -> str:
        pools = PRESETS[preset][group]
        names = (f"{name} x {pool['count']}" if pool["count"] > 1 else name for name, pool in pools.items())
        return ", ".join(names) or "-"

    return table(
        ("preset", *(f"`{group}`" for group in WORKER_GROUPS)),
        ((f"`{preset}`", *(cell(preset, group) for group in WORKER_GROUPS)) for preset in PRESETS),
    )


def paths() -> str:
    """Returns the table of paths and names on a host."""
    named = {name: value for name, value in layout.layout().items() if isinstance(value, str)}
    return table(("name", "value"), ((f"`{name}`", f"`{value}`") for name, value in named.items()))


def ports() -> str:
    """Returns the table of first ports of pools that are named after duties."""
    bands = (layout.HTTP_BASE, layout.REPLICATION_BASE, layout.METRICS_BASE)
    slots = {"main process": layout.MAIN_SLOT} | {f"`{duty}`": layout.pool_slot(duty) for duty in layout.DUTY_SLOTS}
    return table(
        ("pool", "HTTP", "replication", "metrics"),
        ((name, *(str(base + slot * layout.SLOT_SIZE) for base in bands)) for name, slot in slots.items()),
    )


PICTURES = {"docs/single_host.svg": "single_host", "docs/cluster.svg": "cluster"}
"""The pictures of the documentation, and the example inventories that they show."""


BLOCKS: dict[str, dict[str, Callable[[], str]]] = {
    "docs/topology.md": {
        "inputs": inputs,
        "pools": pools,
        "duties": duties,
        "presets": presets,
        "ports": ports,
        "paths": paths,
    },
}


def _filled(content: str, match: re.Match[str]) -> str:
    return f"{match[1]}{content}\n{match[2]}"


def render(text: str, blocks: dict[str, Callable[[], str]]) -> str:
    """Returns the text with every marked block replaced."""
    for name, block in blocks.items():
        pattern = re.compile(rf"(<!-- {name}: generated -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
        text, count = pattern.subn(partial(_filled, block()), text)
        if count != 1:
            raise SystemExit(f"the markers of {name} are there {count} times; write them once")
    return text


def main() -> int:
    """Rewrites or checks all files; returns the exit code."""
    check = sys.argv[1:] == ["--check"]
    wanted = {name: render((ROOT / name).read_text(), blocks) for name, blocks in BLOCKS.items()}
    wanted |= role_files(ROOT)
    wanted |= {name: diagram(load_topology(ROOT / "inventories" / shown)) for name, shown in PICTURES.items()}
    stale = [name for name, text in wanted.items() if not (ROOT / name).is_file() or (ROOT / name).read_text() != text]
    if not check:
        for name in stale:
            (ROOT / name).write_text(wanted[name])
    if check and stale:
        print(f"out of date: {', '.join(stale)}; run: python -m tools.docs_tables")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
