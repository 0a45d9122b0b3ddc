# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets of the inventory are what the programs that read them take, or are refused without being shown."""

from __future__ import annotations

from hashlib import sha256

import pytest
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.errors import TopologyError
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.server_secrets import FILES
from ansible_collections.baremetal.synapse.plugins.plugin_utils.servers.postgres_state import password_of
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.secrets import SECRETS, given_secrets

from tests.unit.fleets import one_host, several_hosts

KEY = "ed25519 a_old " + "A" * 43
DIR = "/etc/matrix-synapse/secrets/"


def test_every_secret_of_a_server_can_be_given() -> None:
    assert sorted(FILES.values()) == sorted(secret.name for secret in SECRETS)


def test_files_hold_what_is_given_in_their_form() -> None:
    given = {"signing_key": f"{KEY}=\n", "form_secret": "a b", "database_password": "a:b\\c", "redis_password": 123}
    topology = one_host(synapse_secrets=given)
    contents = given_secrets(topology)
    assert contents == {
        f"{DIR}signing.key": f"{KEY}\n",
        f"{DIR}form_secret": "a b\n",
        f"{DIR}redis_password": "123\n",
        f"{DIR}pgpass": "*:*:*:*:a\\:b\\\\c\n",
    }
    assert password_of(contents[f"{DIR}pgpass"]) == "a:b\\c"
    hashes = given_secrets(topology, hashed=True)
    assert hashes[f"{DIR}form_secret"] == sha256(b"a b").hexdigest()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("signing_key", "hunter2 a b"),
        ("signing_key", "ed25519 a_old hunter2"),
        ("signing_key", "ed25519 a-old " + "A" * 43),
        ("signing_key", "rsa a_old " + "A" * 43),
        ("signing_key", f"{KEY}\n{KEY}"),
        ("signing_key", "ed25519 a_PLACEHOLDER PLACEHOLDERnotAsecretPLACEHOLDERnotAsecretA"),
        ("form_secret", "hunter2\nhunter3"),
        ("form_secret", " hunter2"),
        ("form_secret", "hünter2"),
        ("form_secret", ""),
        ("form_secret", ["hunter2"]),
        ("form_secret", "h" * 1001),
        ("macaroon_secret_key", "PLACEHOLDER_written_by_render_not_a_secret"),
        ("turn_shared_secret", "hunter2"),
    ],
)
def test_what_no_program_reads_is_refused_and_not_shown(name: str, value: object) -> None:
    with pytest.raises(TopologyError) as caught:
        several_hosts(synapse_secrets={name: value})
    assert str(caught.value).startswith("synapse_secrets is (not shown): ")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("name", ["synapse_signing_key", "synapse_macaroon_secret_key", "redis_password"])
def test_variables_that_do_not_exist_name_the_one_that_does(name: str) -> None:
    with pytest.raises(TopologyError, match=f"synapse_secrets: {{{name.removeprefix('synapse_')}: ") as caught:
        one_host(**{name: "hunter2"})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("option", ["signing_key", "registration_shared_secret", "macaroon_secret_key_path"])
def test_options_of_synapse_name_the_variable(option: str) -> None:
    with pytest.raises(TopologyError, match=f"use synapse_secrets.{option.removesuffix('_path')}"):
        one_host(synapse_extra_config={option: "hunter2"})
