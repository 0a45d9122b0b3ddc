# SPDX-License-Identifier: GPL-3.0-or-later
"""`make demo`: deploys a homeserver with workers on a disposable host and tests it. `make demo-down` ends it."""

from __future__ import annotations

import argparse
import dataclasses
import re
import secrets
import shlex
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from tools.matrix import Client

PROJECT = Path(__file__).resolve().parent.parent
SSH_CONFIG = PROJECT / ".cache" / "hosts" / "ssh" / "config"
NAME = "demo"
ADDRESS = "10.88.0.10"
URL = f"https://{ADDRESS}/"
ACCESS_LOG = "/var/log/nginx/matrix-synapse.access.log"


class DemoError(Exception):
    """The demo failed; the message is one sentence."""


@dataclasses.dataclass(frozen=True)
class Served:
    """A line of nginx's access log."""

    method: str
    path: str
    status: str
    upstream: str
    process: str
    seconds: str

    @classmethod
    def parse(cls, line: str) -> Served:
        """Read a line: time, method, path, status, upstream, address of the upstream's process, seconds."""
        _, method, path, status, upstream, address, seconds, *_ = line.split("\t")
        # nginx lists every process that it tried; the last one answered.
        last = address.rpartition(", ")[2]
        found = re.search(r"/([^/]+)\.sock$", last)
        return cls(method, path, status, upstream, found[1] if found else last, seconds)


@dataclasses.dataclass(frozen=True)
class User:
    """A user of the demo. The password is of a server that is thrown away, so it is shown."""

    name: str
    password: str


def step(text: str) -> None:
    """Tell what happens next."""
    print(f"\n==> {text}", flush=True)


def run(command: list[str], problem: str) -> None:
    """Run a command with its output on the terminal."""
    if subprocess.run(command, cwd=PROJECT, check=False).returncode != 0:
        raise DemoError(problem)


def on_host(command: str) -> str:
    """Run a command on the demo's host and return its output."""
    done = subprocess.run(["ssh", "-F", str(SSH_CONFIG), ADDRESS, command], text=True, capture_output=True, check=False)
    if done.returncode != 0:
        raise DemoError(f"`{command}` failed on the host: {done.stderr.strip()}")
    return done.stdout


def certificate() -> ssl.SSLContext:
    """Trust the demo's self-signed certificate, fetched over SSH, and nothing else."""
    pem = on_host("openssl s_client -connect 127.0.0.1:443 </dev/null 2>/dev/null | openssl x509")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=pem)
    return context


def prove() -> tuple[list[User], list[Served]]:
    """Use the server as two users, and return the processes that served their requests."""
    # Imported late, because `make demo-down` has to work before anything is installed.
    from tools.matrix import Client  # noqa: PLC0415

    context = certificate()
    suffix = secrets.token_hex(3)
    people = [User(f"{name}-{suffix}", secrets.token_urlsafe(12)) for name in ("alice", "bob")]
    before = int(on_host(f"stat --format %s {ACCESS_LOG}"))
    with Client(URL, verify=context) as alice, Client(URL, verify=context) as bob:
        for client, user in zip((alice, bob), people, strict=True):
            client.register(user.name, user.password)
            print(f"    registered {client.user_id}")
        _talk(alice, bob)
        _exchange_media(alice, bob)
    # nginx writes down what has ended once a second.
    time.sleep(1.5)
    lines = on_host(f"tail --bytes=+{before + 1} {ACCESS_LOG}").splitlines()
    return people, [Served.parse(line) for line in lines]


def _talk(alice: Client, bob: Client) -> None:
    room = alice.create_room(name="Demo", preset="public_chat")
    bob.join(room)
    print(f"    {alice.user_id} created a room and {bob.user_id} joined it")
    alice.typing(room)
    event = alice.send(room, "Hello from the demo")
    text = bob.sync_until_event(room, event)["content"]["body"]
    print(f"    {bob.user_id} received by sync: {text}")
    bob.receipt(room, event)


def _exchange_media(alice: Client, bob: Client) -> None:
    content = secrets.token_bytes(256 * 1024)
    mxc = alice.upload(content)
    if bob.download(mxc) != content:
        raise DemoError(f"The download of {mxc} differs from what was uploaded.")
    print(f"    {alice.user_id} uploaded 256 KiB and {bob.user_id} downloaded the same")


def table(requests: list[Served]) -> str:
    """The requests as a table, with identifiers shortened."""
    rows = [("REQUEST", "STATUS", "UPSTREAM", "SERVED BY", "SECONDS")]
    for served in requests:
        path = re.sub(r"([!$@:]?)[^/]{24,}", r"\1…", unquote(served.path).removeprefix("/_matrix"))
        rows.append((f"{served.method} {path}"[:70], served.status, served.upstream, served.process, served.seconds))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(f"    {line}".rstrip() for line in lines)


def up() -> None:
    """Boot, deploy, prove, and say how to go on."""
    started = time.monotonic()
    step("Boot a disposable Debian 13 host")
    hosts = [sys.executable, "-m", "tools.hosts"]
    run([*hosts, "up", NAME, "--suite", "trixie", "--ip", ADDRESS], "The disposable host could not be booted.")

    playbook = ["ansible-playbook", "-i", "inventories/demo", "playbooks/site.yml"]
    step(shlex.join(playbook))
    playbook[0] = str(PROJECT / ".venv" / "bin" / playbook[0])
    run(playbook, "The playbook failed; its output above says where. The host is still up: `make demo` tries again.")

    step("Use it: two users, a room, messages, media, all through nginx")
    people, requests = prove()
    step("Which process served which request (from nginx's access log)")
    print(table(requests))
    failed = [served for served in requests if not served.status.startswith("2")]
    if failed:
        raise DemoError(f"{len(failed)} of {len(requests)} requests were not answered with success.")

    print(f"\nThe homeserver is up after {time.monotonic() - started:.0f} s.\n")
    print(f"  URL        {URL} (self-signed certificate; reachable from this machine)")
    for user in people:
        print(f"  user       {user.name}  password {user.password}")
    print("  get in     python3 -m tools.hosts shell demo")
    print("  processes  python3 -m tools.hosts shell demo systemctl list-units \"'matrix-synapse*'\"")
    print("  end it     make demo-down")


def down() -> None:
    """End the demo's host."""
    run([sys.executable, "-m", "tools.hosts", "down", NAME], "The disposable host could not be ended.")


def main() -> int:
    """Start or end the demo."""
    parser = argparse.ArgumentParser(prog="tools.demo")
    parser.add_argument("action", choices=("up", "down"))
    action = parser.parse_args().action
    try:
        up() if action == "up" else down()
    except DemoError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the host is still up: `make demo` goes on, `make demo-down` ends it", file=sys.stderr)
        return 130
    except Exception as problem:
        # Only here, at the very end: the demo's promise is a sentence instead of a traceback.
        print(f"error: the demo failed: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
