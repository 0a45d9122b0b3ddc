# SPDX-License-Identifier: GPL-3.0-or-later
"""What nginx does while processes are away: reads go on elsewhere, writes wait, nothing is sent twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from ansible_collections.baremetal.synapse.plugins.module_utils.replay.messages import Recorded, Request
from ansible_collections.baremetal.synapse.plugins.module_utils.replay.replay import Replay
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.topology import Topology
from ansible_collections.baremetal.synapse.plugins.plugin_utils.routing.registry import registry

from tools.conformance import fleet_at, members
from tools.nginx import nginx_binary
from tools.proxy_files import proxy_files

V3 = "/_matrix/client/v3"
ROOM = "!room:example.org"
SYNC = Request("GET", f"{V3}/sync?since=s1")
INITIAL = Request("GET", f"{V3}/sync")
MESSAGES = Request("GET", f"{V3}/rooms/{ROOM}/messages")
VERSIONS = Request("GET", "/_matrix/client/versions")
QUERY = Request("POST", f"{V3}/keys/query", body=b"{}")
SEND = Request("PUT", f"{V3}/rooms/{ROOM}/send/m.room.message/1", body=b"{}")
TRANSACTION = Request("PUT", "/_matrix/federation/v1/send/1", body=b"{}")
DOWNLOAD = Request("GET", "/_matrix/client/v1/media/download/example.org/x")
WRITES = [
    Request("PUT", f"{V3}/rooms/{ROOM}/typing/@user:example.org", body=b"{}"),
    Request("PUT", f"{V3}/sendToDevice/m.test/1", body=b"{}"),
    Request("POST", f"{V3}/rooms/{ROOM}/receipt/m.read/$event", body=b"{}"),
    Request("PUT", f"{V3}/pushrules/global/override/x", body=b"{}"),
]


class Fleet:
    """The fleet `full` behind a real nginx."""

    def __init__(self, topology: Topology, replay: Replay) -> None:
        self.replay = replay
        self.addresses = {member.name: member.address for member in members(topology)}
        self.names = {address: name for name, address in self.addresses.items()}

    def pool(self, *pools: str) -> list[str]:
        """Returns the addresses of the workers of some pools."""
        return [a for name, a in self.addresses.items() if name.split("-")[1:2] and name.split("-")[1] in pools]

    def send(self, *requests: Request) -> list[tuple[int, list[str]]]:
        """Returns status and pools that each request met, one request after the other."""
        return [self._met(recorded) for recorded in self.replay.send(requests, connections=1)]

    def _met(self, recorded: Recorded) -> tuple[int, list[str]]:
        names = [self.names[address] for address in recorded.tried]
        return recorded.status, [name.split("-")[1] if "-" in name else name for name in names]


@contextmanager
def full_fleet(*, patience: str = "180s") -> Iterator[Fleet]:
    """Starts nginx; patience is how long it waits for an answer."""
    topology = fleet_at("full", registry().releases[-1])
    files = proxy_files(topology)
    assert "proxy_read_timeout 180s;" in files.site
    # As much longer than its limit for another try as it is in the real configuration.
    site = files.site.replace("proxy_read_timeout 180s;", f"proxy_read_timeout {patience};")
    if patience != "180s":
        site = site.replace("proxy_next_upstream_timeout 15s;", "proxy_next_upstream_timeout 500ms;")
    with Replay(nginx_binary(), files.http, site, host=topology.public_name) as replay:
        yield Fleet(topology, replay)


@pytest.fixture(scope="module")
def running() -> Iterator[Fleet]:
    """Starts nginx once."""
    with full_fleet() as fleet:
        yield fleet


@pytest.fixture
def fleet(running: Fleet) -> Fleet:
    """The fleet with everything up."""
    running.replay.restart()
    return running


def test_each_pool_serves_its_own_while_it_is_there(fleet: Fleet) -> None:
    assert fleet.send(SYNC, INITIAL, MESSAGES, VERSIONS, DOWNLOAD) == [
        (200, ["sync"]),
        (200, ["initial_sync"]),
        (200, ["room"]),
        (200, ["client_reader"]),
        (200, ["media"]),
    ]


def test_one_dead_worker_of_a_pool_is_not_noticed(fleet: Fleet) -> None:
    fleet.replay.down(fleet.pool("sync", "client_reader", "room", "receipts")[::2])
    met = fleet.send(*[SYNC, VERSIONS, MESSAGES, QUERY, WRITES[2]] * 4)
    assert {status for status, _ in met} == {200}
    assert {pools[0] for _, pools in met} == {"sync", "client_reader", "room", "receipts"}


def test_reads_go_to_another_pool_and_then_to_main(fleet: Fleet) -> None:
    fleet.replay.down(fleet.pool("sync", "room", "initial_sync"))
    assert fleet.send(SYNC, MESSAGES) == [(200, ["client_reader"])] * 2
    fleet.replay.down(fleet.pool("client_reader"))
    assert fleet.send(SYNC, INITIAL, MESSAGES, VERSIONS) == [(200, ["main"])] * 4


def test_requests_that_nobody_has_seen_go_elsewhere_whatever_their_method(fleet: Fleet) -> None:
    fleet.replay.down(fleet.pool("client_reader", "room", "federation_inbound"))
    assert fleet.send(QUERY, SEND, TRANSACTION) == [(200, ["main"]), (200, ["main"]), (200, ["federation_reader"])]


def test_writes_of_a_stream_never_go_elsewhere(fleet: Fleet) -> None:
    fleet.replay.down(fleet.pool("typing", "to_device", "receipts", "push_rules"))
    assert fleet.send(*WRITES) == [(502, [])] * len(WRITES)
    fleet.replay.up(fleet.pool("typing", "to_device", "receipts", "push_rules"))
    assert [status for status, _ in fleet.send(*WRITES)] == [200] * len(WRITES)


def test_a_browsers_question_before_a_read_does_not_wait_for_a_writer(fleet: Fleet) -> None:
    fleet.replay.down(fleet.pool("push_rules"))
    rules = f"{V3}/pushrules/global/override/x"
    met = fleet.send(Request("OPTIONS", rules), Request("GET", rules), Request("PUT", rules, body=b"{}"))
    assert met == [(200, ["client_reader"]), (200, ["client_reader"]), (502, [])]


def test_what_has_timed_out_is_not_asked_of_another_process() -> None:
    with full_fleet(patience="1s") as fleet:
        fleet.replay.silent(fleet.pool("client_reader", "sync", "typing", "federation_inbound"))
        assert fleet.send(SYNC, VERSIONS, QUERY, TRANSACTION, WRITES[0]) == [
            (504, ["sync"]),
            (504, ["client_reader"]),
            (504, ["client_reader"]),
            (504, ["federation_inbound"]),
            (504, ["typing"]),
        ]


def test_media_never_go_to_a_process_without_the_store(fleet: Fleet) -> None:
    fleet.replay.down(fleet.pool("media"))
    assert fleet.send(DOWNLOAD) == [(502, [])]


def test_a_post_that_a_process_has_seen_is_not_sent_again(fleet: Fleet) -> None:
    fleet.replay.broken(fleet.pool("client_reader", "receipts"))
    assert fleet.send(QUERY, WRITES[2]) == [(502, ["client_reader"]), (502, ["receipts"])]


def test_a_read_that_died_with_its_processes_is_answered_elsewhere(fleet: Fleet) -> None:
    fleet.replay.broken(fleet.pool("client_reader"))
    ((status, met),) = fleet.send(VERSIONS)
    assert status == 200
    assert met == ["client_reader", "client_reader", "main"]


def test_each_answer_names_its_upstream_in_the_log() -> None:
    with full_fleet() as fleet:
        fleet.replay.down(fleet.pool("sync"))
        fleet.send(VERSIONS, SYNC, WRITES[0])
        lines = [line.split("\t") for line in fleet.replay.log(3)]
    assert [line[4] for line in lines] == ["synapse_client_reader", "synapse_sync", "synapse_typing"]
    assert all(line[5].endswith(".sock") for line in lines)
    assert "client_reader" in lines[1][5].rpartition(" : ")[2]


@pytest.mark.parametrize("trusted", [True, False])
def test_the_address_of_a_server_behind_a_proxy_counts_only_if_the_proxy_is_trusted(trusted: bool) -> None:
    topology = fleet_at("full", registry().releases[-1])
    files = proxy_files(topology, {"nginx_trusted_proxies": ["127.0.0.0/8"] if trusted else []})
    sources = [f"192.0.2.{number}" for number in range(1, 25)]
    requests = [Request(TRANSACTION.method, TRANSACTION.path, (("X-Forwarded-For", source),)) for source in sources * 3]
    with Replay(nginx_binary(), files.http, files.site, host=topology.public_name) as replay:
        recorded = replay.send(requests)
    met = {source: {entry.tried for entry in recorded[index::24]} for index, source in enumerate(sources)}
    assert all(len(homes) == 1 for homes in met.values())
    assert (len(set().union(*met.values())) > 1) is trusted
    assert [entry.headers["x-forwarded-for"] for entry in recorded[:24]] == (
        sources if trusted else ["127.0.0.1"] * len(sources)
    )
