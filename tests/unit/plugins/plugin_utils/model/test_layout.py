# SPDX-License-Identifier: GPL-3.0-or-later
"""Slots of ports, and paths."""

from __future__ import annotations

import itertools

from ansible_collections.baremetal.synapse.plugins.plugin_utils.model import layout
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.duties import DUTIES

EPHEMERAL_PORTS_BEGIN = 32768


def test_every_duty_has_a_fixed_slot_and_nothing_else_has() -> None:
    assert set(layout.DUTY_SLOTS) == set(DUTIES)
    assert len(set(layout.DUTY_SLOTS)) == len(layout.DUTY_SLOTS)
    assert len(layout.DUTY_SLOTS) < layout.FIRST_FREE_SLOT


def test_the_slots_of_the_first_release_stay_where_they_are() -> None:
    assert layout.pool_slot("typing") == 1
    assert layout.pool_slot("sync") == 14
    assert layout.pool_slot("federation_sender") == 26
    # crc32 of the name: the same on every machine and with every Python.
    assert layout.pool_slot("reader") == 124


def test_slots_of_other_names_are_free_ones() -> None:
    slots = {layout.pool_slot(f"pool_{number}") for number in range(2000)}
    assert slots == set(range(layout.FIRST_FREE_SLOT, layout.SLOTS))


def test_the_bands_of_ports_do_not_overlap_and_end_below_the_ephemeral_ports() -> None:
    size = layout.SLOTS * layout.SLOT_SIZE
    bases = [layout.HTTP_BASE, layout.REPLICATION_BASE, layout.METRICS_BASE, EPHEMERAL_PORTS_BEGIN]
    assert all(low + size <= high for low, high in itertools.pairwise(bases))


def test_nginx_and_replication_have_sockets_in_directories_of_their_own() -> None:
    paths = layout.layout()
    assert layout.http_socket("a").startswith(paths["http_socket_dir"] + "/")
    assert layout.replication_socket("a").startswith(paths["replication_socket_dir"] + "/")
    assert paths["http_socket_dir"] != paths["replication_socket_dir"]


def test_every_path_is_absolute() -> None:
    no_paths = {"user", "group", "proxy_group", "main_unit", "worker_unit", "pool_drop_in", "target", "watchdog_unit"}
    for name, value in layout.layout().items():
        paths = [entry["path"] for entry in value] if isinstance(value, list) else [value]
        assert name in no_paths or all(path.startswith("/") for path in paths), name


def test_every_directory_that_the_processes_use_is_listed_once() -> None:
    found = layout.layout()
    paths = [entry["path"] for entry in found["directories"]]
    assert len(set(paths)) == len(paths)
    assert {found[name] for name in found if name.endswith("_dir")} - {*paths, found["unit_dir"]} == {
        found["nginx_draft_dir"],
        found["uv_dir"],
    }
    assert all(entry in found["directories"] for entry in (*found["first_directories"], *found["run_directories"]))
