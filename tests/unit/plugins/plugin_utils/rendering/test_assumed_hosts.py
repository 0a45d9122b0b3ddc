# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that only renders is told what the hosts are."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.errors import TopologyError
from ansible_collections.baremetal.synapse.plugins.plugin_utils.rendering.assumed_hosts import assumed_host


def test_a_host_of_which_nothing_is_said_is_the_default() -> None:
    assert assumed_host("a", {})["memtotal_mb"] == 8192
    assert assumed_host("a", {})["distribution_major_version"] == "13"


def test_what_is_said_counts_also_as_text_from_the_command_line() -> None:
    said = {"render_debian_version": 12, "render_architecture": "aarch64", "render_memory_mib": "512", "render_cpus": 2}
    assert assumed_host("a", said) == {
        "distribution": "Debian",
        "distribution_major_version": "12",
        "python_version": "3.11.2",
        "architecture": "aarch64",
        "memtotal_mb": 512,
        "processor_vcpus": 2,
    }


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            {"render_debian_version": "11"},
            "render_debian_version on host a is '11': it is one of 12, 13",
        ),
        ({"render_memory_mib": 0}, "render_memory_mib on host a is 0: it is a whole number of MiB"),
        ({"render_cpus": "four"}, "render_cpus on host a is 'four': "),
    ],
)
def test_what_cannot_be_is_refused(said: dict[str, Any], told: str) -> None:
    with pytest.raises(TopologyError) as caught:
        assumed_host("a", said)
    assert str(caught.value).startswith(told)
