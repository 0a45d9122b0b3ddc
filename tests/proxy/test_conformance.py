# SPDX-License-Identifier: GPL-3.0-or-later
"""Every request that a release serves reaches a process that serves it: every example, every shipped release."""

from __future__ import annotations

import pytest
from ansible_collections.baremetal.synapse.plugins.module_utils.conformance.verdict import Verdict, verdict_table
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.releases import Release
from ansible_collections.baremetal.synapse.plugins.plugin_utils.routing.registry import registry

from tools.conformance import example_names, judge_all

RELEASES = registry().releases


@pytest.fixture(scope="module")
def verdicts(request: pytest.FixtureRequest) -> dict[tuple[str, Release], Verdict]:
    """Judges everything once, and prints the table."""
    found = judge_all(example_names(), RELEASES)
    table = verdict_table([(f"{name} {release}", verdict) for (name, release), verdict in found.items()], "fleet")
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print(f"\n{table}")
    return found


@pytest.mark.parametrize("release", RELEASES, ids=str)
@pytest.mark.parametrize("inventory", example_names())
def test_nothing_goes_wrong(inventory: str, release: Release, verdicts: dict[tuple[str, Release], Verdict]) -> None:
    verdict = verdicts[inventory, release]
    assert verdict.requests > 5000
    assert verdict.wrong == []


@pytest.mark.parametrize("release", RELEASES, ids=str)
def test_full_leaves_nothing_on_main_without_a_reason(
    release: Release, verdicts: dict[tuple[str, Release], Verdict]
) -> None:
    assert verdicts["full", release].offloadable == set()
    assert len(verdicts["full", release].kept) <= 1


@pytest.mark.parametrize("inventory", sorted(set(example_names()) - {"monolith"}))
def test_workers_get_most_requests(inventory: str, verdicts: dict[tuple[str, Release], Verdict]) -> None:
    """The verdicts are about requests that really went to many processes."""
    served = verdicts[inventory, RELEASES[-1]].per_process
    assert len(served) > 2
    assert served["main"] < served.total() / 2
