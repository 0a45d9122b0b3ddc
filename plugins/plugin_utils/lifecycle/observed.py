# SPDX-License-Identifier: GPL-3.0-or-later
"""The input of a plan: the processes that a survey found, and the needs of the services below Synapse."""

from __future__ import annotations

from dataclasses import dataclass

from ..model.process import Process
from ..model.releases import Release
from .reasons import reasons_of

Place = tuple[str, str]
"""A host and the name of a process on it."""


@dataclass(frozen=True, kw_only=True)
class Observed:
    """One process that a survey found.

    Attributes:
        name: the instance, ``main`` or the name of a worker.
        host: the inventory name of its host.
        unit: its systemd unit.
        active: systemd's ``ActiveState``.
        enabled: whether it starts at boot.
        unread: whether systemd has an older unit file than the one on disk.
        known: whether its start state is known.
        duties: the duties that it was started with.
        changed: inputs that have changed since, by name.
        reloadable: those of them that it reloads on SIGHUP.
        release: the release that it was started with; None if that is unknown.
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
    release: Release | None = None

    @property
    def place(self) -> Place:
        """Its host and its name."""
        return self.host, self.name

    @property
    def running(self) -> bool:
        """Whether it is up."""
        return self.active in ("active", "reloading")

    @property
    def alive(self) -> bool:
        """Whether it has a process, or systemd will start one."""
        return self.active not in ("inactive", "failed")

    @property
    def reason(self) -> str | None:
        """Why it must be restarted; None if it need not."""
        if not self.known:
            return "its start state is unknown"
        changes = [change for change in self.changed if change not in self.reloadable]
        if changes:
            return reasons_of(changes)
        return "systemd has not reloaded its unit file" if self.unread else None


@dataclass(frozen=True, kw_only=True)
class ServiceNeed:
    """A step that a service below Synapse needs, as its role found it.

    Attributes:
        service: the name of the service, such as ``postgres``.
        title: its name in texts, such as ``PostgreSQL``.
        host: the inventory name of its host.
        unit: its systemd unit.
        action: what to do with the unit: ``restart``, ``reload`` or ``start``.
        reason: why.
        effect: what users notice, one sentence; empty for nothing.
        moves: the settings that say where it is reached, as far as they change; empty if its clients go on to reach it.
    """

    service: str
    title: str
    host: str
    unit: str
    action: str = "restart"
    reason: str
    effect: str = ""
    moves: str = ""


def place_of(process: Process) -> Place:
    """Returns the place of a process."""
    return process.host, process.name
