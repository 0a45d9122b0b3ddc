# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets of the inventory that differ from those of the host: each is a rotation, which has to be confirmed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from ..model import layout
from ..model.errors import HIDDEN, TopologyError
from ..model.server_secrets import DATABASE_PASSWORD, FILES, OLD_KEYS, SIGNING_KEY, VARIABLE
from ..model.topology import Topology

CONFIRM = "plan_confirmed"
"""The variable with the names of what the operator confirms."""

_COSTS: Mapping[str, str] = {
    SIGNING_KEY: "other servers need the public part of the old one to verify what it has signed",
    "macaroon_secret_key": "guests and logins that are under way begin anew, and everything restarts at once",
    "form_secret": "links to the terms of consent that were sent become invalid",
    "registration_shared_secret": "programs that register accounts need the new one",
    "worker_replication_secret": "everything restarts at once",
    "redis_password": "Redis and everything that uses it restart at once",
    DATABASE_PASSWORD: "new connections to PostgreSQL fail for some seconds, until it has the new password",
}
_DAY_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True, kw_only=True)
class HostSecrets:
    """What the survey of the main host has found of the secrets.

    Attributes:
        others: the paths of the files that hold another secret than the inventory says.
        public_key: the ``id`` and the public ``key`` of the signing key that is to be replaced; None if none is.
        now_ms: the time in milliseconds since 1970.
    """

    others: Collection[str] = ()
    public_key: Mapping[str, str] | None = None
    now_ms: int = 0


def check_rotations(topology: Topology, found: HostSecrets, confirmed: Collection[str]) -> Iterator[TopologyError]:
    """Refuses rotations that are not confirmed, and those of the signing key that would lose what it has signed.

    Args:
        topology: what is wanted.
        found: what the main host has.
        confirmed: the names of the secrets whose rotation the operator confirms.
    """
    for name, file in FILES.items():
        if layout.secret(file) not in found.others:
            continue
        if name not in confirmed:
            yield _refused(
                topology,
                name,
                f"{topology.main.host} has another one, so this is a rotation: {_COSTS[name]}",
                f"Set {CONFIRM}: [{name}] to rotate it, or write the secret of the host here.",
            )
        if name == SIGNING_KEY and found.public_key is not None:
            yield from _old_key(topology, found.public_key, found.now_ms)


def _old_key(topology: Topology, old: Mapping[str, str], now_ms: int) -> Iterator[TopologyError]:
    new = topology.options[VARIABLE][SIGNING_KEY].split()
    if old["id"] == f"{new[0]}:{new[1]}":
        yield _refused(
            topology,
            SIGNING_KEY,
            f"it has the name {old['id']} of the old key, under which other servers remember that one",
            f"Write another version in the place of {new[1]}.",
        )
        return
    known = (topology.options["synapse_extra_config"].get(OLD_KEYS) or {}).get(old["id"]) or {}
    expired = known.get("expired_ts")
    if known.get("key") != old["key"] or not isinstance(expired, int) or expired < now_ms:
        entry = f"{{key: {old['key']}, expired_ts: {now_ms + _DAY_MS}}}"
        yield _refused(
            topology,
            SIGNING_KEY,
            f"{OLD_KEYS} lacks the old key {old['id']}, or says that it has expired before it is replaced",
            f"Write it into synapse_extra_config as {OLD_KEYS}: {{'{old['id']}': {entry}}}, and keep it there; a day is"
            " left for the rotation.",
        )


def _refused(topology: Topology, name: str, reason: str, fix: str) -> TopologyError:
    return TopologyError(f"{VARIABLE}.{name}", HIDDEN, reason, fix, topology.main.host)


__all__ = ("HostSecrets", "check_rotations")
