# SPDX-License-Identifier: GPL-3.0-or-later
"""Where Prometheus finds the metrics of the fleet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..model.layout import in_address
from ..model.service import Listener, Service
from ..model.topology import Topology


def metrics_targets(topology: Topology) -> list[dict[str, Any]]:
    """Returns a list for Prometheus' ``file_sd_configs``.

    Labels follow Synapse's Grafana dashboard: ``job`` is the pool (``synapse`` for main), ``index`` the number in it.
    Other services have the job that their listener names.
    """
    return [
        target
        for service in topology.services
        for listener in service.listeners
        if listener.metrics is not None
        for target in _targets(topology, service, listener, listener.metrics)
    ]


def _targets(topology: Topology, service: Service, listener: Listener, job: str) -> Iterator[dict[str, Any]]:
    port = listener.first_port(topology.options)
    if not listener.of_processes:
        for host in topology.running(service):
            yield _target(topology, host, port, job)
        return
    for process in topology.processes:
        name = job if process.is_main else process.pool
        own = process.port_in(port)
        yield _target(topology, process.host, own, name, index=process.index, process=process.name)


def _target(topology: Topology, host: str, port: int, job: str, index: int = 1, **labels: str) -> dict[str, Any]:
    return {
        "targets": [in_address(topology.listen_address(host), port)],
        "labels": {"job": job, "index": str(index), "instance": topology.server_name, "host": host, **labels},
    }
