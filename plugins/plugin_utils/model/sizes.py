# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes of memory, as systemd and PostgreSQL write them, in MiB."""

from __future__ import annotations

import re

from .errors import TopologyError

POSTGRES_LEAST_MIB = 512
"""The least memory that PostgreSQL's settings are computed for."""


def systemd_size_in_mib(written: str | None, memory_mib: int) -> int | None:
    """Returns a value of ``MemoryMax=`` in MiB, rounded down; None for no limit.

    Args:
        written: the value, None if it is not set.
        memory_mib: the memory of the host, of which a percentage is one.
    """
    if written is None or written == "infinity":
        return None
    if written.endswith("%"):
        return int(memory_mib * float(written[:-1]) / 100)
    return int(float(written[:-1]) * {"K": 1 / 1024, "M": 1, "G": 1024, "T": 1024**2}[written[-1]])


def postgres_size_in_mib(written: str | int) -> int:
    """Returns a size of PostgreSQL's memory settings in MiB, rounded down; without a unit, it counts blocks of 8 KiB.

    Raises:
        TopologyError: it is no such size.
    """
    found = re.fullmatch(r"([0-9]+) *(B|kB|MB|GB|TB)?", str(written).strip())
    if found is None:
        raise TopologyError(
            "postgres_settings.shared_buffers", written, "it is a size in PostgreSQL's units", "Write 2GB or 512MB."
        )
    unit = {"B": 1, "kB": 1024, None: 8192, "MB": 1024**2, "GB": 1024**3, "TB": 1024**4}[found[2]]
    return int(found[1]) * unit // 1024**2
