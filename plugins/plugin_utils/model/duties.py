# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of duties: everything that a pool of workers can be for.

Sources: Synapse's config/workers.py (``WriterLocations``), config/repository.py and app/generic_worker.py;
"since" is the first release in which a worker may have the duty.
"""

from __future__ import annotations

from dataclasses import dataclass

from .releases import OLDEST, Release

GENERIC = "generic_workers"
MEDIA = "media_workers"
BACKGROUND = "background_workers"
WORKER_GROUPS = (GENERIC, MEDIA, BACKGROUND)


@dataclass(frozen=True, kw_only=True)
class Duty:
    """One duty.

    Attributes:
        name: as written in ``duties``.
        about: one line for the documentation.
        groups: the inventory groups whose pools may have it.
        single: at most one worker of the fleet may have it.
        stream: the key in ``stream_writers``, if it is the writer of a stream.
        option: the option of homeserver.yaml that names the workers with it: one worker if it is ``single``, else a
            list. None for the writers of streams, which are in ``stream_writers``, and where Synapse does not have to
            know.
        sharded: what Synapse shares out over its workers by the order of the list; None if it does not.
        resources: what its HTTP listener serves to nginx; empty if nginx sends it no requests.
        balance: how nginx chooses among several: ``user``, ``room``, ``source``, ``least_conn``, ``round_robin``.
        fallback: duties whose pools serve its requests while no pool has this duty, or while all of its workers
            are unavailable; main is always the last fallback.
        exclusive: while its workers are unavailable no other process can answer, main included: the writers whose
            streams Synapse does not forward to (500), the media store (404), and single sign-on, whose sessions
            would be lost.
        since: the first Synapse release that has it.
    """

    name: str
    about: str
    groups: tuple[str, ...] = (GENERIC,)
    single: bool = False
    stream: str | None = None
    option: str | None = None
    sharded: str | None = None
    resources: tuple[str, ...] = ()
    balance: str = "round_robin"
    fallback: tuple[str, ...] = ()
    exclusive: bool = False
    since: Release = OLDEST


def _writer(name: str, about: str, **more: object) -> Duty:
    return Duty(name=name, stream=name, about=about, **{"resources": ("client",), **more})  # type: ignore[arg-type]


_ALL = (
    _writer("typing", "writer of typing notifications, held in memory", single=True, exclusive=True),
    _writer("to_device", "writer of to-device messages", single=True, exclusive=True),
    _writer("account_data", "writer of account data and tags", single=True, fallback=("client_reader",)),
    _writer("presence", "writer of presence", single=True, fallback=("client_reader",)),
    _writer("push_rules", "writer of push rules", single=True, exclusive=True),
    _writer("receipts", "writers of receipts and read markers", exclusive=True),
    _writer(
        "device_lists",
        "writers of device lists and keys",
        since=Release(1, 135),
        fallback=("client_reader",),
        balance="least_conn",
    ),
    _writer("thread_subscriptions", "writers of thread subscriptions", since=Release(1, 136), exclusive=True),
    Duty(
        name="quarantined_media_changes",
        about="writers of media quarantine; the first media worker if no pool names it",
        groups=(MEDIA,),
        stream="quarantined_media_changes",
        resources=("media", "client", "federation"),
        fallback=("media",),
        exclusive=True,
        since=Release(1, 152),
    ),
    Duty(
        name="events",
        about="event persisters; Synapse shards rooms over them",
        stream="events",
        sharded="rooms",
    ),
    Duty(
        name="media",
        about="uploads, downloads, thumbnails and URL previews, for clients and federation",
        groups=(MEDIA,),
        resources=("media", "client", "federation"),
        balance="least_conn",
        exclusive=True,
    ),
    Duty(
        name="media_background",
        option="media_instance_running_background_jobs",
        about="expiry of URL previews and remote media; the first media worker if no pool names it",
        groups=(MEDIA,),
        single=True,
        # nginx sends it nothing, but without a media listener Synapse makes no media repository, and runs no jobs.
        resources=("media",),
    ),
    Duty(
        name="room",
        about="sending of events and all reads that name a room, /messages among them",
        resources=("client",),
        balance="room",
        fallback=("client_reader",),
    ),
    Duty(name="sync", about="/sync and /events", resources=("client",), balance="user", fallback=("client_reader",)),
    Duty(
        name="initial_sync",
        about="/initialSync and a room's initialSync",
        resources=("client",),
        balance="user",
        fallback=("sync", "client_reader"),
    ),
    Duty(
        name="sliding_sync",
        about="simplified sliding sync (MSC4186)",
        resources=("client",),
        balance="user",
        fallback=("sync", "client_reader"),
    ),
    Duty(
        name="federation_reader",
        about="every federation request but /send/, and server keys",
        resources=("federation",),
        balance="source",
        fallback=("federation_inbound",),
    ),
    Duty(
        name="federation_inbound",
        about="/send/: transactions from other servers",
        resources=("federation",),
        balance="source",
        fallback=("federation_reader",),
    ),
    Duty(
        name="client_reader",
        about="every client request that a worker may serve and no other duty claims",
        resources=("client",),
        balance="least_conn",
    ),
    Duty(
        name="login",
        about="login, registration and its checks",
        resources=("client",),
        balance="least_conn",
        fallback=("client_reader",),
    ),
    Duty(
        name="sso",
        about="single sign-on; its sessions live in the memory of one process",
        single=True,
        resources=("client",),
        exclusive=True,
    ),
    Duty(
        name="appservices",
        option="notify_appservices_from_worker",
        about="traffic to application services",
        groups=(GENERIC, BACKGROUND),
        single=True,
    ),
    Duty(
        name="user_directory",
        option="update_user_directory_from_worker",
        about="updates of the user directory, and its search",
        groups=(GENERIC, BACKGROUND),
        single=True,
        resources=("client",),
        fallback=("client_reader",),
    ),
    Duty(
        name="background_tasks",
        option="run_background_tasks_on",
        about="periodic jobs (not database updates: those always run on main)",
        groups=(GENERIC, BACKGROUND),
        single=True,
    ),
    Duty(
        name="pusher",
        option="pusher_instances",
        sharded="users",
        about="push notifications; Synapse shards users over them",
        groups=(GENERIC, BACKGROUND),
    ),
    Duty(
        name="federation_sender",
        option="federation_sender_instances",
        sharded="destinations",
        about="outbound federation; Synapse shards destinations over them",
        groups=(GENERIC, BACKGROUND),
    ),
)

DUTIES: dict[str, Duty] = {duty.name: duty for duty in _ALL}

DUTY_OF_OPTION: dict[str, Duty] = {duty.option: duty for duty in _ALL if duty.option is not None}
"""The duty that each option of homeserver.yaml is about."""
