# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The clusters of PostgreSQL on a Debian host, and what is in them. Private to the collection."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable

from ansible_collections.baremetal.synapse.plugins.module_utils._regular_files import read_regular

CONFIG_DIR = Path("/etc/postgresql")
DATA_DIR = Path("/var/lib/postgresql")
CONFIG_FILE = "conf.d/matrix-synapse.conf"
"""What a cluster that serves Synapse has, and no other."""

UNFINISHED = "{version}-{name}.unfinished"
"""The name of the file that says that a run has begun to create a cluster and has not ended it."""

_PID_FILE_PORT = 3
"""The line of postmaster.pid, counted from 0, that has the port (PostgreSQL, src/include/utils/pidfile.h)."""

# Reading pg_file_settings marks in pg_settings what needs a restart.
_QUERY = """\
SELECT coalesce(jsonb_agg(rows), '[]') FROM (
  SELECT name, setting, sourcefile, sourceline, error FROM pg_file_settings
  WHERE error IS NOT NULL OR lower(name) IN ('listen_addresses', 'max_connections', 'port')
  ORDER BY seqno) AS rows;
SELECT jsonb_build_object(
  'databases', (
    SELECT jsonb_object_agg(datname, jsonb_build_object(
      'encoding', pg_encoding_to_char(encoding), 'collate', datcollate, 'ctype', datctype,
      'owner', pg_get_userbyid(datdba)))
    FROM pg_database WHERE NOT datistemplate),
  'max_connections', current_setting('max_connections')::int,
  'pending', (SELECT coalesce(jsonb_agg(name), '[]') FROM pg_settings WHERE pending_restart),
  'hba_errors', (SELECT coalesce(jsonb_agg(error), '[]') FROM pg_hba_file_rules WHERE error IS NOT NULL));
"""

Run = Callable[..., "tuple[int, str, str]"]
"""Runs a command, as the method run_command of a module does."""


def clusters(answer: str, run: Run, config_dir: Path = CONFIG_DIR, data_dir: Path = DATA_DIR) -> list[dict[str, Any]]:
    """Returns the clusters of a host, without those whose creation was cut off.

    Args:
        answer: the lines of pg_lsclusters.
        run: runs a command.
        config_dir: where clusters are configured.
        data_dir: where the data of clusters are.
    """
    found = []
    for line in answer.splitlines():
        version, name, port, status, _, data = line.split()[:6]
        if (data_dir / UNFINISHED.format(version=version, name=name)).exists():
            continue
        running = status.split(",")[0] == "online"
        port_now = _port_now(data, int(port))
        found.append(
            {
                "version": version,
                "name": name,
                "port": port_now,
                "running": running,
                "ours": (config_dir / version / name / CONFIG_FILE).exists(),
                "content": _content(version, port_now, run) if running else None,
            }
        )
    return found


def _port_now(data: str, configured: int) -> int:
    # A changed port is in force only after the restart.
    try:
        # The directory belongs to the user postgres.
        return int(read_regular(Path(data, "postmaster.pid")).splitlines()[_PID_FILE_PORT])
    except (OSError, IndexError, ValueError):
        return configured


def _content(version: str, port: int, run: Run) -> dict[str, Any] | None:
    """Returns what a running cluster says of itself; None if it does not answer to its own administrator."""
    psql = f"/usr/lib/postgresql/{version}/bin/psql"
    words = [
        "runuser",
        "-u",
        "postgres",
        "--",
        psql,
        "-XqAt",
        "-v",
        "ON_ERROR_STOP=1",
        "-p",
        str(port),
        "-d",
        "postgres",
    ]
    code, answer, _ = run(words, data=_QUERY, environ_update={"LC_ALL": "C.UTF-8", "PGCONNECT_TIMEOUT": "10"}, cwd="/")
    lines = answer.splitlines()
    if code != 0 or len(lines) != 2:
        return None
    return {"files": json.loads(lines[0]), **json.loads(lines[1])}
