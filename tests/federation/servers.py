# SPDX-License-Identifier: GPL-3.0-or-later
"""The two servers of the tests, and what their hosts show of changes."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.federation.authority import Authority
from tests.support.deployment import LAYOUT, OUTSIDE, Deployment, connect
from tools.inventory import load_topology, load_variables
from tools.runs import Fleet

EXAMPLE = "generic_media_sender"
CERTIFICATES = Path("/etc/ssl/matrix")
AUTHORITY = CERTIFICATES / "authority.pem"

# What systemd says of a unit's life; "man systemd.journal-fields" and its catalogue of messages.
_WORDS = {
    "7d4958e842da4a758f6c1cdc7b36dcc5": "starting",
    "39f53479d3a045ac8e11786248231fbf": "started",
    "de5b426a63be47a7b6ac3eaac82e2f6f": "stopping",
    "9d1aaa27d60140bd96365438aad20286": "stopped",
}


def variables(name: str) -> dict[str, Any]:
    """Returns what a server has on top of the example: the tests' authority, and pools for federation."""
    generic = ["client_reader", "room", "sync", "initial_sync", "sliding_sync", "login"]
    writers = ["typing", "to_device", "account_data", "receipts", "presence"]
    unlimited = {"per_second": 1000, "burst_count": 1000}
    return {
        "synapse_server_name": name,
        "synapse_public_baseurl": f"https://matrix.{name}/",
        "synapse_trusted_key_servers": [],
        "synapse_extra_config": {
            "federation_custom_ca_list": [str(AUTHORITY)],
            # Synapse talks to no private address by itself.
            "ip_range_whitelist": ["10.88.0.0/16"],
            # People send slower.
            "rc_message": unlimited,
        },
        "nginx_tls_self_signed": False,
        "generic_workers": {
            "generic": {"count": 1, "duties": [*generic, *writers]},
            "events": {"count": 1},
            "federation": {"count": 2, "duties": ["federation_reader", "federation_inbound"]},
        },
        "background_workers": senders(1),
    }


def senders(count: int) -> dict[str, Any]:
    """Returns the variable ``background_workers`` with a number of federation senders."""
    return {"federation_sender": {"count": count}}


@dataclass
class Server:
    """A server that federates, on a host of its own.

    Attributes:
        name: its name, as in Matrix IDs.
        address: the address of its host.
        fleet: its inventory and host.
        sockets: a folder for SSH's control sockets.
    """

    name: str
    address: str
    fleet: Fleet
    sockets: Path

    def __post_init__(self) -> None:
        self.deployment = self._deployment()

    def _deployment(self) -> Deployment:
        sources = (self.fleet.inventory, self.fleet.override)
        variables = load_variables(*sources)[1][self.fleet.host]
        return Deployment(topology=load_topology(*sources), variables=variables, host=connect(variables, self.sockets))

    def prepare(self, authority: Authority, names: dict[str, list[str]]) -> None:
        """Gives the host what an operator brings along: a certificate, the authority's, and names for addresses."""
        certificate, key = authority.certificate(self.name, f"matrix.{self.name}", self.address)
        files = {"fullchain.pem": certificate, "privkey.pem": key, AUTHORITY.name: authority.path}
        script = [f"mkdir -p {CERTIFICATES}"]
        for name, source in files.items():
            script += [f"install -m {'600' if source == key else '644'} /dev/null {CERTIFICATES / name}"]
            script += [f"printf %s {shlex.quote(source.read_text())} > {CERTIFICATES / name}"]
        lines = "".join(f"{address} {' '.join(told)}\n" for address, told in names.items())
        script += [f"printf %s {shlex.quote(lines)} >> /etc/hosts"]
        self.deployment.shell(" && ".join(script))

    def scale_senders(self, count: int) -> Any:
        """Runs site.yml with another number of federation senders, and returns the run."""
        self.fleet.set_variables(background_workers=senders(count))
        self.deployment = self._deployment()
        return self.fleet.run()

    def sender_units(self) -> set[str]:
        """Returns the units of the federation senders that the inventory wants."""
        workers = self.deployment.topology.with_duty("federation_sender")
        return {LAYOUT["worker_unit"].replace("@", f"@{worker.name}") for worker in workers}

    def pids(self) -> dict[str, int]:
        """Returns the process of every Synapse unit that runs."""
        patterns = shlex.join([LAYOUT["main_unit"], LAYOUT["worker_unit"].replace("@", "@*")])
        told = self.deployment.shell(f"systemctl show --property=Id,MainPID,ActiveState {patterns}")
        units = [dict(line.split("=", 1) for line in block.splitlines() if line) for block in told.split("\n\n")]
        return {unit["Id"]: int(unit["MainPID"]) for unit in units if unit and unit["ActiveState"] == "active"}

    def now(self) -> float:
        """Returns the time of the host's clock, in seconds."""
        return float(self.deployment.shell("date +%s.%N"))

    def lives(self, since: float) -> list[Step]:
        """Returns what systemd has done to Synapse's units since then, in its order."""
        fields = "--output-fields=UNIT,MESSAGE_ID"
        told = self.deployment.shell(f"journalctl -q -o json --since=@{since:.6f} {fields} _PID=1")
        entries = (json.loads(line) for line in told.splitlines())
        return [
            Step(int(entry["__REALTIME_TIMESTAMP"]) / 1e6, entry["UNIT"], _WORDS[entry["MESSAGE_ID"]])
            for entry in entries
            if entry.get("MESSAGE_ID") in _WORDS and entry.get("UNIT", "").startswith("matrix-synapse")
        ]

    def ask(self, other: Server, path: str, *, port: int = 443, name: str | None = None) -> Any:
        """Asks another server as this one would, by its name and with the authority's word, and returns the JSON."""
        url = f"https://{name or other.name}:{port}{path}"
        return json.loads(self.deployment.shell(f"curl -sSf --max-time 20 --cacert {AUTHORITY} {shlex.quote(url)}"))


@dataclass(frozen=True, order=True)
class Step:
    """Something that systemd did.

    Attributes:
        at: when, in seconds of the host's clock.
        unit: to which unit.
        word: starting, started, stopping or stopped.
    """

    at: float
    unit: str
    word: str


def when(steps: Iterable[Step], units: Iterable[str], word: str) -> list[float]:
    """Returns when something was done to any of the units."""
    wanted = set(units)
    return [step.at for step in steps if step.unit in wanted and step.word == word]


def names_of(*servers: str) -> list[str]:
    """Returns the DNS names of servers."""
    return [name for server in servers for name in (server, f"matrix.{server}")]


__all__ = ["EXAMPLE", "OUTSIDE", "Server", "Step", "names_of", "senders", "variables", "when"]
