# SPDX-License-Identifier: GPL-3.0-or-later
"""The load from the command line, with a table of what it saw.

Usage: ``.venv/bin/python -m benchmarks.load --url https://192.0.2.10 --host matrix.example.org --seconds 30``
"""

from __future__ import annotations

import argparse
import asyncio
import os
import ssl
import sys
from pathlib import Path

from . import Load
from .user import RefusedError

SECRET_VARIABLE = "REGISTRATION_SHARED_SECRET"  # noqa: S105  its name


def trust(certificates: str | None) -> ssl.SSLContext:
    """Returns a context that believes the certificates of a file, or those of the system.

    Args:
        certificates: a path; each certificate in it is believed, even if its authority is not in it.
    """
    if certificates is None:
        return ssl.create_default_context()
    context = ssl.create_default_context(cadata=Path(certificates).read_text())
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


async def run(options: argparse.Namespace) -> int:
    """Runs the load for its time; returns 0 if nothing failed and nothing was lost."""
    load = Load(
        options.url,
        host=options.host,
        trust=trust(options.certificates),
        users=options.users,
        rate=options.rate,
        poll_seconds=options.poll,
        registration_secret=os.environ.get(SECRET_VARIABLE),
    )
    async with load:
        await asyncio.sleep(options.seconds)
    report, verification = load.report(), load.verification
    print(report.summary())
    print(f"{verification.acknowledged} messages acknowledged: {verification.problems or 'each is there, once'}")
    return 1 if report.failed or report.refused or verification.problems else 0


def main() -> int:
    """Runs what the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.load",
        description="Client traffic through nginx, counted.",
        epilog=f"The shared secret for registration, if registration is not open, comes from {SECRET_VARIABLE}.",
    )
    parser.add_argument("--url", action="append", required=True, help="https://ADDRESS[:PORT] of an edge, repeatable")
    parser.add_argument("--host", help="the public name, if the URL has an address")
    parser.add_argument("--certificates", metavar="FILE", help="certificates to believe; default: those of the system")
    parser.add_argument("--users", type=int, default=8, help="default: %(default)s")
    parser.add_argument("--rate", type=float, default=20.0, help="actions in a second (default: %(default)s)")
    parser.add_argument("--poll", type=float, default=7.0, help="seconds of a long poll (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=30.0, help="default: %(default)s")
    try:
        return asyncio.run(run(parser.parse_args()))
    except (ValueError, RefusedError, OSError) as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
