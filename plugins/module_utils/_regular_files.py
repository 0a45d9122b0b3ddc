# SPDX-License-Identifier: GPL-3.0-or-later
"""Root reads and changes files in directories that others can write to. Private to the collection.

A user who can write to a directory can put a FIFO there, on which a reader waits for ever, a link to a device or to a
file of root, or a file without an end. So a path is opened without following a link in its last part, and nothing but
what was opened is read or changed.
"""

from __future__ import annotations

import os
import stat

LARGEST = 16 * 1024 * 1024


class NotRegularError(OSError):
    """A path leads to something else than a regular file of a bounded size."""


def read_regular(path: str | os.PathLike[str], largest: int = LARGEST) -> bytes:
    """Return the content of a regular file.

    Args:
        path: the file.
        largest: the largest number of bytes to read.

    Raises:
        NotRegularError: it is a link, a FIFO, a device or a directory, or larger than that.
        OSError: it cannot be read.
    """
    with os.fdopen(_open(os.fspath(path), stat.S_IFREG), "rb") as stream:
        content = stream.read(largest + 1)
    if len(content) > largest:
        raise NotRegularError(None, f"more than {largest} bytes", os.fspath(path))
    return content


def set_attributes(path: str, kind: int, mode: int, uid: int, gid: int) -> None:
    """Set owner, group and mode of a file or directory, and never those of what a link leads to.

    Args:
        path: the file or directory.
        kind: what it has to be: ``stat.S_IFREG`` or ``stat.S_IFDIR``.
        mode: the permissions.
        uid: the owner.
        gid: the group.

    Raises:
        NotRegularError: it is something else by now.
        OSError: it cannot be done.
    """
    descriptor = _open(path, kind)
    try:
        # chown first: it clears the set-id bits
        os.fchown(descriptor, uid, gid)
        os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)


def _open(path: str, kind: int) -> int:
    # A FIFO without a writer is opened at once, too.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    if stat.S_IFMT(os.fstat(descriptor).st_mode) == kind:
        return descriptor
    os.close(descriptor)
    raise NotRegularError(None, f"not a {'directory' if kind == stat.S_IFDIR else 'regular file'}", path)


__all__ = ("LARGEST", "NotRegularError", "read_regular", "set_attributes")
