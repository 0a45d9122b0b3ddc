# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that Synapse would ignore: what is refused, what is only said, what is left alone."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.releases import NEWEST, Release
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.config import (
    main_config,
    shared_config,
    worker_config,
)
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.options import (
    option_notices,
    options_of,
    refused_options,
)
from ansible_collections.baremetal.synapse.plugins.plugin_utils.views.fleet import fleet

from tests.unit.fleets import every_fleet, one_host

SECRET = "not-for-the-screen"


def refused(**config: Any) -> dict[str, str | None]:
    """Returns what is refused of an option, with the option that is named instead."""
    return {unknown.name: unknown.near for unknown in refused_options(one_host(synapse_extra_config=config))}


def test_misspelt_options_are_refused_together_with_the_near_known_one_and_without_their_values() -> None:
    topology = one_host(
        synapse_extra_config={"turn-shared-secret": SECRET, "media_store_providers": [{"module": SECRET}]},
        synapse_version="1.163.2",
    )
    texts = [str(unknown.error) for unknown in refused_options(topology)]
    assert sorted(texts, reverse=True) == [
        "synapse_extra_config.turn-shared-secret is '(not shown)': Synapse 1.163.2 does not know it, and ignores it"
        " without a word. Did you mean 'turn_shared_secret'?",
        "synapse_extra_config.media_store_providers is '(not shown)': Synapse 1.163.2 does not know it, and ignores"
        " it without a word. Did you mean 'media_storage_providers'?",
    ]


@pytest.mark.parametrize(
    ("config", "near"),
    [
        ({"password_config": {"peper": SECRET}}, {"password_config.peper": "password_config.pepper"}),
        (
            {"retention": {"default_policy": {"max-lifetime": "1y"}}},
            {"retention.default_policy.max-lifetime": "retention.default_policy.max_lifetime"},
        ),
        ({"smtp_host": "mail.example.org"}, {"smtp_host": "email.smtp_host"}),
        ({"Enable_Registration": True}, {"Enable_Registration": "enable_registration"}),
    ],
)
def test_options_inside_others_and_at_the_wrong_place_are_found(config: dict[str, Any], near: dict[str, str]) -> None:
    assert refused(**config) == near


@pytest.mark.parametrize(
    "config",
    [
        {"modules": [{"module": "a.B", "config": {"anything": 1}}]},
        {"experimental_features": {"msc0000_anything": True}},
        {"oidc_providers": [{"idp_id": "a", "of_a_module": 1}]},
        {"ldap_config": {"enabled": True, "of_the_module": 1}},
        {"rc_joins": {"local": {"per_second": 1}}},
        {"email": {"smtp_host": "a", "notif_template_html": "b"}, "password_config": {"policy": {"enabled": True}}},
        {"caches": {"per_cache_factors": {"get_users_in_room": 2}}},
    ],
)
def test_options_of_modules_and_experiments_are_left_alone(config: dict[str, Any]) -> None:
    topology = one_host(synapse_extra_config=config)
    assert refused_options(topology) == []
    assert option_notices(topology) == []


def test_options_of_other_releases_and_unlike_any_are_said_and_do_not_stop_a_run() -> None:
    topology = one_host(
        synapse_version="1.152.1", synapse_extra_config={"rc_profile": {"per_second": 1}, "zzz_of_a_fork": SECRET}
    )
    assert refused_options(topology) == []
    assert fleet(topology)["notices"] == [
        "synapse_extra_config.rc_profile has no effect: Synapse 1.152.1 does not know it; Synapse 1.162.0 and later"
        " does.",
        "synapse_extra_config.zzz_of_a_fork has no effect: Synapse 1.152.1 does not know it, and ignores it"
        " without a word.",
    ]


def test_the_option_that_the_documentation_misspells_is_said_with_the_one_that_is_read() -> None:
    topology = one_host(synapse_extra_config={"allow_underscore_prefixed_registration": True})
    assert refused_options(topology) == []
    assert "Did you mean 'allow_underscore_prefixed_localpart'?" in option_notices(topology)[0]


def test_a_release_that_was_not_read_is_never_blocked() -> None:
    topology = one_host(synapse_version="1.999.0", synapse_extra_config={"turn_shared_secretz": SECRET})
    assert refused_options(topology) == []
    assert any("turn_shared_secretz" in line for line in option_notices(topology))


def test_pools_and_the_main_process_are_looked_at_under_the_names_of_their_variables() -> None:
    topology = one_host(
        generic_workers={"sync": {"count": 2, "extra_config": {"event_cache_sizes": "10K"}}},
        synapse_main_settings={"extra_config": {"auto_join_room": []}},
    )
    found = {(unknown.variable, unknown.near, unknown.host) for unknown in refused_options(topology)}
    assert found == {
        ("generic_workers.sync.extra_config", "event_cache_size", "synapse1"),
        ("synapse_main_settings.extra_config", "auto_join_rooms", None),
    }


def test_what_the_collection_writes_is_known() -> None:
    """It writes for any release, and its options must be spelt right themselves."""
    known = options_of(NEWEST)
    for topology in every_fleet().values():
        configs = [shared_config(topology), main_config(topology)]
        configs += [worker_config(topology, worker) for worker in topology.workers]
        assert [name for config in configs for name in known.unknown(config)] == []


def test_a_patch_that_was_not_read_has_the_options_of_its_minor() -> None:
    assert options_of(Release(1, 163, 9)) == options_of(Release(1, 163, 2))
    assert options_of(Release(1, 135, 0)).release == Release(1, 135, 2)
