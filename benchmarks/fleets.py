# SPDX-License-Identifier: GPL-3.0-or-later
"""Inventories of any size, for the benchmarks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from tools.runs import Fleet, disposable_fleet

SERVICES = ("synapse_main", "postgres", "redis", "nginx")


def inventory(groups: Mapping[str, Sequence[str]], **variables: Any) -> dict[str, Any]:
    """Returns an inventory; its first host is the first one of the first group.

    Args:
        groups: the hosts of each group.
        variables: variables of all hosts, besides those that every benchmark needs.
    """
    hosts = dict.fromkeys(host for members in groups.values() for host in members)
    return {
        "all": {
            "hosts": {
                host: {"ansible_host": f"192.0.2.{number}", "synapse_address": f"192.0.2.{number}"}
                for number, host in enumerate(hosts, start=1)
            },
            "vars": {"synapse_server_name": "example.org", "nginx_tls_self_signed": True, **variables},
            "children": {group: {"hosts": dict.fromkeys(members)} for group, members in groups.items()},
        }
    }


def one_host(**variables: Any) -> dict[str, Any]:
    """Returns an inventory with all on one host: the services, and the groups of workers that have variables."""
    workers = [name for name in ("generic_workers", "media_workers", "background_workers") if name in variables]
    return inventory(dict.fromkeys((*SERVICES, *workers), ("bench",)), **variables)


def written(folder: Path, wanted: Mapping[str, Any]) -> Path:
    """Returns the folder, after writing the inventory into it."""
    (folder / "hosts.yml").write_text(yaml.safe_dump(dict(wanted), sort_keys=False))
    return folder


@contextmanager
def booted(wanted: Mapping[str, Any] | str, *, machine: str, address: str, **variables: Any) -> Iterator[Fleet]:
    """Boots the hosts of an inventory, and ends them afterwards.

    Args:
        wanted: the inventory, or the name of an example.
        machine: what the names of the disposable hosts begin with.
        address: the address of the first one; see ``tools.runs.disposable_fleet``.
        variables: variables of the hosts that the inventory has not got.
    """
    with TemporaryDirectory() as folder:
        place = wanted if isinstance(wanted, str) else written(Path(folder), wanted)
        with disposable_fleet(place, machine=machine, address=address, variables=variables) as fleet:
            yield fleet
