# SPDX-License-Identifier: GPL-3.0-or-later
"""Synapse's configuration files, as plain data: homeserver.yaml (shared), main.yaml and one file for each worker.

Three properties of Synapse shape this module. Files merge shallowly, so a file repeats a whole option to change a part
of it. An empty list means no process, so duties that stay on main are left out. And lists shard by their order, so
every list comes from the sorted topology. Sources: Synapse's config/_base.py and config/workers.py.
"""

from __future__ import annotations

from typing import Any

from ..model import layout
from ..model.duties import DUTIES, DUTY_OF_OPTION
from ..model.process import Process
from ..model.services import POSTGRES, REDIS
from ..model.topology import Topology
from ..servers.redis import instance_of
from . import secrets

_SOCKET_MODE = 0o660


def instance_map(topology: Topology) -> dict[str, dict[str, Any]]:
    """Returns Synapse's ``instance_map``: main, and every worker that writes a stream.

    Workers that no process calls have no entry, so adding one changes no other process' configuration.
    """
    called = [topology.main, *(worker for worker in topology.workers if worker.streams)]
    return {process.name: _replication_address(topology, process) for process in called}


def _replication_address(topology: Topology, process: Process) -> dict[str, Any]:
    if topology.unix:
        return {"path": layout.replication_socket(process.name)}
    return {"host": process.address, "port": process.replication_port}


def stream_writers(topology: Topology) -> dict[str, list[str]]:
    """Returns Synapse's ``stream_writers``; streams that stay on main are left out."""
    return {
        duty.stream: [worker.name for worker in workers]
        for duty in DUTIES.values()
        if duty.stream and (workers := topology.with_duty(duty.name))
    }


def shared_config(topology: Topology) -> dict[str, Any]:
    """Returns homeserver.yaml, which every process of the fleet reads first."""
    options = topology.options
    config: dict[str, Any] = {
        "server_name": topology.server_name,
        "public_baseurl": topology.public_baseurl,
        "report_stats": options["synapse_report_stats"],
        "signing_key_path": layout.secret(secrets.SIGNING_KEY),
        "macaroon_secret_key_path": layout.secret(secrets.MACAROON),
        "trusted_key_servers": options["synapse_trusted_key_servers"],
        "suppress_key_server_warning": True,
        "max_upload_size": options["synapse_max_upload_size"],
        "media_store_path": options["synapse_media_store_path"],
        "enable_metrics": True,
        "database": _database(topology, options["synapse_cp_max"]),
    }
    if topology.host_of(REDIS) is not None:
        config["redis"] = _redis(topology)
    if topology.workers:
        config["instance_map"] = instance_map(topology)
        config["worker_replication_secret_path"] = layout.secret(secrets.REPLICATION)
    if writers := stream_writers(topology):
        config["stream_writers"] = writers
    config |= _duty_options(topology)
    if topology.workers:
        # Else every worker that serves clients or federation would serve media too, without a share in the store.
        config["enable_media_repo"] = False
    return {**config, **options["synapse_extra_config"]}


def _duty_options(topology: Topology) -> dict[str, Any]:
    """Returns the options that name the workers with a duty; duties that stay on main are left out."""
    found: dict[str, Any] = {}
    for option, duty in DUTY_OF_OPTION.items():
        names = [worker.name for worker in topology.with_duty(duty.name)]
        if names:
            found[option] = names[0] if duty.single else names
    return found


def main_config(topology: Topology) -> dict[str, Any]:
    """Returns main.yaml, which the main process reads after homeserver.yaml."""
    main = topology.main
    listeners = [_http_listener(topology, main, ("client", "federation"))]
    if topology.workers:
        listeners.append(_replication_listener(topology, main))
    listeners.append(_metrics_listener(topology, main))
    config: dict[str, Any] = {
        "log_config": layout.LOG_CONFIG,
        "listeners": listeners,
        "form_secret_path": layout.secret(secrets.FORM),
        "registration_shared_secret_path": layout.secret(secrets.REGISTRATION),
    }
    if topology.workers and topology.serves_media(main):
        config["enable_media_repo"] = True
    return {**config, **_own_options(topology, main)}


