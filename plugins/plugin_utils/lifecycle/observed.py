# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan starts from: the processes as a survey saw them, and what the services below them need."""

from __future__ import annotations

from dataclasses import dataclass

from ..model.process import Process
from .reasons import reasons_of

Place = tuple[str, str]
"""A host and the name of a process on it."""


@dataclass(frozen=True, kw_only=True)
class Observed:
    """One process as a survey saw it.

    Attributes:
        name: the instance, ``main`` or the name of a worker.
        host: where it was seen.
        unit: its systemd unit.
        active: systemd's ``ActiveState``.
        enabled: whether it starts at boot.
        unread: whether systemd has an older unit file than the one on disk.
        known: whether a note tells what it was started with.
        duties: the duties that it was started with.
        changed: inputs that have changed since, by name.
        reloadable: those of them that SIGHUP makes it read anew.
    """

    name: str
    host: str
    unit: str
    active: str = "inactive"
    enabled: bool = False
    unread: bool = False
    known: bool = False
    duties: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    reloadable: tuple[str, ...] = ()

    @property
    def place(self) -> Place:
        """Where it is and what it is called."""
        return self.host, self.name

    @property
    def running(self) -> bool:
        """Whether it is up."""
        return self.active in ("active", "reloading")

    @property
    def alive(self) -> bool:
        """Whether it has a process, or will have one without our doing."""
        return self.active not in ("inactive", "failed")

    @property
    def reason(self) -> str | None:
        """Why it must be restarted; None if it need not."""
        if not self.known:
            return "it is unknown what it was started with"
        changes = [change for change in self.changed if change not in self.reloadable]
        if changes:
            return reasons_of(changes)
        return "systemd has not read its unit file anew" if self.unread else None


@dataclass(frozen=True, kw_only=True)
class ServiceNeed:
    """Something that a service below Synapse needs from a run, as its role has found it.

    Attributes:
        service: the name of the service, such as ``postgres``.
        title: its name in texts, such as ``PostgreSQL``.
        host: the inventory name of its host.
        unit: its systemd unit.
        action: what to do with the unit: ``restart``, ``reload`` or ``start``.
        reason: why.
        effect: what users notice, one sentence; empty for nothing.
    """

    service: str
    title: str
    host: str
    unit: str
    action: str = "restart"
    reason: str
    effect: str = ""


def place_of(process: Process) -> Place:
    """Returns the place of a process."""
    return process.host, process.name
