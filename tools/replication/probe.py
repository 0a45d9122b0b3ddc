# SPDX-License-Identifier: GPL-3.0-or-later
"""Print what processes of the installed Synapse release tell each other, as one JSON document.

    VENV/bin/python probe.py    {"release": "1.163.2", "schema": 94, "streams": {"events": "events", …}, …}

Nothing is started. The handler of replication is built as Synapse builds it, once as a process that writes one stream
of ``stream_writers``, and once as the main process; the streams that it announces then are the answer.

    schema     the version of the database schema that the release makes
    compat     the oldest version of the schema that a release must know to start on such a database
    streams    every stream that the release knows, and which process announces it: the writer of a key of
               ``stream_writers``, ``main``, or ``all``
    commands   the commands of replication
    endpoints  the requests that processes send each other, with method and arguments
    token      the fields of a sync token; a release refuses a token with more of them than it knows

Source: Synapse's replication/tcp/handler.py, replication/tcp/streams/, replication/http/ at 1.130 to 1.163.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import pkgutil
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from unittest import mock

import attr
import synapse.replication.http as package  # type: ignore[import-not-found]
from synapse.config.workers import WriterLocations  # type: ignore[import-not-found]
from synapse.handlers.presence import PresenceHandler  # type: ignore[import-not-found]
from synapse.replication.http._base import ReplicationEndpoint  # type: ignore[import-not-found]
from synapse.replication.tcp.commands import COMMAND_MAP  # type: ignore[import-not-found]
from synapse.replication.tcp.handler import ReplicationCommandHandler  # type: ignore[import-not-found]
from synapse.replication.tcp.streams import STREAMS_MAP  # type: ignore[import-not-found]
from synapse.storage import schema  # type: ignore[import-not-found]
from synapse.types import StreamToken  # type: ignore[import-not-found]

_ME, _OTHER = "me", "other"


def _announced(worker_app: str | None, writes: str | None) -> set[str]:
    """Returns the streams that a process announces that writes what one key of stream_writers says."""
    hs = mock.MagicMock()
    hs.hostname = "example.org"
    hs.get_instance_name.return_value = _ME
    # The one object whose class is checked.
    hs.get_presence_handler.return_value = mock.MagicMock(spec=PresenceHandler)
    hs.config.worker.worker_app = worker_app
    hs.config.worker.send_federation = False
    hs.config.redis.redis_enabled = True
    hs.config.worker.writers = SimpleNamespace(**{key: [_ME if key == writes else _OTHER] for key in _keys()})
    return {stream.NAME for stream in ReplicationCommandHandler(hs).get_streams_to_replicate()}


def _keys() -> list[str]:
    return [field.name for field in attr.fields(WriterLocations)]


def _streams() -> dict[str, str]:
    of_all = _announced("synapse.app.generic_worker", None)
    found = dict.fromkeys(_announced(None, None), "main")
    found.update((name, key) for key in _keys() for name in _announced("synapse.app.generic_worker", key))
    found.update(dict.fromkeys(of_all, "all"))
    return {name: found[name] for name in sorted(STREAMS_MAP)}


def _endpoints() -> list[str]:
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")

    def below(kind: Any) -> Iterator[Any]:
        for one in kind.__subclasses__():
            yield one
            yield from below(one)

    named = [one for one in below(ReplicationEndpoint) if isinstance(one.__dict__.get("NAME"), str)]
    return sorted(f"{one.METHOD} {'/'.join((one.NAME, *one.PATH_ARGS))}" for one in named)


def main() -> int:
    """Prints the document."""
    document = {
        "release": importlib.metadata.version("matrix-synapse"),
        "schema": schema.SCHEMA_VERSION,
        "compat": schema.SCHEMA_COMPAT_VERSION,
        "streams": _streams(),
        "commands": sorted(COMMAND_MAP),
        "endpoints": _endpoints(),
        "token": [field.name for field in attr.fields(StreamToken)],
    }
    json.dump(document, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
