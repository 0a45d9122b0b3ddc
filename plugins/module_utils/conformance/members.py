# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes behind nginx, read from Synapse's own configuration files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, FrozenSet, Iterable, List, Mapping, Tuple

from .registry import Served

MAIN = "main"


@dataclass(frozen=True)
class Member:
    """A process behind nginx.

    Attributes:
        name: its worker name, `main` for the main process.
        address: where nginx reaches it, as nginx's configuration writes it.
        resources: what its listener there serves: `client`, `federation`, `media`.
        media: whether it has the media repository.
        streams: the streams that it writes; main writes all other streams.
    """

    name: str
    address: str
    resources: FrozenSet[str]
    media: bool
    streams: FrozenSet[str]

    @property
    def is_main(self) -> bool:
        """Whether it is the main process."""
        return self.name == MAIN

    @property
    def kind(self) -> Tuple[bool, FrozenSet[str], bool]:
        """What decides which routes it serves."""
        return self.is_main, self.resources, self.media

    def serves(self, route: Served, method: str) -> bool:
        """Returns whether it answers a method of a route."""
        if method not in route.answers or (route.needs_media and not self.media):
            return False
        return not self.resources.isdisjoint(route.main if self.is_main else route.worker)


MONOLITH = Member(MAIN, "", frozenset(("client", "federation")), True, frozenset())
"""A main process without workers: it serves everything."""


def members_of(shared: Mapping[str, Any], own: Iterable[Mapping[str, Any]]) -> List[Member]:
    """Returns the processes that nginx may reach, from Synapse's own configuration files.

    Args:
        shared: homeserver.yaml.
        own: the file of each process that is read after it, of main and of the workers.
    """
    return [
        _member(shared, config, listener)
        for config in own
        for listener in config.get("worker_listeners", config.get("listeners")) or ()
        if listener["type"] == "http" and "replication" not in _resources(listener)
    ]


def _member(shared: Mapping[str, Any], config: Mapping[str, Any], listener: Mapping[str, Any]) -> Member:
    name = str(config.get("worker_name", MAIN))
    in_lists = "master" if name == MAIN else name
    writers = shared.get("stream_writers") or {}
    return Member(
        name=name,
        address=_address_of(listener),
        resources=_resources(listener),
        media=bool({**shared, **config}.get("enable_media_repo", True)),
        streams=frozenset(stream for stream, names in writers.items() if in_lists in names),
    )


def _resources(listener: Mapping[str, Any]) -> FrozenSet[str]:
    return frozenset(str(word) for entry in listener.get("resources") or () for word in entry["names"])


def _address_of(listener: Mapping[str, Any]) -> str:
    if "path" in listener:
        return f"unix:{listener['path']}"
    host = listener["bind_addresses"][0]
    return f"[{host}]:{listener['port']}" if ":" in host else f"{host}:{listener['port']}"


__all__ = ("MAIN", "MONOLITH", "Member", "members_of")
