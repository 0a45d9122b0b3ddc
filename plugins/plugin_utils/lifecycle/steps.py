# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of a plan: steps, in waves, with the effects on users and the reasons of the order."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing to do to one process, or to one service below Synapse.

    Attributes:
        action: ``start``, ``stop``, ``restart``, ``reload``, ``enable``, ``drain`` (wait until its requests have
            ended), or ``retire`` (stop and disable it).
        host: where.
        name: the process, or the service.
        unit: its systemd unit.
        reason: why.
        drain: nginx sends it no new requests, and the step first waits until its open requests have ended.
        title: the name of the service in texts; empty for a process of Synapse.
    """

    action: str
    host: str
    name: str
    unit: str
    reason: str
    drain: bool = False
    title: str = ""


@dataclass(frozen=True, kw_only=True)
class Wave:
    """Steps at the same time; the next wave waits for them.

    Attributes:
        proxy: what nginx does first: ``hold`` (hold back the processes ``held``), ``apply`` (load the new
            configuration, and hold back ``held``), or None.
        held: processes that nginx holds back; they only get requests that no other process can serve.
        steps: then these.
    """

    proxy: str | None = None
    held: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The plan of a run.

    Attributes:
        waves: in their order; empty if nothing is to be done.
        effects: what users notice, a sentence each.
        order: why the waves have this order, one line for each reason.
    """

    waves: tuple[Wave, ...] = ()
    effects: tuple[str, ...] = ()
    order: tuple[str, ...] = ()

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps, in order."""
        return tuple(step for wave in self.waves for step in wave.steps)
