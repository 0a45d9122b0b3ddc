# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of the secrets that a fleet has, and which process needs which of them.

What a process needs is what Synapse reads in its configuration when it starts: config/key.py, config/registration.py,
config/workers.py, config/redis.py and, for libpq, config/database.py. Consent alone uses ``form_secret``: api/urls.py
and rest/consent/consent_resource.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from ..model import layout
from ..model.process import Process
from ..model.server_secrets import FILES, VARIABLE, content_of
from ..model.service import REDIS as REDIS_SERVICE
from ..model.topology import Topology

SIGNING_KEY = "signing.key"
MACAROON = "macaroon_secret_key"
FORM = "form_secret"
REGISTRATION = "registration_shared_secret"
REPLICATION = "worker_replication_secret"
REDIS = "redis_password"
PASSFILE = "pgpass"

_CONSENT = "user_consent"


Need = Callable[[Topology, Process], bool]
"""Takes the topology and a process; returns whether it needs a secret."""


def _always(_topology: Topology, _process: Process) -> bool:
    return True


def _main_alone(_topology: Topology, process: Process) -> bool:
    return process.is_main


def _with_consent(topology: Topology, process: Process) -> bool:
    options = {**topology.options["synapse_extra_config"], **process.settings.extra_config}
    return process.is_main or _CONSENT in options


def _with_workers(topology: Topology, _process: Process) -> bool:
    return bool(topology.workers)


def _with_redis_over_tcp(topology: Topology, _process: Process) -> bool:
    return not topology.unix and topology.host_of(REDIS_SERVICE) is not None


def _over_tcp(topology: Topology, _process: Process) -> bool:
    return not topology.unix


@dataclass(frozen=True, kw_only=True)
class Secret:
    """One secret.

    Attributes:
        name: the name of its file.
        kind: how it is made.
        mode: the mode of its file.
        needed: which processes need it.
        shared: processes with the old value cannot work beside those with the new one.
    """

    name: str
    kind: str = "token"
    mode: str = "0400"
    needed: Need = _always
    shared: bool = False


SECRETS: tuple[Secret, ...] = (
    Secret(name=SIGNING_KEY, kind="signing_key"),
    Secret(name=MACAROON, shared=True),
    Secret(name=FORM, needed=_with_consent),
    # Only the main process serves the admin API that takes it.
    Secret(name=REGISTRATION, needed=_main_alone),
    Secret(name=REPLICATION, shared=True, needed=_with_workers),
    Secret(name=REDIS, shared=True, needed=_with_redis_over_tcp),
    # libpq ignores a password file that others may read.
    Secret(name=PASSFILE, kind="pgpass", needed=_over_tcp),
)


def secret_files(topology: Topology | None = None, host: str | None = None) -> list[dict[str, str]]:
    """Returns the secrets of a fleet: name, path, kind (how it is made) and mode of each file.

    Args:
        topology: the fleet; needed to leave out what a host does not need.
        host: the host that they are for; all of them, which the main host makes, if it is None. The other hosts have
            the same ones, because one task reads them for all.
    """
    return [
        {"name": secret.name, "path": layout.secret(secret.name), "kind": secret.kind, "mode": secret.mode}
        for secret in SECRETS
        if topology is None or host in (None, topology.main.host) or _needed_elsewhere(topology, secret)
    ]


def _needed_elsewhere(topology: Topology, secret: Secret) -> bool:
    return any(secret.needed(topology, process) for process in topology.processes if not process.is_main)


def given_secrets(topology: Topology, *, hashed: bool = False) -> dict[str, str]:
    """Returns what the inventory says that files with secrets hold, by their paths.

    Args:
        topology: the fleet.
        hashed: return hashes of the contents without white space around them, to compare them with those of a host.
    """
    given = topology.options[VARIABLE]
    found = {layout.secret(FILES[name]): content_of(name, given[name]) for name in FILES if name in given}
    if hashed:
        return {path: sha256(content.strip().encode()).hexdigest() for path, content in found.items()}
    return found


def needs(topology: Topology, process: Process, name: str) -> bool:
    """Returns whether a process needs the secret of this name."""
    return next(secret for secret in SECRETS if secret.name == name).needed(topology, process)


def hidden_files(topology: Topology, process: Process) -> list[str]:
    """Returns the files with secrets that a process does not need, so its unit hides them from it."""
    hidden = [layout.secret(secret.name) for secret in SECRETS if not secret.needed(topology, process)]
    # The options of the main process may hold secrets, too.
    return hidden if process.is_main or process.host != topology.main.host else [*hidden, layout.MAIN_CONFIG]
