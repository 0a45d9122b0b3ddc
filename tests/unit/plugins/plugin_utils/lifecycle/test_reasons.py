# SPDX-License-Identifier: GPL-3.0-or-later
"""A changed input of a process is told in words, and the options of duties are those of the table."""

from __future__ import annotations

import pytest
from ansible_collections.baremetal.synapse.plugins.plugin_utils.lifecycle.dependencies import (
    option_key,
    sharded_duties,
)
from ansible_collections.baremetal.synapse.plugins.plugin_utils.lifecycle.reasons import concerns_all, reasons_of
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.duties import DUTIES, DUTY_OF_OPTION

from tests.unit.fleets import ROOT

SECRETS = "/etc/matrix-synapse/secrets"
# Written down anew, not taken from the table.
REASONS = {
    "federation_sender_instances": "federation senders change, and Synapse shards destinations by this list",
    "pusher_instances": "pushers change, and Synapse shards users by this list",
    "run_background_tasks_on": "background_tasks move",
    "update_user_directory_from_worker": "user_directory moves",
    "notify_appservices_from_worker": "appservices move",
    "media_instance_running_background_jobs": "media_background moves",
    "stream_writers.events": "events writers change, and Synapse shards rooms by this list",
    "stream_writers.typing": "typing writers change, and every process reads the list at its start",
    "stream_writers.unheard_of": "unheard_of writers change, and every process reads the list at its start",
    "public_baseurl": "public_baseurl changes in homeserver.yaml",
}


@pytest.mark.parametrize("option", REASONS)
def test_a_changed_option_is_told_in_words(option: str) -> None:
    assert reasons_of([option_key(option)]) == REASONS[option]


def test_a_change_of_many_addresses_and_options_is_told_in_a_few_words() -> None:
    addresses = [option_key(f"instance_map.{name}") for name in ("a-media-1", "a-typing-1", "main", "a-events-1")]
    told = reasons_of([*addresses, option_key("redis"), option_key("database"), option_key("instance_map")])
    assert told == (
        "database, redis change in homeserver.yaml; the addresses of main, a-events-1 and 2 more change, and every"
        " process reads them at its start"
    )
    assert reasons_of([option_key("instance_map.main")]) == (
        "the address of main changes, and every process reads it at its start"
    )
    moved = [option_key("stream_writers.typing"), option_key("instance_map.a-typing-1")]
    assert reasons_of(moved) == REASONS["stream_writers.typing"]


def test_the_lists_by_which_synapse_shards() -> None:
    assert sharded_duties() == {
        "events": option_key("stream_writers.events"),
        "federation_sender": option_key("federation_sender_instances"),
        "pusher": option_key("pusher_instances"),
    }


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (f"{SECRETS}/worker_replication_secret", True),
        (f"{SECRETS}/macaroon_secret_key", True),
        (f"{SECRETS}/redis_password", True),
        (option_key("redis"), True),
        (option_key("instance_map.main"), True),
        (f"{SECRETS}/form_secret", False),
        (f"{SECRETS}/signing.key", False),
        (option_key("instance_map"), False),
    ],
)
def test_what_all_processes_must_have_alike(change: str, wanted: bool) -> None:
    assert concerns_all(change) is wanted


@pytest.mark.parametrize("option", DUTY_OF_OPTION)
def test_the_option_of_a_duty_is_written_in_one_place(option: str) -> None:
    sources = (ROOT / "plugins").rglob("*.py")
    assert [path.name for path in sources if f'"{option}"' in path.read_text()] == ["duties.py"]


def test_what_is_sharded_is_a_list() -> None:
    for duty in DUTIES.values():
        if duty.sharded:
            assert duty.option or duty.stream
            assert not duty.single
