# SPDX-License-Identifier: GPL-3.0-or-later
"""Layers: the disks of hosts that were stopped, kept under a name, from which other hosts boot.

A layer is what a host has written on top of its image. It never changes: hosts that boot from it write to disks of
their own. It has no identity: name, address, keys and machine ID belong to each host. What was deployed may contain
more of them, in listeners and certificates; a run of site.yml on the new host changes these.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from tools.hosts.process import locked, mounted_from, remove_tree
from tools.hosts.settings import LAYERS, HostsError

# Written again by every host that boots (`host`), or by systemd (machine-id); the journal is that of another machine.
IDENTITY = (
    "etc/hostname",
    "etc/hosts",
    "etc/machine-id",
    "etc/resolv.conf",
    "etc/ssh/ssh_host_ed25519_key",
    "etc/ssh/ssh_host_ed25519_key.pub",
    "root/.ssh/authorized_keys",
    "var/lib/dbus/machine-id",
    "var/lib/systemd/random-seed",
    "var/log/journal",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layer:
    """A kept disk.

    Attributes:
        name: under which it is kept.
        suite: the Debian of its host.
        image: the image below it.
    """

    name: str
    suite: str
    image: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z]([a-z0-9_-]{0,98}[a-z0-9])?", self.name):
            raise HostsError(
                f"Layer name {self.name!r} is unusable: letters, digits, dashes and underscores, at most 100."
            )

    @property
    def disk(self) -> Path:
        """The directory that hosts have below their own."""
        return LAYERS / self.name / "disk"


def known(name: str) -> Layer | None:
    """Return the layer of that name."""
    try:
        return Layer(**json.loads((LAYERS / name / "layer.json").read_text()))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, TypeError) as exc:
        raise HostsError(f"The record of layer {name} in {LAYERS / name} cannot be read: {exc}") from exc


def all_layers() -> list[Layer]:
    """Return all layers of this checkout."""
    if not LAYERS.is_dir():
        return []
    found = (known(entry.name) for entry in sorted(LAYERS.iterdir()) if entry.is_dir())
    return [layer for layer in found if layer is not None]


def lower_directories(image: Path, suite: str, name: str | None) -> str:
    """Return what a new host has below its own disk, the uppermost first, as overlayfs wants it.

    Args:
        image: the current image of the suite.
        suite: the Debian of the host.
        name: the layer to boot from; None for the image alone.
    """
    if name is None:
        return str(image)
    layer = known(name)
    if layer is None:
        have = ", ".join(each.name for each in all_layers()) or "none"
        raise HostsError(f"There is no layer {name}; this checkout has: {have}.")
    if layer.suite != suite:
        raise HostsError(f"Layer {name} is of Debian {layer.suite}, not {suite}: boot it with --suite {layer.suite}.")
    if layer.image != str(image):
        raise HostsError(f"Layer {name} belongs to another image, {layer.image}: `forget` it and save it again.")
    return f"{layer.disk}:{image}"


def keep(layer: Layer, upper: Path) -> None:
    """Turn the disk of a host that was stopped into a layer; it is moved, not copied.

    Args:
        layer: the new layer.
        upper: the upper directory of the host's overlay, which nothing has mounted.
    """
    for name in IDENTITY:
        remove_tree(upper / name)
    with _new(layer) as disk:
        upper.rename(disk)


def keep_part(of: Layer, name: str, paths: Sequence[str]) -> None:
    """Make a layer of some directories of another one. Their files are links, because layers never change.

    Args:
        of: the other layer.
        name: the name of the new layer.
        paths: the directories, relative to the root of the disk.
    """
    with _new(dataclasses.replace(of, name=name)) as disk:
        disk.mkdir()
        subprocess.run(["cp", "--archive", "--link", "--parents", *paths, str(disk)], cwd=of.disk, check=True)


@contextlib.contextmanager
def _new(layer: Layer) -> Iterator[Path]:
    """Yield where the disk of a new layer goes; only a complete layer ever gets its final name."""
    partial = LAYERS / f"partial-{layer.name}"
    with locked("layers"):
        refuse_second(layer.name)
        if partial.exists():
            remove_tree(partial)
        partial.mkdir(parents=True)
        yield partial / "disk"
        (partial / "layer.json").write_text(json.dumps(dataclasses.asdict(layer)) + "\n")
        partial.rename(LAYERS / layer.name)


def refuse_second(name: str) -> None:
    """Refuse a name that is taken."""
    if known(name) is not None:
        raise HostsError(f"There is a layer {name} already, and layers never change: `forget` it first.")


def in_use(layer: Layer) -> bool:
    """Return whether a host runs from a layer."""
    return mounted_from(layer.disk)


def forget(name: str) -> bool:
    """Delete a layer; returns whether there was one. A layer that a host runs from is refused."""
    with locked("layers"):
        layer = known(name)
        if layer is None:
            return False
        if in_use(layer):
            raise HostsError(f"Layer {name} is below the disk of a host that is up; end that host first.")
        remove_tree(LAYERS / name)
        return True


def forget_outdated(prefix: str, current: str) -> list[str]:
    """Delete the layers whose names begin with one text and not with the other, apart from those in use."""
    gone = []
    with locked("layers"):
        for layer in all_layers():
            if layer.name.startswith(prefix) and not layer.name.startswith(current) and not in_use(layer):
                remove_tree(LAYERS / layer.name)
                gone.append(layer.name)
    return gone
