# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts that an operator writes and that are printed into files of other programs: what they may hold."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from .values import Problem

NGINX_MAXIMUM = 4000
"""The longest parameter of nginx in bytes; its reader has 4096 for a parameter with what is around it."""

ENVIRONMENT_MAXIMUM = 100_000
"""The longest value of an environment variable in bytes; Linux starts no program with 128 KiB in one of them."""

LOG_LEVELS = ("CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG")
"""The levels of Python's logging, by their names."""

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_SIZE = re.compile(r"([1-9][0-9]{0,14})([KMG]?)")
_UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3}
_UPLOAD_MAXIMUM = 1024**4
_MEMORY = re.compile(r"([1-9][0-9]*(?:\.[0-9]+)?)([KMGT%])")
_SHARE = re.compile(r"[1-9][0-9]{0,5}%")
_LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def control_character(value: str) -> bool:
    """Returns whether a text has a line break, or another character that ends or garbles a line of a file."""
    return _CONTROL.search(value) is not None


def printable(value: Any) -> Problem | None:
    """Checks for a text of one line."""
    if isinstance(value, str) and value and not control_character(value):
        return None
    return "it is a text of one line without control characters", "Write it in one line."


def environment(value: Any) -> Problem | None:
    """Checks for environment variables, which may hold secrets: the reasons show no value."""
    fix = 'Write NAME: "value" lines below it.'
    if not isinstance(value, dict):
        return "it is a mapping of environment variables to strings of one line", fix
    for name, entry in value.items():
        if not _ENV_NAME.fullmatch(name):
            return "a name in it is not one of environment variables", "Use letters, digits and '_' in the names."
        if not isinstance(entry, str):
            return f"the value of {name} is not a string, and YAML would choose its form", fix
        if control_character(entry):
            return f"the value of {name} has a line break or another control character", "Write it in one line."
        if len(entry.encode()) > ENVIRONMENT_MAXIMUM:
            return f"the value of {name} has more than {ENVIRONMENT_MAXIMUM} bytes", "Write a shorter value."
    return None


def upload_size(value: Any) -> Problem | None:
    """Checks for a size that Synapse and nginx both read."""
    found = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return "it is a size in bytes, or with K, M or G", "Write 50M."
    if int(found[1]) * _UNITS[found[2]] > _UPLOAD_MAXIMUM:
        return "nginx and the database count bytes up to 1024G", "Write a smaller size, such as 50M."
    return None


def memory_limit(value: Any) -> Problem | None:
    """Checks for a value of ``MemoryMax=``."""
    if value == "infinity":
        return None
    found = _MEMORY.fullmatch(value) if isinstance(value, str) else None
    # systemd ignores a limit that it cannot read, and the process has none.
    if found is None or (found[2] == "%" and float(found[1]) > 100) or len(found[1]) > 9:
        return "it is a size as in MemoryMax=, or a share of the memory up to 100%", "Write 2G."
    return None


def cpu_share(value: Any) -> Problem | None:
    """Checks for a value of ``CPUQuota=``."""
    if isinstance(value, str) and _SHARE.fullmatch(value):
        return None
    return "it is a share of one CPU as in CPUQuota=", "Write 150%."


def loggers(value: Any) -> Problem | None:
    """Checks for names of loggers with their levels."""
    fix = f"Write {{synapse.storage.SQL: INFO}}; levels are {', '.join(LOG_LEVELS)}."
    if not isinstance(value, dict):
        return "it is a mapping of loggers to levels", fix
    for name, level in value.items():
        if printable(name) is not None:
            return f"{name!r} in it is no name of a logger", fix
        if level not in LOG_LEVELS:
            return f"the level of {name} is not one of logging's", fix
    return None


def unprintable(value: Any, path: str = "") -> Iterator[str]:
    """Returns where texts are that no file in UTF-8 can hold, as paths of keys; the texts themselves may be secrets."""
    if isinstance(value, str) and _LONE_SURROGATE.search(value):
        yield path
    elif isinstance(value, dict):
        for key, entry in value.items():
            yield from unprintable(key, path)
            yield from unprintable(entry, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from unprintable(entry, f"{path}[{index}]")


def well_known(value: Any) -> Problem | None:
    """Checks what is added to the answer of /.well-known/matrix/client."""
    fix = "Write name: value lines below it, as clients shall read them."
    if not isinstance(value, dict):
        return "it is a mapping, which becomes a JSON object", fix
    try:
        text = json.dumps(value, allow_nan=False)
    except ValueError:
        return "it has a number that JSON cannot express", "Write numbers without .inf and .nan."
    if len(text) > NGINX_MAXIMUM // 2:
        return f"it has more than {NGINX_MAXIMUM // 2} bytes, and nginx reads no longer answers", "Make it shorter."
    return None


__all__ = (
    "LOG_LEVELS",
    "NGINX_MAXIMUM",
    "control_character",
    "cpu_share",
    "environment",
    "loggers",
    "memory_limit",
    "printable",
    "unprintable",
    "upload_size",
    "well_known",
)
