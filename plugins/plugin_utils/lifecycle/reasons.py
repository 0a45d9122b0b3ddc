# SPDX-License-Identifier: GPL-3.0-or-later
"""The reasons of restarts, as text: one for each changed input of a process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ..model import layout
from ..model.duties import DUTIES, DUTY_OF_OPTION
from ..model.process import MAIN
from ..synapse.secrets import SECRETS
from .dependencies import option_key

_SHOWN = 2
"""How many processes a reason names."""

_FOR_ALL = (
    *(layout.secret(secret.name) for secret in SECRETS if secret.shared),
    *(option_key(option) for option in ("instance_map.main", "redis")),
)


def concerns_all(change: str) -> bool:
    """Returns whether processes with the old value cannot run at the same time as processes with the new one."""
    return change in _FOR_ALL


def reasons_of(changes: Iterable[str]) -> str:
    """Returns why changed inputs require a restart of a process, the most important reason first."""
    found = list(dict.fromkeys(_reasons(sorted(changes, key=_weight))))
    return "; ".join(found)


def _weight(change: str) -> tuple[int, str]:
    order = (layout.CURRENT, layout.SECRETS_DIR, option_key("stream_writers"), layout.SHARED_CONFIG)
    return next((rank for rank, start in enumerate(order) if change.startswith(start)), len(order)), change


def _reasons(changes: list[str]) -> Iterator[str]:
    writers_change = any(change.startswith(option_key("stream_writers")) for change in changes)
    addresses = [] if writers_change else [entry for change in changes if (entry := _address_in(change))]
    options = [option for change in changes if (option := _plain_option_in(change))]
    for change in changes:
        path, _, option = change.partition(": ")
        if _address_in(change):
            yield from _of_addresses(addresses)
        elif _plain_option_in(change):
            yield f"{', '.join(options)} {_verb(options)} in homeserver.yaml"
        elif option:
            yield from _of_list(option)
        else:
            yield _reason_of_file(path)


def _address_in(change: str) -> str:
    """Returns the process whose address an input is; empty if it is something else."""
    start = f"{option_key('instance_map')}."
    return change.removeprefix(start) if change.startswith(start) else ""


def _plain_option_in(change: str) -> str:
    """Returns the option that an input is, if no more is known about it."""
    option = change.partition(": ")[2]
    known = option in DUTY_OF_OPTION or option.partition(".")[0] in ("instance_map", "stream_writers")
    return "" if known else option


def _of_addresses(names: Sequence[str]) -> Iterator[str]:
    if not names:
        return
    ordered = sorted(names, key=lambda name: (name != MAIN, name))
    more = f" and {len(ordered) - _SHOWN} more" if len(ordered) > _SHOWN else ""
    if len(ordered) == 1:
        yield f"the address of {ordered[0]} changes, and every process reads it at its start"
    else:
        yield f"the addresses of {', '.join(ordered[:_SHOWN])}{more} change, and every process reads them at its start"


def _verb(names: Sequence[str]) -> str:
    return "changes" if len(names) == 1 else "change"


def _of_list(option: str) -> Iterator[str]:
    name, _, entry = option.partition(".")
    if option in DUTY_OF_OPTION:
        yield _of_duty(DUTY_OF_OPTION[option].name)
    elif name == "stream_writers" and entry:
        yield _of_stream(entry)


def _reason_of_file(path: str) -> str:
    if path == layout.CURRENT:
        return "another release, or another build of it"
    if path.startswith(f"{layout.SECRETS_DIR}/"):
        return f"secret {path.rpartition('/')[2]} changes"
    if path == layout.MAIN_CONFIG or path.startswith(f"{layout.WORKERS_DIR}/"):
        return "its own settings change"
    return "its unit changes" if path.startswith(f"{layout.UNIT_DIR}/") else f"{path} changes"


def _of_duty(name: str) -> str:
    sharded = DUTIES[name].sharded
    if sharded is not None:
        return f"{name.replace('_', ' ')}s change, and Synapse shards {sharded} by this list"
    return f"{name} {'move' if name.endswith('s') else 'moves'}"


def _of_stream(stream: str) -> str:
    sharded = DUTIES[stream].sharded if stream in DUTIES else None
    why = (
        "and every process reads the list at its start"
        if sharded is None
        else f"and Synapse shards {sharded} by this list"
    )
    return f"{stream} writers change, {why}"
