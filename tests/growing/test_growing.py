# SPDX-License-Identifier: GPL-3.0-or-later
"""The worked example of docs/growing.md: from one machine to three and back, with names and data kept."""

from __future__ import annotations

import json
import ssl
from dataclasses import dataclass, field

import pytest

from tools.matrix import Account, Client
from tools.runs import ROOT, Fleet, Run

PLAN = "baremetal.synapse.plan"
PASSWORD = "kept-all-the-way"
MEDIA = b"kept" * 5000


@dataclass
class Kept:
    """What a user has before the fleet grows."""

    account: Account | None = None
    room: str = ""
    events: list[str] = field(default_factory=list)
    mxc: str = ""


@pytest.fixture(scope="module")
def kept() -> Kept:
    return Kept()


def client(fleet: Fleet, host: str = "matrix1") -> Client:
    trust = ssl.create_default_context(cadata=fleet.shell("cat /etc/ssl/certs/matrix-synapse.pem", host=host))
    trust.check_hostname = False
    trust.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return Client(f"https://{fleet.addresses[host]}", verify=trust)


def workers(fleet: Fleet, host: str) -> set[str]:
    told = fleet.shell("systemctl list-units --plain --no-legend --state=active 'matrix-synapse-worker@*'", host=host)
    return {line.split()[0].partition("@")[2].removesuffix(".service") for line in told.splitlines()}


def done(run: Run) -> Run:
    assert run.code == 0, run.output[-5000:]
    return run


def check_kept(fleet: Fleet, kept: Kept, host: str = "matrix1") -> None:
    """Logs in again, finds every message and the media, and says one thing more."""
    with client(fleet, host) as user:
        user.login("grower", PASSWORD)
        history = user.call("GET", f"/_matrix/client/v3/rooms/{kept.room}/messages?dir=b&limit=100")["chunk"]
        assert set(kept.events) <= {event["event_id"] for event in history}
        assert user.download(kept.mxc) == MEDIA
        kept.events.append(user.send(kept.room, f"on {host}"))


def test_one_machine(one: Fleet, kept: Kept) -> None:
    done(one.run())
    with client(one) as user:
        user.register("grower", PASSWORD)
        kept.room = user.create_room()
        kept.events.append(user.send(kept.room, "the first"))
        kept.mxc = user.upload(MEDIA)
    assert "matrix1-sync-1" in workers(one, "matrix1")
    assert ":10000 " not in one.shell("ss -ltn", host="matrix1")


def test_the_plan_says_that_the_first_step_restarts_everything(three: Fleet) -> None:
    before = workers(three, "matrix1")
    output = done(three.run(playbook=PLAN)).output
    assert "the addresses of main, " in output
    assert "Everything is unavailable for some seconds." in output
    assert "start app1-reader-1, app1-sync-1, app1-sync-2" in output
    assert workers(three, "matrix1") == before
    assert workers(three, "app1") == set()


def test_three_machines(three: Fleet, kept: Kept) -> None:
    before = workers(three, "matrix1")
    done(three.run())
    assert workers(three, "matrix1") == before
    assert workers(three, "app1") == {"app1-reader-1", "app1-sync-1", "app1-sync-2"}
    check_kept(three, kept)
    check_kept(three, kept, "edge1")


def test_a_second_run_has_nothing_to_do(three: Fleet) -> None:
    assert done(three.run()).changed == 0


def test_one_sync_worker_more_restarts_nothing_and_site_does_what_plan_said(three: Fleet) -> None:
    three.set_variables(host="app1", generic_workers={"sync": {"count": 3}, "reader": reader()})
    said = planned(done(three.run(playbook=PLAN)), "Show the plan")
    assert said == ["1. start app1-sync-3 on app1: new", "2. nginx gets its new configuration"]
    assert planned(done(three.run()), "Show what was done")[1:] == said
    assert "app1-sync-3" in workers(three, "app1")


def reader() -> dict[str, object]:
    duties = ["client_reader", "room", "federation_reader", "federation_inbound", "login", "sliding_sync"]
    return {"count": 1, "duties": duties}


def planned(run: Run, task: str) -> list[str]:
    """Returns the lines that a task of the run has shown."""
    shown = run.output.partition(f"{task}]")[2].partition('"msg": ')[2].partition("\n}")[0]
    return [str(line) for line in json.loads(shown)] if shown else []


def test_a_host_with_a_stream_must_not_just_leave(three: Fleet, one: Fleet) -> None:
    three.set_variables(host="app1", generic_workers={"events": {"count": 1}, "reader": reader()})
    done(three.run())
    refused = one.run()
    assert refused.code != 0
    assert "app1-events-1 was not stopped there, and has the duty events" in refused.output
    assert refused.changed == 0
    assert "app1-events-1" in workers(three, "app1")


def test_empty_pools_leave_nothing_on_the_host(three: Fleet, kept: Kept) -> None:
    three.set_variables(host="app1", generic_workers={})
    done(three.run())
    assert workers(three, "app1") == set()
    left = three.shell(
        "find /etc/matrix-synapse/workers /run/matrix-synapse -name 'app1-*';"
        " ls -d /etc/systemd/system/matrix-synapse-worker@app1-*.d/pool.conf 2>/dev/null",
        host="app1",
        check=False,
    )
    assert left == ""
    assert "app1-" not in three.shell("cat /etc/nginx/conf.d/matrix-synapse.conf", host="matrix1")
    check_kept(three, kept)


def test_one_machine_again(one: Fleet, kept: Kept) -> None:
    before = workers(one, "matrix1")
    done(one.run())
    assert workers(one, "matrix1") == before
    assert ":10000 " not in one.shell("ss -ltn", host="matrix1")
    assert "matrix_synapse" not in one.shell("nft list tables", host="matrix1")
    check_kept(one, kept)
    assert done(one.run()).changed == 0


def test_the_documentation_has_these_inventories() -> None:
    page = (ROOT / "docs" / "growing.md").read_text()
    assert "generic_workers: {hosts: {matrix1: null, app1: null}}" in page
    assert "nginx: {hosts: {matrix1: null, edge1: null}}" in page
