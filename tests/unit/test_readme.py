# SPDX-License-Identifier: GPL-3.0-or-later
"""What the README shows a newcomer works as it stands."""

from __future__ import annotations

import re
from pathlib import Path

from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.config import shared_config

from tools.docs_tables import ROOT
from tools.inventory import load_topology


def test_the_first_inventory_of_the_readme_is_a_fleet_with_workers(tmp_path: Path) -> None:
    blocks = re.findall(r"```yaml\n# hosts.yml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 1
    assert len(blocks[0].splitlines()) <= 10
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(blocks[0])
    topology = load_topology(inventory)
    assert [worker.name for worker in topology.workers] == [
        "synapse1-client_reader-1",
        "synapse1-sync-1",
        "synapse1-sync-2",
    ]
    assert shared_config(topology)["server_name"] == "example.org"
