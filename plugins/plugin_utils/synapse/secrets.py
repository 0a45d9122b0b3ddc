# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of the secrets that a fleet has."""

from __future__ import annotations

from dataclasses import dataclass

from ..model import layout
from ..model.topology import Topology

SIGNING_KEY = "signing.key"
MACAROON = "macaroon_secret_key"
FORM = "form_secret"
REGISTRATION = "registration_shared_secret"
REPLICATION = "worker_replication_secret"
REDIS = "redis_password"
PASSFILE = "pgpass"


@dataclass(frozen=True, kw_only=True)
class Secret:
    """One secret.

    Attributes:
        name: the name of its file.
        kind: how it is made.
        mode: the mode of its file.
        main_alone: only the main process needs it.
        shared: processes with the old value cannot work beside those with the new one.
    """

    name: str
    kind: str = "token"
    mode: str = "0400"
    main_alone: bool = False
    shared: bool = False


SECRETS: tuple[Secret, ...] = (
    Secret(name=SIGNING_KEY, kind="signing_key"),
    Secret(name=MACAROON, shared=True),
    Secret(name=FORM),
    # Only the main process serves the admin API that takes it.
    Secret(name=REGISTRATION, main_alone=True),
    Secret(name=REPLICATION, shared=True),
    Secret(name=REDIS, shared=True),
    # libpq ignores a password file that others may read.
    Secret(name=PASSFILE, kind="pgpass"),
)


def secret_files(topology: Topology | None = None, host: str | None = None) -> list[dict[str, str]]:
    """Returns the secrets of a fleet: name, path, kind (how it is made) and mode of each file.

    Args:
        topology: the fleet; needed to leave out what a host does not need.
        host: the host that they are for; all of them, which the main host makes, if it is None.
    """
    is_main = topology is None or host in (None, topology.main.host)
    return [
        {"name": secret.name, "path": layout.secret(secret.name), "kind": secret.kind, "mode": secret.mode}
        for secret in SECRETS
        if is_main or not secret.main_alone
    ]
