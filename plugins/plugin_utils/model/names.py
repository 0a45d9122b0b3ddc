# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of variables and groups that nobody reads: misspelt ones, and those of secrets."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from difflib import SequenceMatcher, get_close_matches

from .errors import HIDDEN, TopologyError
from .inputs import INPUTS
from .server_secrets import VARIABLE

_NEAR = 0.85  # of difflib's ratio: one or two letters of a name
_NEAR_WORD = 0.75
_ONE_LETTER = 0.94

_FIRST_WORDS = frozenset(name.partition("_")[0] for name in INPUTS)

# Collections for the same servers have names that look like ours, and hosts may use both.
_WORDS_OF_OTHERS = frozenset({"postgresql", "pgsql"})
_NAMES_OF_OTHERS = frozenset(
    {
        "nginx_error_log",
        "nginx_vhosts",
        "nginx_worker_processes",
        "redis_maxmemory",
        "redis_package_name",
        "redis_packages",
    }
)

_SECRETS = {
    "synapse_signing_key": "signing_key",
    "synapse_macaroon_secret_key": "macaroon_secret_key",
    "synapse_form_secret": "form_secret",
    "synapse_registration_shared_secret": "registration_shared_secret",
    "synapse_worker_replication_secret": "worker_replication_secret",
    "synapse_redis_password": "redis_password",
    "redis_password": "redis_password",
    "synapse_database_password": "database_password",
    "synapse_postgres_password": "database_password",
    "postgres_password": "database_password",
}
"""Variables that operators try, and the names of the secrets that they mean."""


def near_variables(names: Iterable[str]) -> dict[str, str]:
    """Returns the names that nobody reads but that look like inputs, with the nearest input each.

    Args:
        names: names of variables that are no inputs.
    """
    found = {}
    for name in names:
        if name in _SECRETS:
            found[name] = _SECRETS[name]
        elif near := _near_input(name):
            found[name] = near
    return found


def _near_input(name: str) -> str | None:
    word = name.partition("_")[0]
    if name in _NAMES_OF_OTHERS or name.startswith("ansible_"):
        return None
    ours = word in _FIRST_WORDS or bool(get_close_matches(word, _FIRST_WORDS, n=1, cutoff=_NEAR_WORD))
    if not ours or (word in _WORDS_OF_OTHERS and word not in _FIRST_WORDS):
        return None
    near = get_close_matches(name, INPUTS, n=1, cutoff=_NEAR)
    # Whole words before or behind a name make another one, such as that of the operator's own vault.
    return near[0] if near and not _has_words_of(name, near[0]) else None


def _has_words_of(name: str, known: str) -> bool:
    return name.startswith(f"{known}_") or name.endswith(f"_{known}")


def check_names(names: Iterable[str]) -> Iterator[TopologyError]:
    """Refuses variables that nobody reads and that look like inputs.

    Args:
        names: names of variables that are no inputs.
    """
    for name, near in near_variables(names).items():
        if name in _SECRETS:
            yield TopologyError(
                name,
                HIDDEN,
                "no such variable exists, so it would have no effect",
                f"Write it as {VARIABLE}: {{{near}: ...}}, or remove it to have this secret made.",
            )
        else:
            yield TopologyError(
                name, HIDDEN, "no such variable exists, so it would have no effect", f"Did you mean '{near}'?"
            )


def near_groups(names: Iterable[str], known: Collection[str]) -> dict[str, str]:
    """Returns the groups that look like those of the collection, with the nearest of these each.

    Args:
        names: the groups of the inventory.
        known: the groups of the collection.
    """
    return {
        name: near[0]
        for name in names
        if name not in known and (near := get_close_matches(name, known, n=1, cutoff=_NEAR))
    }


def check_group_names(
    groups: Mapping[str, Collection[str]], others: Mapping[str, Collection[str]], known: Collection[str]
) -> Iterator[TopologyError]:
    """Refuses groups that look like those of the collection and have hosts that these do not have.

    Args:
        groups: the hosts of each group; only the names count of those that are not of the collection.
        others: the hosts of the groups that look like those of the collection.
        known: the groups of the collection.
    """
    for name, near in near_groups(groups, known).items():
        missing = set(others.get(name, ())) - set(groups.get(near, ()))
        # A group of other servers may have a similar name; one letter less or more is a mistake.
        if not groups.get(near) or (missing and SequenceMatcher(None, name, near).ratio() >= _ONE_LETTER):
            yield TopologyError(
                "inventory",
                name,
                "there is no such group in this collection, so its hosts would not be deployed",
                f"Did you mean the group '{near}'?",
            )


__all__ = ("check_group_names", "check_names", "near_groups", "near_variables")
