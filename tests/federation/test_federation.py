# SPDX-License-Identifier: GPL-3.0-or-later
"""Users of two servers meet; then one server changes the number of its federation senders while they talk."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from benchmarks.federation import CrossTraffic, Ledger, Person, missing_from_history
from tests.federation.conftest import SENDERS, Servers
from tests.federation.servers import Server, Step, when
from tests.support.deployment import LAYOUT, Served, unit_of, until
from tools.matrix import CLIENT, Client, encoded
from tools.runs import Run

PER_SECOND = 3.0
SEND = "/_matrix/federation/v1/send/"
SENT = "synapse_federation_client_sent_transactions_total"


@dataclass
class Talk:
    """A room of alice, at one server, and bob, at the other."""

    alice: Client
    bob: Client
    room: str

    @property
    def ways(self) -> tuple[tuple[Client, Client], ...]:
        """Who talks to whom."""
        return (self.alice, self.bob), (self.bob, self.alice)


@pytest.fixture(scope="module")
def talk(servers: Servers, new_user: Callable[..., Client]) -> Talk:
    """Bob joins, by its alias, a room at alice's server."""
    alice, bob = new_user(servers.a, "alice"), new_user(servers.b, "bob")
    alias = f"talk_{secrets.token_hex(4)}"
    room = alice.create_room(name="Talk", preset="public_chat", room_alias_name=alias)
    assert bob.join(f"#{alias}:{servers.a.name}") == room
    return Talk(alice, bob, room)


def until_seen(client: Client, wanted: Callable[[dict[str, Any]], bool], *, since: str | None = None) -> None:
    """Syncs until something wanted arrives."""
    for _ in range(8):
        answer = client.sync(since, wait=3.0 if since else 0.0)
        if wanted(answer):
            return
        since = answer["next_batch"]
    pytest.fail(f"it did not reach {client.user_id}")


def parts(answer: dict[str, Any], room: str, part: str, kind: str) -> list[dict[str, Any]]:
    """Returns the events of one type in a part of a room's news, such as the timeline."""
    events = answer.get("rooms", {}).get("join", {}).get(room, {}).get(part, {}).get("events", [])
    return [event for event in events if event["type"] == kind]


# What each server shows of itself.


def test_other_servers_are_told_where_it_is_served(servers: Servers) -> None:
    for asking, asked in servers.ways:
        assert asking.ask(asked, "/.well-known/matrix/server") == {"m.server": f"matrix.{asked.name}:443"}


@pytest.mark.parametrize("port", [443, 8448])
def test_its_keys_are_those_of_its_signing_key(servers: Servers, port: int) -> None:
    for asking, asked in servers.ways:
        algorithm, version, _ = asked.deployment.shell("cat /etc/matrix-synapse/secrets/signing.key").split()
        keys = asking.ask(asked, "/_matrix/key/v2/server", port=port, name=f"matrix.{asked.name}")
        assert keys["server_name"] == asked.name
        assert list(keys["verify_keys"]) == [f"{algorithm}:{version}"]
        assert list(keys["signatures"]) == [asked.name]


# What their users do together.


def test_a_room_is_joined_across(talk: Talk) -> None:
    for client, _ in talk.ways:
        joined = client.call("GET", f"{CLIENT}/rooms/{encoded(talk.room)}/joined_members")["joined"]
        assert joined.keys() == {talk.alice.user_id, talk.bob.user_id}


def test_messages_arrive_both_ways(talk: Talk) -> None:
    for speaker, listener in talk.ways:
        text = secrets.token_hex(8)
        event = speaker.send(talk.room, text)
        assert listener.sync_until_event(talk.room, event)["content"]["body"] == text


def test_a_redaction_is_seen_across(talk: Talk) -> None:
    for speaker, listener in talk.ways:
        event = speaker.send(talk.room, "a slip")
        listener.sync_until_event(talk.room, event)
        path = f"{CLIENT}/rooms/{encoded(talk.room)}"
        speaker.call("PUT", f"{path}/redact/{encoded(event)}/{secrets.token_hex(4)}", {})

        def redacted(client: Client = listener, path: str = f"{path}/event/{encoded(event)}") -> bool:
            return not client.call("GET", path)["content"]

        assert until(redacted)


