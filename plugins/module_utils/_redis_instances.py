# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The servers for Redis on a Debian host, and whether somebody else uses them. Private to the collection."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Callable, Iterator

from ansible_collections.baremetal.synapse.plugins.module_utils._regular_files import read_regular

PACKAGES = ("redis-server", "valkey-server")
DEFAULT = "default"
"""The name of the server that the package itself starts."""

_MARK = "Ansible managed"
_DROP_IN = "{unit}.service.d/matrix-synapse.conf"
_SETTING = re.compile(r'^\s*(bind|port|requirepass|unixsocket)\s+"?([^"\s]*)', re.MULTILINE)
_KEYS = re.compile(r"^db[0-9]+:keys=([0-9]+)", re.MULTILINE)

Run = Callable[..., "tuple[int, str, str]"]
"""Runs a command, as the method run_command of a module does."""


def instances(run: Run, root: Path = Path("/")) -> list[dict[str, Any]]:
    """Returns the servers that Debian's packages for Redis run, or would.

    Args:
        run: runs a command.
        root: where the file system of the host is.
    """
    return [found for package in PACKAGES for found in _of_package(package, run, root)]


def _of_package(package: str, run: Run, root: Path) -> Iterator[dict[str, Any]]:
    word = package[: -len("-server")]
    config_dir = root / "etc" / word
    if not (root / "usr/bin" / package).exists():
        return
    drop_in = root / "etc/systemd/system" / _DROP_IN.format(unit=package)
    default = {"package": package, "name": DEFAULT, "ours": drop_in.exists(), "running": False, "content": None}
    if not default["ours"]:
        default["running"] = run(["systemctl", "is-active", "--quiet", f"{package}.service"])[0] == 0
        default["content"] = _content(word, config_dir / f"{word}.conf", run) if default["running"] else None
    yield default
    for path in sorted(config_dir.glob(f"{word}-*.conf")):
        name = path.name[len(word) + 1 : -len(".conf")]
        # A run that was cut off may have written only the first of the two files.
        drop_in = root / "etc/systemd/system" / _DROP_IN.format(unit=f"{package}@{name}")
        ours = drop_in.exists() or _MARK in _text(path)[:200]
        yield {"package": package, "name": name, "ours": ours, "running": None, "content": None}


def _content(word: str, config: Path, run: Run) -> dict[str, Any] | None:
    """Returns what a running server says of itself; None if it does not answer."""
    settings = dict(_SETTING.findall(_text(config)))
    client = [f"{word}-cli", *_address(settings)]
    environment = {"REDISCLI_AUTH": settings["requirepass"]} if settings.get("requirepass") else {}
    code, told, _ = run([*client, "INFO"], environ_update=environment)
    if code != 0 or "redis_version" not in told:
        return None
    _, answer, _ = run([*client, "CONFIG", "GET", "appendonly"], environ_update=environment)
    return {
        "keys": sum(map(int, _KEYS.findall(told.replace("\r", "")))),
        "appendonly": answer.split()[-1:] == ["yes"],
        "port": int(settings.get("port") or 6379),
    }


def _address(settings: dict[str, str]) -> list[str]:
    if settings.get("port") == "0" and settings.get("unixsocket"):
        return ["-s", settings["unixsocket"]]
    bound = settings.get("bind", "").lstrip("-")
    host = bound if bound not in ("", "*", "0.0.0.0", "::*", "::") else "127.0.0.1"  # noqa: S104
    return ["-h", host, "-p", settings.get("port") or "6379"]


def _text(path: Path) -> str:
    try:
        # The directory belongs to the user redis.
        return read_regular(path).decode(errors="replace")
    except OSError:
        return ""
