# SPDX-License-Identifier: GPL-3.0-or-later
"""Duties to which nginx sends nothing: their effect is on the processes that have them, and on no other.

Where several share a duty, Synapse chooses one by a hash. The tests compute it again from the names in the inventory's
order, so they also notice processes that do not agree on that order.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import pytest

from tests.support.deployment import Deployment, Sample, holders, topology, until
from tools.matrix import CLIENT, Client, encoded

JOB = "synapse_background_process_start_count_total"
PUSHERS = "synapse_pushers"
QUEUE = "synapse_federation_transaction_queue_pending_destinations"
TOLD = "synapse_handlers_appservice_events_processed_total"
PERSISTED = "synapse_storage_events_persisted_events_total"
SENDING = "federation_transaction_transmission_loop"

MANY = 6
EXTRA_CONFIG = topology().options["synapse_extra_config"]
APPSERVICE = "app_service_config_files" in EXTRA_CONFIG
PREVIEWS = bool(EXTRA_CONFIG.get("url_preview_enabled"))
# A background job of each duty that has some.
JOBS = {
    "prune_old_user_ips": "background_tasks",
    "update_client_ips": "background_tasks",
    "rotate_notifs": "background_tasks",
    "stats.notify_new_event": "background_tasks",
    "user_directory.notify_new_event": "user_directory",
    "handle_presence_timeouts": "presence",
    "_maybe_retry_device_resync": "device_lists",
}


class Measured:
    """The metrics of processes at one moment: a value for each process, metric and job."""

    def __init__(self, metrics: Mapping[str, Iterable[Sample]]) -> None:
        self._values: Counter[tuple[str, str, str]] = Counter()
        for process, samples in metrics.items():
            for sample in samples:
                self._values[process, sample.name, sample.labels.get("name", "")] += int(sample.value)

    def of(self, metric: str, job: str | None = None) -> Counter[str]:
        """Return the value of each process that has the metric."""
        found: Counter[str] = Counter()
        for (process, name, its_job), value in self._values.items():
            if name == metric and job in (None, its_job):
                found[process] += value
        return found


@dataclass
class Happened:
    """What was done, and the metrics before and after it."""

    users: list[str]
    destinations: list[str]
    rooms: list[str]
    before: Measured
    after: Measured

    def growth(self, metric: str, job: str | None = None) -> Counter[str]:
        """Return by how much a metric has grown, of each process where it has."""
        return self.after.of(metric, job) - self.before.of(metric, job)


def _first_holder(duty: str) -> str:
    return next((worker.name for worker in topology().with_duty(duty)), "main")


def _sharded(duty: str, keys: Sequence[str]) -> Counter[str]:
    """Return how many of the keys each holder of the duty has, as Synapse's config/_base.py decides."""
    names = [worker.name for worker in topology().with_duty(duty)] or ["main"]
    return Counter(names[int.from_bytes(hashlib.sha256(key.encode()).digest(), "little") % len(names)] for key in keys)


def _set_pusher(user: Client, kind: str | None) -> None:
    """Make or remove the pusher of a user's device; its key is the device's own, as two users never share one."""
    names = {"app_id": "org.test", "pushkey": user.user_id, "app_display_name": "x", "device_display_name": "x"}
    data = {"url": "https://push.invalid/_matrix/push/v1/notify"}
    user.call("POST", f"{CLIENT}/pushers/set", {**names, "kind": kind, "lang": "en", "data": data})


@pytest.fixture(scope="module")
def alice(new_user: Callable[..., Client]) -> Client:
    """Somebody who does something."""
    return new_user("alice")


