# SPDX-License-Identifier: GPL-3.0-or-later
"""What openssl says of certificates and keys on a host. Private to the collection."""

from __future__ import annotations

import hashlib
import os
import re
from typing import Any, Callable, Dict, Optional, Sequence, Tuple

from ._regular_files import read_regular

Run = Callable[[Sequence[str]], Tuple[int, str, str]]

_LARGEST = 1024 * 1024
_PUBLIC = re.compile(r"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", re.DOTALL)
_NAME = re.compile(r"(?:DNS|IP Address):([^,\s]+)")


def certificates(openssl: str, paths: Sequence[str], run: Run) -> Dict[str, Dict[str, Any]]:
    """Returns what is known of those files that are certificates or keys, by path.

    Args:
        openssl: the program; empty if there is none.
        paths: files of any kind, links to them too.
        run: runs a command, and returns its code, its output and its errors.
    """
    found = {}
    for path in paths if openssl else ():
        known = _described(openssl, path, run)
        if known is not None:
            found[path] = known
    return found


def _described(openssl: str, path: str, run: Run) -> Optional[Dict[str, Any]]:
    text = _text(path)
    if b"-----BEGIN CERTIFICATE-----" in text:
        shown = ["-noout", "-pubkey", "-ext", "subjectAltName", "-checkend", "0"]
        code, output, _errors = run([openssl, "x509", "-in", path, *shown])
    elif b"PRIVATE KEY-----" in text:
        code, output, _errors = run([openssl, "pkey", "-in", path, "-pubout", "-passin", "pass:"])
    else:
        return None
    public = _PUBLIC.search(output)
    if public is None:
        return None
    # -checkend says it with its code.
    return {
        "expired": code != 0,
        "names": _NAME.findall(output[: public.start()] + output[public.end() :]),
        "public_key": hashlib.sha256(public.group().encode()).hexdigest(),
    }


def _text(path: str) -> bytes:
    try:
        # certbot's files are links.
        return read_regular(os.path.realpath(path), _LARGEST)
    except OSError:
        return b""


__all__ = ("certificates",)
