# SPDX-License-Identifier: GPL-3.0-or-later
"""A secret of the inventory replaces another one of the host only where the operator has confirmed it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.baremetal.synapse.plugins.plugin_utils.lifecycle.rotations import HostSecrets, check_rotations
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model import layout
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.server_secrets import FILES

from tests.unit.fleets import one_host

NEW = "ed25519 a_new " + "B" * 42 + "A"
OLD = {"id": "ed25519:a_old", "key": "O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik"}
NOW = 1_000_000


def told(name: str, *confirmed: str, extra: Any = None, key: Any = None, new: str = NEW) -> list[str]:
    """Returns why a run with another secret of this name is refused."""
    topology = one_host(synapse_secrets={name: new}, synapse_extra_config=extra or {})
    found = HostSecrets(others=[layout.secret(FILES[name])], public_key=key, now_ms=NOW)
    return [str(error) for error in check_rotations(topology, found, confirmed)]


@pytest.mark.parametrize("name", [name for name in FILES if name != "signing_key"])
def test_a_rotation_is_done_when_it_is_confirmed(name: str) -> None:
    (refused,) = told(name)
    assert refused.startswith(f"synapse_secrets.{name} on host synapse1 is (not shown): synapse1 has another one")
    assert f"plan_confirmed: [{name}]" in refused
    assert told(name, "main") == [refused]
    assert told(name, name) == []


def test_a_secret_that_is_the_same_or_new_is_no_rotation() -> None:
    topology = one_host(synapse_secrets={"form_secret": "new"})
    assert list(check_rotations(topology, HostSecrets(), ())) == []


def test_the_old_signing_key_stays_known_to_other_servers() -> None:
    lacks = told("signing_key", "signing_key", key=OLD)
    assert len(lacks) == 1
    entry = f"old_signing_keys: {{'ed25519:a_old': {{key: {OLD['key']}, expired_ts: {NOW + 86_400_000}}}}}"
    assert entry in lacks[0]
    kept = {"key": OLD["key"], "expired_ts": NOW + 1}
    assert told("signing_key", "signing_key", key=OLD, extra={"old_signing_keys": {OLD["id"]: kept}}) == []
    for wrong in ({**kept, "expired_ts": NOW - 1}, {**kept, "key": "other"}, {"key": OLD["key"]}):
        extra = {"old_signing_keys": {OLD["id"]: wrong}}
        assert told("signing_key", "signing_key", key=OLD, extra=extra) == lacks


def test_a_new_signing_key_has_a_name_of_its_own() -> None:
    (refused,) = told("signing_key", "signing_key", key={**OLD, "id": "ed25519:a_new"})
    assert "Write another version in the place of a_new." in refused
