# SPDX-License-Identifier: GPL-3.0-or-later
"""homeserver.yaml, main.yaml and the files of workers."""

from __future__ import annotations

import pytest
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model import layout as places
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.checks import COMPUTED_OPTIONS
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.layout import layout
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.topology import Topology
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.config import (
    health,
    main_config,
    shared_config,
    worker_config,
)
from ansible_collections.baremetal.synapse.plugins.plugin_utils.synapse.secrets import hidden_files, secret_files

from tests.unit.fleets import every_fleet, one_host, several_hosts

FLEETS = every_fleet()


@pytest.mark.parametrize("topology", FLEETS.values(), ids=FLEETS)
def test_every_option_that_the_model_writes_is_one_that_the_operator_cannot_override_by_accident(
    topology: Topology,
) -> None:
    written = set(shared_config(topology)) - set(topology.options["synapse_extra_config"])
    assert {name for name in written if not name.startswith("worker_")} <= COMPUTED_OPTIONS


def test_options_of_the_operator_are_added_as_they_are() -> None:
    extra = {"enable_registration": True, "password_config": {"enabled": False}, "allowed_lifetime_max": "1y"}
    config = shared_config(one_host(synapse_extra_config=extra))
    assert {name: config[name] for name in extra} == extra
    assert {name: value for name, value in config.items() if name not in extra} == shared_config(one_host())


def test_variables_of_the_operator_reach_the_options_of_synapse() -> None:
    config = shared_config(
        one_host(
            synapse_public_baseurl="https://matrix.example.org/",
            synapse_report_stats=True,
            synapse_max_upload_size="100M",
            synapse_media_store_path="/srv/media",
            synapse_trusted_key_servers=[],
            synapse_cp_max=7,
            postgres_port=5433,
        )
    )
    assert config["public_baseurl"] == "https://matrix.example.org/"
    assert config["report_stats"] is True
    assert config["max_upload_size"] == "100M"
    assert config["media_store_path"] == "/srv/media"
    assert config["trusted_key_servers"] == []
    assert config["database"]["args"]["cp_max"] == 7
    assert config["database"]["args"]["port"] == 5433


def test_clients_use_the_server_name_if_no_other_url_is_given() -> None:
    assert shared_config(one_host())["public_baseurl"] == "https://example.org/"


@pytest.mark.parametrize("topology", FLEETS.values(), ids=FLEETS)
def test_no_secret_is_in_a_file_but_the_paths_of_all_that_are_needed(topology: Topology) -> None:
    paths = {entry["path"] for entry in secret_files()}
    config = shared_config(topology)
    found = {value for name, value in config.items() if name.endswith("_path") and name != "media_store_path"}
    assert found <= paths
    assert "worker_replication_secret_path" in config or not topology.workers
    for name in ("macaroon_secret_key", "form_secret", "registration_shared_secret", "worker_replication_secret"):
        assert name not in config
    assert "password" not in config.get("redis", {})
    assert "password" not in config["database"]["args"]


def test_secrets_are_files_that_only_synapse_reads() -> None:
    for entry in secret_files():
        assert entry["path"] == f"{layout()['secrets_dir']}/{entry['name']}"
        assert entry["mode"] == "0400"
    assert {entry["kind"] for entry in secret_files()} == {"signing_key", "token", "pgpass"}
    assert len({entry["name"] for entry in secret_files()}) == len(secret_files())


@pytest.mark.parametrize("topology", FLEETS.values(), ids=FLEETS)
def test_client_requests_and_replication_have_listeners_of_their_own(topology: Topology) -> None:
    files = [main_config(topology)["listeners"]]
    files += [worker_config(topology, worker)["worker_listeners"] for worker in topology.workers]
    for listeners in files:
        for listener in listeners:
            resources = {name for entry in listener.get("resources", []) for name in entry["names"]}
            assert "replication" not in resources or resources == {"replication"}
            assert "metrics" not in resources


@pytest.mark.parametrize("topology", FLEETS.values(), ids=FLEETS)
def test_every_worker_file_names_its_worker_and_its_kind(topology: Topology) -> None:
    for worker in topology.workers:
        config = worker_config(topology, worker)
        assert config["worker_name"] == worker.name
        assert config["worker_app"] == "synapse.app.generic_worker"
        assert ("enable_media_repo" in config) == (worker.group == "media_workers")


