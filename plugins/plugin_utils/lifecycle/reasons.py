# SPDX-License-Identifier: GPL-3.0-or-later
"""What a changed input of a process means, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..model import layout

_LISTS = {
    "federation_sender_instances": "federation senders change, Synapse shards destinations by this list",
    "pusher_instances": "pushers change, Synapse shards users by this list",
    "run_background_tasks_on": "background_tasks move",
    "update_user_directory_from_worker": "user_directory moves",
    "notify_appservices_from_worker": "appservices move",
    "media_instance_running_background_jobs": "media_background moves",
}
_FOR_EVERYBODY = (
    *(
        f"{layout.SECRETS_DIR}/{name}"
        for name in ("worker_replication_secret", "macaroon_secret_key", "redis_password")
    ),
    *(f"{layout.SHARED_CONFIG}: {option}" for option in ("instance_map.main", "redis")),
)


def concerns_everybody(change: str) -> bool:
    """Tells whether processes with the old value cannot work beside those with the new one, even for a moment."""
    return change in _FOR_EVERYBODY


def reasons_of(changes: Iterable[str]) -> str:
    """Returns why the changes of inputs concern a process, the weightiest first."""
    found = list(dict.fromkeys(_reasons(sorted(changes, key=_weight))))
    return "; ".join(found)


def _weight(change: str) -> tuple[int, str]:
    order = (layout.CURRENT, layout.SECRETS_DIR, f"{layout.SHARED_CONFIG}: stream_writers", layout.SHARED_CONFIG)
    return next((rank for rank, start in enumerate(order) if change.startswith(start)), len(order)), change


def _reasons(changes: list[str]) -> Iterator[str]:
    writers_change = any(change.startswith(f"{layout.SHARED_CONFIG}: stream_writers") for change in changes)
    for change in changes:
        path, _, option = change.partition(": ")
        name, _, entry = option.partition(".")
        if change == layout.CURRENT:
            yield "another release, or another build of it"
        elif path.startswith(f"{layout.SECRETS_DIR}/"):
            yield f"secret {path.rpartition('/')[2]} changes"
        elif option in _LISTS:
            yield _LISTS[option]
        elif name == "stream_writers" and entry == "events":
            yield "events writers change, Synapse shards rooms by this list"
        elif name == "stream_writers" and entry:
            yield f"{entry} writers change, every process keeps the list"
        elif name == "instance_map" and entry and not writers_change:
            yield f"the address of {entry} changes, every process keeps it"
        elif name in ("instance_map", "stream_writers"):
            continue
        elif option:
            yield f"{option} changes in homeserver.yaml"
        elif path == layout.MAIN_CONFIG or path.startswith(f"{layout.WORKERS_DIR}/"):
            yield "its own settings change"
        elif path.startswith(f"{layout.UNIT_DIR}/"):
            yield "its unit changes"
        else:
            yield f"{path} changes"