def test_typing_is_seen_across(talk: Talk) -> None:
    for speaker, listener in talk.ways:
        since = listener.sync()["next_batch"]
        speaker.typing(talk.room)

        def seen(answer: dict[str, Any], speaker: Client = speaker) -> bool:
            found = parts(answer, talk.room, "ephemeral", "m.typing")
            return any(speaker.user_id in event["content"]["user_ids"] for event in found)

        until_seen(listener, seen, since=since)


def test_receipts_are_seen_across(talk: Talk) -> None:
    for speaker, listener in talk.ways:
        event = speaker.send(talk.room, "read this")
        listener.sync_until_event(talk.room, event)
        since = speaker.sync()["next_batch"]
        listener.receipt(talk.room, event)

        def seen(answer: dict[str, Any], event: str = event) -> bool:
            return any(event in found["content"] for found in parts(answer, talk.room, "ephemeral", "m.receipt"))

        until_seen(speaker, seen, since=since)


def test_media_are_shared_across(talk: Talk) -> None:
    for speaker, listener in talk.ways:
        content = secrets.token_bytes(300_000)
        assert listener.download(speaker.upload(content)) == content


def test_a_direct_message_arrives(talk: Talk) -> None:
    for speaker, listener in talk.ways:
        room = speaker.create_room(preset="trusted_private_chat", is_direct=True, invite=[listener.user_id])

        def invited(answer: dict[str, Any], room: str = room, listener: Client = listener) -> bool:
            invite = answer["rooms"]["invite"][room] if room in answer.get("rooms", {}).get("invite", {}) else {}
            events = invite.get("invite_state", {}).get("events", [])
            mine = [event["content"] for event in events if event.get("state_key") == listener.user_id]
            return any(content.get("is_direct") for content in mine)

        until_seen(listener, invited)
        listener.join(room)
        event = speaker.send(room, "between us")
        assert listener.sync_until_event(room, event)["content"]["body"] == "between us"


# One server's senders, from one to three and back, while people talk.


@dataclass
class Change:
    """A run of site.yml that changed the senders.

    Attributes:
        run: the run.
        old: the units of the senders before.
        new: the units of the senders after.
        before: the processes before, by unit.
        after: the processes after, by unit.
        steps: what systemd did meanwhile.
        sent: how many transactions each sender of the new set has sent, after some time.
    """

    run: Run = field(repr=False)
    old: set[str]
    new: set[str]
    before: dict[str, int]
    after: dict[str, int]
    steps: list[Step]
    sent: dict[str, float]


@dataclass
class Scaling:
    """Both changes, and what the traffic over all that time has shown.

    Attributes:
        traffic: the people's requests that failed.
        ledger: what was acknowledged and received.
        people: the clients that talked, by server.
        room: the room that they talked in.
        arrived: whether everything had arrived when the people had been silent for a while.
        growing: from one sender to three.
        shrinking: from three to one.
        requests: what nginx has noted at each server.
    """

    traffic: CrossTraffic = field(repr=False)
    ledger: Ledger
    people: tuple[Client, Client]
    room: str
    arrived: bool
    growing: Change
    shrinking: Change
    requests: dict[str, list[Served]] = field(repr=False)

    @property
    def changes(self) -> tuple[Change, Change]:
        """Both, in their order."""
        return self.growing, self.shrinking


def change(server: Server, count: int) -> Change:
    """Changes the number of a server's senders, and gives the new ones some time."""
    old, before, since = server.sender_units(), server.pids(), server.now()
    run = server.scale_senders(count)
    assert run.code == 0, run.output[-4000:]
    after, steps = server.pids(), server.lives(since)
    workers = server.deployment.topology.with_duty("federation_sender")

    def sent() -> dict[str, float]:
        told = server.deployment.metrics(SENT, workers)
        return {name: sum(sample.value for sample in samples) for name, samples in told.items()}

    until(lambda: all(sent().values()), patience=15)
    return Change(run, old, server.sender_units(), before, after, steps, sent())


