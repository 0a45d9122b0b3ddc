# SPDX-License-Identifier: GPL-3.0-or-later
"""What nginx of a host serves for others, and what of it excludes this collection's sites.

The module host_survey reads nginx's effective configuration; what is in the files of this collection is left out here.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from ..model import layout

_OURS = frozenset(
    {
        layout.NGINX_MAIN_CONF,
        layout.NGINX_HTTP_CONF,
        layout.NGINX_SITE,
        layout.NGINX_WELL_KNOWN,
        layout.NGINX_SITE_LINK["path"],
        layout.NGINX_OLD_SITE_LINK,
    }
)
_LOOPBACK = ("127.", "[::1]", "localhost")


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A directive that nginx takes only once.

    Attributes:
        block: where it stands.
        name: its name.
        value: what this collection needs; where it is a number, more will do.
    """

    block: str
    name: str
    value: str


@dataclass(frozen=True, kw_only=True)
class Tenants:
    """What other files than ours have in nginx's effective configuration.

    Attributes:
        servers: their server blocks.
        settings: their directives of the main block and of http.
        refusal: why nginx refuses their files; empty if it does not.
        default_site: the site of Debian's package serves something.
        read: there is an nginx, and its configuration was read.
    """

    servers: tuple[Mapping[str, Any], ...] = ()
    settings: tuple[Mapping[str, Any], ...] = ()
    refusal: str = ""
    default_site: bool = False
    read: bool = False

    def includes(self, block: str, path: str) -> bool:
        """Returns whether an ``include`` of a block reads a path."""
        return any(
            is_included(path, word)
            for found in self.settings
            if found["block"] == block and found["words"][0] == "include"
            for word in found["words"][1:]
        )

    def listening(self, port: int) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
        """Returns the server blocks that take connections from outside on a port, each with its listener."""
        for server in self.servers:
            for listen in server["listens"]:
                if listen["port"] == port and not str(listen["address"]).startswith(_LOOPBACK):
                    yield server, listen

    def serving(self, name: str, ports: Collection[int]) -> Mapping[str, Any] | None:
        """Returns the first server block for exactly this name, None if there is none."""
        for port in ports:
            for server, _ in self.listening(port):
                if server["kind"] == "http" and (name in server["names"] or f".{name}" in server["names"]):
                    return server
        return None

    def uses(self, address: str, port: int) -> bool:
        """Returns whether one of them listens there, so that the server for unknown names is theirs."""
        return any(listen["address"] == address for _, listen in self.listening(port))

    def value(self, setting: Setting) -> tuple[str, str] | None:
        """Returns the value of a setting and its file, None if they do not set it."""
        for found in self.settings:
            if found["block"] == setting.block and found["words"][0] == setting.name:
                return " ".join(found["words"][1:]), found["file"]
        return None


def is_included(path: str, pattern: str) -> bool:
    """Returns whether an ``include`` of this pattern reads a path."""
    return fnmatchcase(path, pattern if pattern.startswith("/") else f"{layout.NGINX_ETC}/{pattern}")


def tenants_of(found: Mapping[str, Any]) -> Tenants:
    """Returns what a host's nginx serves for others.

    Args:
        found: what the module host_survey has found on the host; nothing of nginx if there is none.
    """
    nginx = found.get("nginx") or {}
    default_site = bool(nginx.get("default_site"))
    ours = _OURS if default_site else _OURS | {layout.NGINX_DEFAULT_SITE}
    return Tenants(
        servers=tuple(server for server in nginx.get("servers", ()) if server["file"] not in ours),
        settings=tuple(setting for setting in nginx.get("settings", ()) if setting["file"] not in ours),
        refusal=_of_others(str(nginx.get("refusal") or ""), ours),
        default_site=default_site,
        read=bool(nginx.get("settings")),
    )


def _of_others(refusal: str, ours: Collection[str]) -> str:
    """Returns what nginx -t has refused, if it names a file of others: a run repairs ours."""
    place = re.search(r" in (/\S+):[0-9]+", refusal)
    return refusal if place is not None and place[1] not in ours else ""


def http_settings() -> tuple[Setting, ...]:
    """Returns the settings of the http block that the maps need."""
    sizes = {
        "map_hash_max_size": 8192,
        "map_hash_bucket_size": 256,
        "variables_hash_max_size": 4096,
        "variables_hash_bucket_size": 128,
    }
    return tuple(Setting(block="http", name=name, value=str(size)) for name, size in sizes.items())


def main_settings(worker_connections: int) -> tuple[Setting, ...]:
    """Returns the settings of the main block."""
    return (
        # Each connection may need one more file, of a buffer.
        Setting(block="main", name="worker_rlimit_nofile", value=str(worker_connections * 2)),
        # Halves what the patterns cost that choose a process.
        Setting(block="main", name="pcre_jit", value="on"),
    )


def left_to_us(tenants: Tenants, settings: Collection[Setting]) -> list[Setting]:
    """Returns the settings that other files do not have already."""
    return [setting for setting in settings if tenants.value(setting) is None]


__all__ = (
    "Setting",
    "Tenants",
    "http_settings",
    "is_included",
    "left_to_us",
    "main_settings",
    "tenants_of",
)