@pytest.fixture(scope="module")
def happened(alice: Client, new_user: Callable[..., Client], fleet: Deployment) -> Happened:
    """Users get pushers, rooms are made, and messages go to many servers that do not exist."""
    names = "|".join((JOB, PUSHERS, QUEUE, TOLD, PERSISTED))
    before = Measured(fleet.metrics(names))
    rooms = [alice.create_room() for _ in range(MANY)]
    destinations = [f"n{secrets.token_hex(4)}.invalid" for _ in range(MANY)]
    messages = {f"@bob:{destination}": {"*": {"a": 1}} for destination in destinations}
    alice.call("PUT", f"{CLIENT}/sendToDevice/org.test/{secrets.token_hex(4)}", {"messages": messages})
    users = [new_user("pushed") for _ in range(MANY)]
    for user in users:
        _set_pusher(user, "http")

    involved = {name for duty in ("pusher", "federation_sender", "appservices") for name in holders(topology(), duty)}
    involved |= {_first_holder(duty) for duty in JOBS.values()}

    def settled() -> bool:
        now = Measured(fleet.metrics(names, [p for p in topology().processes if p.name in involved]))
        return (
            (now.of(PUSHERS) - before.of(PUSHERS)).total() >= MANY
            and (now.of(JOB, SENDING) - before.of(JOB, SENDING)).total() >= MANY
            and (not APPSERVICE or (now.of(TOLD) - before.of(TOLD)).total() >= MANY)
            and all(now.of(JOB, job)[_first_holder(duty)] for job, duty in JOBS.items())
        )

    until(settled, patience=45)
    after = Measured(fleet.metrics(names))
    for user in users:
        _set_pusher(user, None)
    return Happened([user.user_id for user in users], destinations, rooms, before, after)


@pytest.mark.parametrize("job", JOBS)
def test_periodic_jobs(job: str, happened: Happened) -> None:
    """They run where their duty is, and nowhere else; of several writers of a stream, on the first."""
    assert set(+happened.after.of(JOB, job)) == {_first_holder(JOBS[job])}


def test_updates_of_the_database_stay_on_main(happened: Happened) -> None:
    """Synapse runs them nowhere else, whatever is moved off main."""
    assert set(+happened.after.of(JOB, "background_updates")) == {"main"}


def test_pushers(happened: Happened) -> None:
    """Each user's pusher is held by the one process whose turn it is."""
    assert happened.growth(PUSHERS) == _sharded("pusher", happened.users)


def test_federation_is_sent_by_senders(happened: Happened) -> None:
    """Each destination is served by the one process whose turn it is; the others have no queue to send from."""
    expected = _sharded("federation_sender", happened.destinations)

    # There may be more: attempts to reach the servers of earlier runs.
    assert happened.growth(JOB, SENDING) >= expected
    assert set(happened.after.of(QUEUE)) == holders(topology(), "federation_sender")
    assert set(+happened.after.of(JOB, SENDING)) <= holders(topology(), "federation_sender")


def test_events_are_persisted_by_their_writers(happened: Happened) -> None:
    """Each room has one of the event persisters, and no other process writes events."""
    assert set(happened.growth(PERSISTED)) == set(_sharded("events", happened.rooms))


@pytest.mark.skipif(not APPSERVICE, reason="the scenario has no application service")
def test_application_services(happened: Happened) -> None:
    """One process tells them of events."""
    assert set(happened.growth(TOLD)) == holders(topology(), "appservices")


@pytest.mark.skipif(not PREVIEWS, reason="without URL previews there is no background job for media")
def test_media_jobs(happened: Happened) -> None:
    """One of the media workers expires URL previews; main does it where there is none."""
    assert set(+happened.after.of(JOB, "expire_url_cache_data")) == holders(topology(), "media_background")


def test_user_directory(alice: Client, new_user: Callable[..., Client]) -> None:
    """A new user can be found soon."""
    name = f"Person {secrets.token_hex(6)}"
    bob = new_user("bob")
    bob.call("PUT", f"{CLIENT}/profile/{encoded(bob.user_id)}/displayname", {"displayname": name})
    bob.join(alice.create_room(preset="public_chat", visibility="public"))

    def found() -> list[str]:
        answer = alice.call("POST", f"{CLIENT}/user_directory/search", {"search_term": name})
        return [entry["user_id"] for entry in answer["results"]]

    assert until(found) == [bob.user_id]