@pytest.mark.parametrize("topology", FLEETS.values(), ids=FLEETS)
def test_only_writers_of_streams_and_main_have_a_replication_listener(topology: Topology) -> None:
    for worker in topology.workers:
        listeners = worker_config(topology, worker)["worker_listeners"]
        has = any(entry.get("resources") == [{"names": ["replication"]}] for entry in listeners)
        assert has == bool(worker.streams)
    has = any(entry.get("resources") == [{"names": ["replication"]}] for entry in main_config(topology)["listeners"])
    assert has == bool(topology.workers)


@pytest.mark.parametrize("topology", FLEETS.values(), ids=FLEETS)
def test_over_tcp_synapse_learns_the_address_of_the_client_from_nginx(topology: Topology) -> None:
    for worker in topology.workers:
        http = worker_config(topology, worker)["worker_listeners"][0]
        assert topology.unix or http["x_forwarded"] is True


def test_health_is_asked_where_the_process_listens() -> None:
    unix = one_host(generic_workers={"events": {}})
    assert health(unix, unix.workers[0]) == {"socket": "/run/matrix-synapse/http/synapse1-events-1.sock"}
    tcp = one_host(synapse_transport="tcp", generic_workers={"events": {}})
    assert health(tcp, tcp.workers[0]) == {"address": "127.0.0.1", "port": tcp.workers[0].http_port}


@pytest.mark.parametrize(
    ("root", "expected"),
    [
        (None, {"sslmode": "require"}),
        ("/etc/ssl/matrix/root.pem", {"sslmode": "verify-full", "sslrootcert": "/etc/ssl/matrix/root.pem"}),
    ],
)
def test_connections_to_postgresql_are_encrypted_where_that_is_asked_for(
    root: str | None, expected: dict[str, str]
) -> None:
    pools = {"sync": {"cp_max": 3}}
    plain, encrypted = (
        several_hosts(postgres_tls=tls, postgres_tls_root_certificate=root, generic_workers=pools)
        for tls in (False, True)
    )
    for build in (shared_config, lambda topology: worker_config(topology, topology.workers[0])):
        before, after = (build(topology)["database"]["args"] for topology in (plain, encrypted))
        assert {name: value for name, value in after.items() if name not in before} == expected
        assert before.items() <= after.items()


def test_a_socket_is_not_encrypted() -> None:
    assert shared_config(one_host(postgres_tls=True)) == shared_config(one_host())


@pytest.mark.parametrize("topology", FLEETS.values(), ids=FLEETS)
def test_a_process_sees_the_secrets_that_its_files_name_and_no_others(topology: Topology) -> None:
    shared = shared_config(topology)
    for process in topology.processes:
        own = main_config(topology) if process.is_main else worker_config(topology, process)
        config = {**shared, **own}
        read = str({name: value for name, value in config.items() if name != "media_store_path"})
        hidden = hidden_files(topology, process)
        for entry in secret_files():
            assert (entry["path"] in read) == (entry["path"] not in hidden), entry["name"]
        if not process.is_main:
            assert (places.MAIN_CONFIG in hidden) == (process.host == topology.main.host)


@pytest.mark.parametrize("consent", [True, False])
def test_consent_needs_the_secret_of_forms(consent: bool) -> None:
    option = {"user_consent": {"version": "1"}} if consent else {}
    for shared, own in ((option, {}), ({}, option)):
        pools = {"sync": {"extra_config": own}}
        topology = several_hosts(generic_workers=pools, synapse_extra_config=shared)
        worker = next(worker for worker in topology.workers if worker.pool == "sync")
        assert ("form_secret_path" in worker_config(topology, worker)) == consent
        assert (places.secret("form_secret") in hidden_files(topology, worker)) != consent
        assert ("form_secret" in {entry["name"] for entry in secret_files(topology, worker.host)}) == consent
        assert "form_secret_path" in main_config(topology)


def test_workers_do_not_get_the_secret_that_makes_users() -> None:
    topology = several_hosts(generic_workers={"sync": {}})
    names = {host: {entry["name"] for entry in secret_files(topology, host)} for host in ("main1", "generic1")}
    assert names["main1"] - names["generic1"] == {"registration_shared_secret", "form_secret"}
    assert names["main1"] == {entry["name"] for entry in secret_files()}
    written = str([shared_config(topology), *(worker_config(topology, worker) for worker in topology.workers)])
    assert "registration_shared_secret" not in written
    read = str([shared_config(topology), main_config(topology)])
    assert all(entry["path"] in read for entry in secret_files())
