# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what nginx -T prints: which server blocks and settings are in force, and in which file each of them is.

Private to the collection. It runs on hosts, with only the standard library.
"""

from __future__ import annotations

import fnmatch
import hashlib
import re
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from .replay.configuration import Directive, directives
from .replay.errors import ReplayError

_FILE = re.compile(r"^# configuration file (.+):$", re.MULTILINE)
_NAMES = re.compile(r"^[ \t]*server_name\s+([^;]+);", re.MULTILINE)
_TABLES = frozenset({"map", "types", "geo", "split_clients"})
_DEFAULT_LISTEN = ("80",)

ETC = Path("/etc/nginx")

Server = Dict[str, Any]
Run = Callable[[Sequence[str]], Tuple[int, str, str]]


def survey(nginx: str, run: Run, etc: Path = ETC) -> Optional[Dict[str, Any]]:
    """Returns what nginx of this host serves, None if there is none.

    Args:
        nginx: the program; empty if there is none.
        run: runs a command, and returns its code, its output and its errors.
        etc: the directory of nginx's configuration.
    """
    if not nginx:
        return None
    code, dump, errors = run([nginx, "-T"])
    files = files_of(dump) if code == 0 else files_below(etc)
    emerg = [line for line in errors.splitlines() if "[emerg]" in line]
    return {
        **effective(files),
        "refusal": "" if code == 0 else (emerg or errors.splitlines() or ["it fails"])[0],
        "default_site": default_site(etc, run),
    }


def default_site(etc: Path, run: Run) -> bool:
    """Returns whether the site of Debian's package serves something: it was edited, or has pages."""
    link, pages = etc / "sites-enabled" / "default", Path("/var/www/html")
    if not link.is_symlink() or not link.exists():
        return link.exists()
    digest = hashlib.md5(link.read_bytes()).hexdigest()  # noqa: S324  # what dpkg has
    shipped = run(["dpkg-query", "--show", "--showformat=${Conffiles}", "nginx-common"])[1]
    if f" {etc}/sites-available/default {digest}" not in shipped:
        return True
    return pages.is_dir() and any(page.name != "index.nginx-debian.html" for page in pages.iterdir())


def effective(files: Mapping[str, str]) -> Dict[str, List[Dict[str, Any]]]:
    """Returns what is in force: `servers` and `settings`.

    A server has its `file`, its `kind` (`http` or `stream`), its `names`, its `listens` (`address`, `port`, `default`,
    `options`) and the patterns that it `includes`. A setting stands directly in the main block or in `http`, and is no
    server block: its `file`, its `block` and its `words`.

    Args:
        files: their contents by their paths, nginx.conf first.
    """
    reader = _Reader(files)
    if files:
        reader.read(next(iter(files)), (), None)
    for server in reader.servers:
        if not server["listens"]:
            server["listens"] = [_listen(_DEFAULT_LISTEN)]
    return {"servers": reader.servers, "settings": reader.settings}


def files_of(dump: str) -> Dict[str, str]:
    """Returns the files that nginx -T has printed by their paths, nginx.conf first."""
    parts = _FILE.split(dump)[1:]
    return dict(zip(parts[::2], parts[1::2]))


def files_below(etc: Path) -> Dict[str, str]:
    """Returns the files of a directory by their paths, nginx.conf first; nginx -T prints those that are included."""
    paths = [etc / "nginx.conf", *sorted(path for path in etc.rglob("*") if path.is_file())]
    small = (path for path in paths if path.is_file() and path.stat().st_size < 1 << 20)
    return {str(path): path.read_text(encoding="utf-8", errors="replace") for path in small}


class _Reader:
    """Follows includes from nginx.conf on."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self.servers: List[Server] = []
        self.settings: List[Dict[str, Any]] = []
        self._files = files
        self._open: List[str] = []

    def read(self, path: str, around: Tuple[str, ...], server: Optional[Server]) -> None:
        """Reads a file.

        Args:
            path: where it is.
            around: the blocks in which it is included.
            server: the server block among them.
        """
        if path in self._open:
            return
        self._open.append(path)
        try:
            found = directives(self._files[path])
        except ReplayError:
            # A language of its own, such as Lua's, is in it.
            self.servers += [_unread(path, names) for names in _NAMES.findall(self._files[path])]
            found = ()
        inside: Dict[int, Optional[Server]] = {-1: server}
        for item in found:
            self._take(path, item, around + item.blocks, inside)
        self._open.pop()

    def _take(self, path: str, item: Directive, blocks: Tuple[str, ...], inside: Dict[int, Optional[Server]]) -> None:
        """Takes a directive; `inside` has the server block of each block of the file."""
        server = inside.get(item.inside)
        if _TABLES.intersection(blocks):
            return
        if item.words == ("server",) and blocks in (("http",), ("stream",)):
            server = {"file": path, "kind": blocks[0], "names": [], "listens": [], "includes": []}
            self.servers.append(server)
        inside[item.start] = server
        if blocks[-1:] == ("server",) and server is not None:
            _add(server, item.words)
        elif blocks in ((), ("http",)) and item.words[0] != "server":
            self.settings.append({"file": path, "block": "".join(blocks) or "main", "words": list(item.words)})
        if item.words[0] == "include" and len(item.words) == 2:
            for included in self._matching(item.words[1]):
                self.read(included, blocks, server)

    def _matching(self, pattern: str) -> Iterator[str]:
        whole = _absolute(pattern, next(iter(self._files))).split("/")
        for path in self._files:
            words = path.split("/")
            if len(words) == len(whole) and all(map(fnmatch.fnmatchcase, words, whole)):
                yield path


def _absolute(pattern: str, nginx_conf: str) -> str:
    """Returns the pattern of an include with its folder; a relative one begins at the folder of nginx.conf."""
    return pattern if pattern.startswith("/") else f"{nginx_conf.rpartition('/')[0]}/{pattern}"


def _add(server: Server, words: Tuple[str, ...]) -> None:
    if words[0] == "server_name":
        server["names"] += [name.lower() for name in words[1:]]
    elif words[0] == "listen" and len(words) > 1:
        server["listens"].append(_listen(words[1:]))
    elif words[0] == "include":
        server["includes"] += words[1:]


def _listen(words: Tuple[str, ...]) -> Dict[str, Any]:
    """Returns a listener: address and port are empty for a socket."""
    place, options = words[0], list(words[1:])
    found = re.fullmatch(r"(?:(?P<address>\[[^\]]*\]|[^:\[]*):)?(?P<port>[0-9]+)|(?P<alone>\[[^\]]*\]|[^:]+)", place)
    address, port = ("", 0) if found is None else (found["address"] or found["alone"] or "*", int(found["port"] or 80))
    return {
        "address": "*" if address == "0.0.0.0" else address,  # noqa: S104  # a text
        "port": port,
        "default": bool({"default_server", "default"}.intersection(options)),
        "options": options,
    }


def _unread(path: str, names: str) -> Server:
    """Returns a server block of a file that cannot be read: it may listen anywhere."""
    listens = [_listen((port,)) for port in ("80", "443")]
    return {"file": path, "kind": "http", "names": names.lower().split(), "listens": listens, "includes": []}


__all__ = ("effective", "files_below", "files_of", "survey")
