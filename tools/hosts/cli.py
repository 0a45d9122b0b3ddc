# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from tools.hosts import host, image, layer, network
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
    start.add_argument("--layer", help="boot from this layer instead of a bare Debian")
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

    save = actions.add_parser("save", help="stop a host and keep its disk as a layer that others can boot from")
    save.add_argument("name")
    save.add_argument("layer")

    actions.add_parser("layers", help="show the layers of this checkout")

    forget = actions.add_parser("forget", help="delete layers; an absent one is no error")
    forget.add_argument("layers", nargs="+", metavar="LAYER")

    enter = actions.add_parser("shell", help="open a shell, or run a command, in a host over SSH")
    enter.add_argument("name")
    enter.add_argument("command", nargs=argparse.REMAINDER)
    return parser


def _up(options: argparse.Namespace) -> None:
    made = host.up(
        options.name,
        options.suite,
        options.ip,
        forward=options.forward,
        hostname=options.hostname,
        from_layer=options.layer,
    )
    print(f"{made.name} {made.address} {made.suite}")


def _down(options: argparse.Namespace) -> None:
    if not options.names and not options.all:
        raise HostsError("Say which hosts to end, or --all.")
    for name in options.names:
        say(f"{name}: {'ended' if host.down(name) else 'was not there'}")
    if options.all:
        say("ended: " + (", ".join(host.down_all()) or "nothing was up"))


def _list(_options: argparse.Namespace) -> None:
    for found in host.all_hosts():
        state = "up" if host.alive(found.name) else "dead"
        print(f"{found.name}\t{found.address}\t{found.suite}\t{state}\tforward={found.forward}")


def _layers(_options: argparse.Namespace) -> None:
    for found in layer.all_layers():
        print(f"{found.name}\t{found.suite}\t{'in use' if layer.in_use(found) else 'unused'}")


def _forget(options: argparse.Namespace) -> None:
    for name in options.layers:
        say(f"{name}: {'deleted' if layer.forget(name) else 'was not there'}")


ACTIONS: dict[str, Callable[[argparse.Namespace], None]] = {
    "image": lambda options: print(image.ensure(options.suite)),
    "up": _up,
    "down": _down,
    "list": _list,
    "save": lambda options: print(host.save(options.name, options.layer).name),
    "layers": _layers,
    "forget": _forget,
    "shell": lambda options: host.shell(options.name, options.command),
}


def main() -> int:
    """Run one command; errors that the user can fix are reported in one sentence, with exit code 2."""
    options = _parser().parse_args()
    try:
        check(commands=COMMANDS, disk=options.action in ("image", "up"))
        ACTIONS[options.action](options)
    except (HostsError, PrerequisiteError) as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0
