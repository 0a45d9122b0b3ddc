# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths on hosts that an operator may set: which of them can be, and what cannot be seen or must not be taken over.

Paths are compared as they are written. Links are followed on the host: ``host_rules.py`` checks where they lead.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any

from .layout import DATA_DIR, INSTALL_DIR
from .values import Check, Problem

HIDDEN_FROM_UNITS = {
    "/home": "ProtectHome",
    "/root": "ProtectHome",
    "/run/user": "ProtectHome",
    "/tmp": "PrivateTmp",  # noqa: S108
    "/var/tmp": "PrivateTmp",  # noqa: S108
}
"""Directories that the units of Synapse do not see, with the setting of systemd that hides them."""

_WORD = "[A-Za-z0-9._@+=,~:-]"
# These characters mean nothing to systemd, libpq and a shell.
_PLAIN = re.compile(rf"/(?:{_WORD}|/)*")
_ONE_LINE = re.compile(r"/[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]*")

_SYSTEM_TREES = (
    *("/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/run", "/sbin", "/sys", "/usr"),
    *("/var/backups", "/var/cache", "/var/lock", "/var/log", "/var/mail", "/var/run", "/var/spool"),
    *("/lost+found", INSTALL_DIR),
    *(f"/var/lib/{name}" for name in ("apt", "dpkg", "nginx", "postgresql", "redis", "systemd", "valkey")),
)
"""Trees that belong to the system, or to another service."""

_SHARED_DIRECTORIES = (
    *("/", "/home", "/media", "/mnt", "/opt", "/root", "/srv", "/tmp"),  # noqa: S108
    *("/var", "/var/lib", "/var/tmp", "/var/www", DATA_DIR),  # noqa: S108
)
"""Directories in which others have something, too: one below them may be taken, they may not."""


def _parts(path: str) -> tuple[str, ...]:
    return PurePosixPath(path).parts


def is_within(path: str, directory: str) -> bool:
    """Returns whether a path is a directory, or below it."""
    top = _parts(directory)
    return _parts(path)[: len(top)] == top


def _first_around(path: str, directories: Iterable[str]) -> str | None:
    return next((directory for directory in directories if is_within(path, directory)), None)


def form_problem(value: Any, example: str, pattern: re.Pattern[str] = _ONE_LINE) -> Problem | None:
    """Returns what is wrong with the form of a path: it is absolute, in one line, and names each directory once."""
    if not isinstance(value, str) or not _ONE_LINE.fullmatch(value):
        return "it is an absolute path of one line", f"Write {example}."
    if not pattern.fullmatch(value):
        return "it is an absolute path of letters, digits and ._@+=,~:-", f"Write {example}."
    if {"..", "."} & set(value.split("/")):
        return "the parts . and .. of a path hide where it leads", f"Write {example}."
    if "//" in value or (value.endswith("/") and value != "/"):
        return "a path has one / between two names, and none at its end", f"Write {_tidy(value)}."
    return None


def _tidy(value: str) -> str:
    return re.sub("/+", "/", value).rstrip("/") or "/"


def hidden_problem(value: str, example: str) -> Problem | None:
    """Returns why the units of Synapse do not see a path; None if they do."""
    place = _first_around(value, HIDDEN_FROM_UNITS)
    if place is None:
        return None
    return f"the units of Synapse do not see {place} ({HIDDEN_FROM_UNITS[place]})", f"Write {example}."


def seen_by_units(example: str) -> Check:
    """Returns a check that a value is the path of a file that the units of Synapse read."""

    def check(value: Any) -> Problem | None:
        return (
            form_problem(value, example, _PLAIN) or _runtime_problem(value, example) or hidden_problem(value, example)
        )

    return check


def _runtime_problem(value: str, example: str) -> Problem | None:
    if _first_around(value, ("/run", "/var/run", "/proc", "/dev", "/sys")) is None:
        return None
    return "what is there does not outlive a reboot", f"Write {example}."


def taken_problem(value: str, example: str, user: str) -> Problem | None:
    """Returns why a directory cannot be given to a user: others have something there."""
    fix = f"Write {example}."
    tree = _first_around(value, _SYSTEM_TREES)
    if tree is not None:
        return f"{tree} belongs to the system or to another service, and a run would give the directory to {user}", fix
    if value in _SHARED_DIRECTORIES:
        return f"others have something in {value}, too, and a run would give the directory to {user}", fix
    return None


def place_problem(value: str, example: str, user: str) -> Problem | None:
    """Returns why a directory cannot be the media store where it is: others have it, or the units do not see it."""
    return taken_problem(value, example, user) or hidden_problem(value, example)


def media_store(example: str, user: str) -> Check:
    """Returns a check that a value is a directory that the units of Synapse see and may have for themselves."""
    fix = f"{example}, or a path below /srv"

    def check(value: Any) -> Problem | None:
        return form_problem(value, fix, _PLAIN) or place_problem(value, fix, user)

    return check


def read_by_nginx(example: str) -> Check:
    """Returns a check that a value is the path of a file or directory that is printed into nginx's configuration."""

    def check(value: Any) -> Problem | None:
        problem = form_problem(value, example)
        if problem is None and "$" in value:
            return "nginx would read a variable at the $, which cannot be escaped", f"Write {example}."
        return problem

    return check


def webroot(example: str) -> Check:
    """Returns a check that a value is a directory which a run may create for nginx."""
    readable = read_by_nginx(example)

    def check(value: Any) -> Problem | None:
        problem = readable(value)
        # These are for files that nginx serves, and belong to root already.
        if problem is not None or value == "/var/www" or is_within(value, "/usr/share"):
            return problem
        return taken_problem(value, example, "root")

    return check


def absolute(example: str) -> Check:
    """Returns a check that a value is an absolute path in one line."""
    return lambda value: form_problem(value, example)


__all__ = (
    "HIDDEN_FROM_UNITS",
    "absolute",
    "hidden_problem",
    "is_within",
    "media_store",
    "place_problem",
    "read_by_nginx",
    "seen_by_units",
    "taken_problem",
    "webroot",
)
