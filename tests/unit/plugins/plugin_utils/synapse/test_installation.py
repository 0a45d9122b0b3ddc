# SPDX-License-Identifier: GPL-3.0-or-later
"""Another lock, or another Python, is another directory."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.errors import TopologyError
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.installation import release_dir

from tests.unit.fleets import ROOT, one_host

LOCKS = Path(ROOT, "roles/synapse/files/requirements")


def test_lock_and_python_name_the_directory() -> None:
    fleet = one_host()
    lock = (LOCKS / f"{fleet.release}.txt").read_text().rstrip()
    name = f"{fleet.release}-{hashlib.sha256(f'{lock}3.13'.encode()).hexdigest()[:12]}"
    assert release_dir(fleet, "3.13.5") == release_dir(fleet, "3.13.7") == f"/opt/matrix-synapse/releases/{name}"
    assert release_dir(fleet, "3.11.2") != release_dir(fleet, "3.13.5")


def test_every_lock_gives_a_directory_of_its_own() -> None:
    releases = [path.stem for path in LOCKS.glob("[0-9]*.txt")]
    found = {release_dir(one_host(synapse_version=release), "3.13.5") for release in releases}
    assert len(found) == len(releases) > 1


def test_a_release_without_a_lock_is_refused() -> None:
    with pytest.raises(TopologyError, match=r"synapse_version is '1\.150\.0': the collection has no lock file"):
        release_dir(one_host(synapse_version="1.150.0"), "3.13.5")