def worker_config(topology: Topology, worker: Process) -> dict[str, Any]:
    """Returns the file of one worker, which it reads after homeserver.yaml."""
    listeners = [_http_listener(topology, worker, worker.resources)]
    if worker.streams:
        listeners.append(_replication_listener(topology, worker))
    listeners.append(_metrics_listener(topology, worker))
    config: dict[str, Any] = {
        "worker_app": "synapse.app.generic_worker",
        "worker_name": worker.name,
        "worker_log_config": layout.LOG_CONFIG,
        "worker_listeners": listeners,
    }
    if topology.serves_media(worker):
        config["enable_media_repo"] = True
    if secrets.needs(topology, worker, secrets.FORM):
        config["form_secret_path"] = layout.secret(secrets.FORM)
    return {**config, **_own_options(topology, worker)}


def _own_options(topology: Topology, process: Process) -> dict[str, Any]:
    own: dict[str, Any] = {}
    settings = process.settings
    if settings.cp_max is not None:
        own["database"] = _database(topology, settings.cp_max)
    if settings.cache_factor is not None:
        # The whole option at once: files merge shallowly.
        shared = topology.options["synapse_extra_config"].get("caches") or {}
        more = settings.extra_config.get("caches") or {}
        own["caches"] = {**shared, **more, "global_factor": settings.cache_factor}
    return {**settings.extra_config, **own}


def _database(topology: Topology, cp_max: int) -> dict[str, Any]:
    args: dict[str, Any] = {"user": layout.USER, "dbname": layout.DATABASE}
    if topology.unix:
        args["host"] = layout.POSTGRES_SOCKET_DIR
    else:
        args["host"] = topology.address_of(POSTGRES)
        args["passfile"] = layout.secret(secrets.PASSFILE)
        if topology.options["postgres_tls"]:
            root = topology.options["postgres_tls_root_certificate"]
            # Without a root, eavesdropping is prevented, but not an impersonation of PostgreSQL.
            args |= {"sslmode": "require"} if root is None else {"sslmode": "verify-full", "sslrootcert": root}
    args["port"] = topology.options["postgres_port"]
    more = topology.options["synapse_database_args"]
    return {"name": "psycopg2", "args": {**more, **args, "cp_min": 1, "cp_max": cp_max}}


def _redis(topology: Topology) -> dict[str, Any]:
    if topology.unix:
        return {"enabled": True, "path": instance_of(topology).path}
    return {
        "enabled": True,
        "host": topology.address_of(REDIS),
        "port": topology.options["redis_port"],
        "password_path": layout.secret(secrets.REDIS),
    }


def _http_listener(topology: Topology, process: Process, resources: tuple[str, ...]) -> dict[str, Any]:
    listener: dict[str, Any] = {"type": "http"}
    if topology.unix:
        listener |= {"path": layout.http_socket(process.name), "mode": _SOCKET_MODE}
    else:
        listener |= {"port": process.http_port, "bind_addresses": [process.address], "x_forwarded": True}
    if resources:
        listener["resources"] = [{"names": list(resources)}]
    return listener


def _replication_listener(topology: Topology, process: Process) -> dict[str, Any]:
    listener: dict[str, Any] = {"type": "http"}
    if topology.unix:
        listener |= {"path": layout.replication_socket(process.name), "mode": _SOCKET_MODE}
    else:
        listener |= {"port": process.replication_port, "bind_addresses": [process.address]}
    return {**listener, "resources": [{"names": ["replication"]}]}


def _metrics_listener(topology: Topology, process: Process) -> dict[str, Any]:
    return {"type": "metrics", "port": process.metrics_port, "bind_addresses": [topology.listen_address(process.host)]}


def health(topology: Topology, process: Process) -> dict[str, Any]:
    """Returns where ``GET /health`` of a process is answered."""
    if topology.unix:
        return {"socket": layout.http_socket(process.name)}
    return {"address": process.address, "port": process.http_port}


def metrics_address(topology: Topology, process: Process) -> dict[str, Any]:
    """Returns ``address`` and ``port`` of a process' metrics."""
    return {"address": topology.listen_address(process.host), "port": process.metrics_port}
