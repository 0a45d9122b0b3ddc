# SPDX-License-Identifier: GPL-3.0-or-later
"""The inputs of each process, so that a change restarts only the processes that depend on it.

Every process reads all of homeserver.yaml, but some options matter only to some processes: Synapse compares the names
in them with its own name (config/workers.py), and the main process hands work over to the processes that they name.
"""

from __future__ import annotations

from typing import Any

from ..model import layout
from ..model.duties import DUTIES, DUTY_OF_OPTION, Duty
from ..model.process import Process
from ..model.releases import Release
from ..model.topology import Topology
from ..synapse.secrets import hidden_files
from ..synapse.units import unit_of

NESTED_OPTIONS = ("instance_map", "stream_writers")
"""Options that are compared entry by entry, so that a reason can name the stream."""

# From 1.136 to 1.140 the second reload hangs: https://github.com/element-hq/synapse/issues/19060
_RELOAD_HANGS = (Release(1, 136), Release(1, 141))


def option_key(option: str) -> str:
    """Returns the name of an option of homeserver.yaml among the inputs of a process."""
    return f"{layout.SHARED_CONFIG}: {option}"


def reloads(release: Release) -> bool:
    """Returns whether processes of this release can reload their caches and their logging."""
    return not _RELOAD_HANGS[0] <= release < _RELOAD_HANGS[1]


def fingerprint_inputs(topology: Topology, host: str) -> dict[str, Any]:
    """Returns ``fingerprint.json`` of a host: the inputs of each of its processes."""
    return {
        "directory": layout.FINGERPRINT_DIR,
        "instances": {
            process.name: _inputs(topology, process) for process in topology.processes if process.host == host
        },
    }


def _inputs(topology: Topology, process: Process) -> dict[str, Any]:
    own = [layout.MAIN_CONFIG if process.is_main else layout.worker_config(process.name)]
    template = [] if process.is_main else [f"{layout.UNIT_DIR}/{layout.WORKER_UNIT}"]
    units = [path for name in (*template, f"{layout.UNIT_DIR}/{unit_of(process)}") for path in (name, f"{name}.d")]
    registrations = topology.options["synapse_extra_config"].get("app_service_config_files") or []
    return {
        "duties": list(process.duties),
        "links": [layout.CURRENT],
        "files": [
            *own,
            layout.LOG_CONFIG,
            layout.PROCESS_PROGRAM,
            layout.SECRETS_DIR,
            *units,
            *map(str, registrations),
        ],
        "hidden": hidden_files(topology, process),
        "options": layout.SHARED_CONFIG,
        "nested": list(NESTED_OPTIONS),
        "ignored": _ignored(topology, process),
        "reloaded": [layout.LOG_CONFIG, option_key("caches")] if reloads(topology.release) else [],
    }


def _ignored(topology: Topology, process: Process) -> list[str]:
    """Returns the options that a process does not depend on, the last duties of the table first."""
    options = reversed(DUTY_OF_OPTION.items())
    return [option for option, duty in options if not _matters(topology, process, duty)]


def _matters(topology: Topology, process: Process, duty: Duty) -> bool:
    """Returns whether a process depends on the option that names the workers with a duty.

    Those workers do, and main, which hands the work over. Jobs of the media repository run in no process
    without it, main included.
    """
    if duty.name == "media_background":
        return topology.serves_media(process)
    return process.is_main or duty.name in process.duties


def sharded_duties() -> dict[str, str]:
    """Returns the duties that are shared out by a list, with the name of the list among the inputs of a process.

    Two processes with different lists would do the same work, or none of them would: so all stop before one starts.
    """
    lists = {duty.name: duty.option or f"stream_writers.{duty.stream}" for duty in DUTIES.values() if duty.sharded}
    return {name: option_key(option) for name, option in lists.items()}


def needs_handover(duty: str) -> bool:
    """Returns whether a process must stop with a duty before another takes it: streams, and single-worker duties."""
    return DUTIES[duty].single or DUTIES[duty].stream is not None or duty in sharded_duties()
