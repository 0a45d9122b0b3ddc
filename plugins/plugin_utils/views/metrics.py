# SPDX-License-Identifier: GPL-3.0-or-later
"""Where Prometheus finds the metrics of each process."""

from __future__ import annotations

from typing import Any

from ..model.layout import in_address
from ..model.process import Process
from ..model.topology import LOOPBACK, Topology


def metrics_address(topology: Topology, process: Process) -> dict[str, Any]:
    """Returns ``address`` and ``port`` of a process' metrics."""
    return {"address": LOOPBACK if topology.unix else process.address, "port": process.metrics_port}


def metrics_targets(topology: Topology) -> list[dict[str, Any]]:
    """Returns a list for Prometheus' ``file_sd_configs``.

    Labels follow Synapse's Grafana dashboard: ``job`` is the pool (``synapse`` for main), ``index`` the number in it.
    """
    return [
        {
            "targets": [in_address(*metrics_address(topology, process).values())],
            "labels": {
                "job": "synapse" if process.is_main else process.pool,
                "index": str(process.index),
                "instance": topology.server_name,
                "host": process.host,
                "process": process.name,
            },
        }
        for process in topology.processes
    ]
