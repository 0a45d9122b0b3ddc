# SPDX-License-Identifier: GPL-3.0-or-later
"""What processes of two releases of Synapse can tell each other, as ``tools/replication`` read it from the releases.

A process drops its replication connection when it is told the position of a stream that it does not know
(``on_POSITION`` in Synapse's replication/tcp/handler.py), connects again, and is told the same again. Meanwhile it gets
no news at all. A request to a process that writes such a stream is carried out, but its answer is not understood.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ..model.duties import DUTIES
from ..model.process import Process
from ..model.releases import Release, nearest
from ..model.topology import Topology

_OF_MAIN, _OF_ALL = "main", "all"
"""The writers of streams that no option moves: the main process, and every process."""

_FILE = Path(__file__).with_name("replication.json")


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What matters of one release.

    Attributes:
        release: the release.
        schema: the version of the database schema that it makes.
        compat: the oldest schema version that a release must know to start on such a database.
        streams: the streams that it knows, each with its writer: a key of ``stream_writers``, ``main`` or ``all``.
        token: the fields of its sync tokens.
    """

    release: Release
    schema: int
    compat: int
    streams: Mapping[str, str]
    token: tuple[str, ...]


@lru_cache(maxsize=1)
def known_releases() -> tuple[Facts, ...]:
    """Returns the facts of all releases that differ from the one before, the oldest first."""
    document = json.loads(_FILE.read_text(encoding="utf-8"))
    found = (
        Facts(
            release=Release.of(entry["release"]),
            schema=entry["schema"],
            compat=entry["compat"],
            streams=entry["streams"],
            token=tuple(entry["token"]),
        )
        for entry in document["changes"]
    )
    return tuple(sorted(found, key=lambda facts: facts.release))


@lru_cache(maxsize=64)
def facts_of(release: Release) -> Facts:
    """Returns the facts of a release, or of the nearest older one that was read."""
    known = {facts.release: facts for facts in known_releases()}
    # A patch brings no streams.
    return known[nearest(list(known), release)]


def unknown_writers(listener: Release, speaker: Release) -> frozenset[str]:
    """Returns the writers of those streams that a release has and another one does not know."""
    known = facts_of(listener).streams
    return frozenset(writer for stream, writer in facts_of(speaker).streams.items() if stream not in known)


def writes(topology: Topology, process: Process) -> frozenset[str]:
    """Returns for which writers a process announces streams."""
    own = {_OF_ALL, *(stream for duty in process.duties if (stream := DUTIES[duty].stream) is not None)}
    if not process.is_main:
        return frozenset(own)
    left = (duty for duty in DUTIES.values() if duty.stream is not None and not topology.with_duty(duty.name))
    return frozenset(own) | {_OF_MAIN, *(str(duty.stream) for duty in left)}


def starts_on(release: Release, database_of: Release) -> bool:
    """Returns whether a release starts on a database that another one has migrated."""
    return facts_of(database_of).compat <= facts_of(release).schema


def reads_tokens(release: Release, of: Release) -> bool:
    """Returns whether a release accepts the sync tokens of another one."""
    return len(facts_of(of).token) <= len(facts_of(release).token)
