# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line."""

from __future__ import annotations

import argparse
import sys

from tools.hosts import host, image, network
from tools.hosts.process import say
from tools.hosts.settings import SUITES, HostsError
from tools.preflight import PrerequisiteError, check

COMMANDS = ("mmdebstrap", "systemd-nspawn", "ip", "nft", "ssh", "ssh-keygen", "mount", "umount")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m tools.hosts", description="Disposable Debian hosts.")
    actions = parser.add_subparsers(dest="action", required=True)

    build = actions.add_parser("image", help="build the base image of a suite, if it is missing or outdated")
    build.add_argument("suite", choices=SUITES)

    start = actions.add_parser("up", help="boot a host and wait until SSH answers")
    start.add_argument("name")
    start.add_argument("--suite", choices=SUITES, default=SUITES[0])
    start.add_argument("--ip", required=True, metavar="10.88.X.Y")
    start.add_argument("--hostname", help="name inside the host (default: NAME)")
    start.add_argument(
        "--forward",
        choices=network.FORWARD_POLICIES,
        default="web",
        help="what the host may reach outside: names, HTTP and HTTPS, or nothing (default: %(default)s)",
    )

    end = actions.add_parser("down", help="end hosts; an absent one is no error")
    end.add_argument("names", nargs="*", metavar="NAME")
    end.add_argument("--all", action="store_true", help="all hosts of this checkout")

    actions.add_parser("list", help="show the hosts of this machine")

    enter = actions.add_parser("shell", help="open a shell, or run a command, in a host over SSH")
    enter.add_argument("name")
    enter.add_argument("command", nargs=argparse.REMAINDER)
    return parser


def _act(options: argparse.Namespace) -> None:
    if options.action == "image":
        print(image.ensure(options.suite))
    elif options.action == "up":
        made = host.up(options.name, options.suite, options.ip, forward=options.forward, hostname=options.hostname)
        print(f"{made.name} {made.address} {made.suite}")
    elif options.action == "down":
        if not options.names and not options.all:
            raise HostsError("Say which hosts to end, or --all.")
        for name in options.names:
            say(f"{name}: {'ended' if host.down(name) else 'was not there'}")
        if options.all:
            say("ended: " + (", ".join(host.down_all()) or "nothing was up"))
    elif options.action == "list":
        for found in host.all_hosts():
            state = "up" if host.alive(found.name) else "dead"
            print(f"{found.name}\t{found.address}\t{found.suite}\t{state}\tforward={found.forward}")
    else:
        host.shell(options.name, options.command)


def main() -> int:
    """Run one command; what the user can fix is told in one sentence with exit code 2."""
    options = _parser().parse_args()
    try:
        check(commands=COMMANDS, disk=options.action in ("image", "up"))
        _act(options)
    except (HostsError, PrerequisiteError) as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0