@pytest.fixture(scope="module")
def scaling(servers: Servers, talk: Talk) -> Iterator[Scaling]:
    """From one sender to three and back; people of both servers talk all the time."""
    alice, bob = talk.ways[0]
    readers = [alice.user_id, bob.user_id]
    people = [
        Person(
            connect=lambda: servers.a.deployment.client(alice.account),
            room=talk.room,
            readers=readers,
            addressees=[bob.user_id, *servers.bystanders.users],
        ),
        Person(
            connect=lambda: servers.b.deployment.client(bob.account),
            room=talk.room,
            readers=readers,
            addressees=[alice.user_id],
        ),
    ]
    for server in (servers.a, servers.b):
        server.deployment.mark()
    with CrossTraffic(people, per_second=PER_SECOND) as traffic:
        servers.bystanders.note_in(traffic.ledger)
        # Each sender shall have sent something before the first change.
        time.sleep(5)
        growing = change(servers.a, SENDERS)
        shrinking = change(servers.a, 1)
        arrived = traffic.hush(patience=60)
        # What was sent twice has a chance to arrive twice.
        time.sleep(3)
    requests = {server.name: server.deployment.nginx_lines() for server in (servers.a, servers.b)}
    delays = traffic.ledger.delays()
    print(
        f"acknowledged {len(traffic.ledger.acknowledged)}, failed requests {dict(traffic.failures)}, "
        f"gaps {traffic.gaps} with {len(traffic.ledger.filled())} in them, "
        f"delay median {delays[len(delays) // 2]:.2f} s, longest {delays[-1]:.1f} s, "
        f"runs {growing.run.seconds:.0f} s and {shrinking.run.seconds:.0f} s"
    )
    yield Scaling(traffic, traffic.ledger, (alice, bob), talk.room, arrived, growing, shrinking, requests)


def test_nothing_acknowledged_is_lost_while_senders_change(scaling: Scaling) -> None:
    seconds = sum(made.run.seconds for made in scaling.changes)
    assert len(scaling.ledger.acknowledged) > seconds * PER_SECOND
    assert scaling.ledger.lost() == set()


def test_the_history_of_both_servers_has_everything(scaling: Scaling) -> None:
    events = {item for item in scaling.ledger.acknowledged if item.startswith("$")}
    for client in scaling.people:

        def complete(client: Client = client) -> bool:
            return not missing_from_history(client, scaling.room, events)

        assert until(complete, patience=30)


def test_nothing_is_delivered_twice(scaling: Scaling) -> None:
    assert scaling.ledger.duplicates() == set()


def test_old_senders_end_and_main_restarts_before_new_ones_begin(scaling: Scaling) -> None:
    main = [LAYOUT["main_unit"]]
    for made in scaling.changes:
        stopped, began = when(made.steps, made.old, "stopped"), when(made.steps, made.new, "starting")
        assert (len(stopped), len(began)) == (len(made.old), len(made.new)), made.steps
        (main_starting,), (main_started,) = when(made.steps, main, "starting"), when(made.steps, main, "started")
        assert max(stopped) <= main_starting <= main_started <= min(began), made.steps


def test_nothing_restarts_but_the_senders_and_main(scaling: Scaling) -> None:
    for made in scaling.changes:
        kept = made.before.keys() - made.old - {LAYOUT["main_unit"]}
        assert {unit for unit in kept if made.before[unit] != made.after.get(unit)} == set()


def test_those_that_are_to_run_do_run(scaling: Scaling, servers: Servers) -> None:
    others = {unit_of(process) for process in servers.a.deployment.topology.processes} - servers.a.sender_units()
    for made in scaling.changes:
        assert made.after.keys() == others | made.new
    assert [len(made.new) for made in scaling.changes] == [SENDERS, 1]


def test_every_sender_sends(scaling: Scaling, servers: Servers) -> None:
    for made in scaling.changes:
        assert len(made.sent) == len(made.new)
        assert min(made.sent.values()) > 0, made.sent
    assert servers.bystanders.origins == {name: {servers.a.name} for name in servers.bystanders.names}


def test_transactions_of_one_server_go_to_one_worker(scaling: Scaling, servers: Servers) -> None:
    for sending, receiving in servers.ways:
        lines = [line for line in scaling.requests[receiving.name] if line.path.startswith(SEND)]
        assert len(lines) > 20
        assert {line.client for line in lines} == {sending.address}
        inbound = {worker.name for worker in receiving.deployment.topology.with_duty("federation_inbound")}
        served = {line.process for line in lines}
        assert len(served) == 1, served
        assert served <= inbound
        # 499: the sender was stopped while it waited for the answer.
        assert {line.status for line in lines} <= {200, 499}
