# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan consists of: steps, in waves, with what users notice and the reasons for the order."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing to do to one process, or to one service below Synapse.

    Attributes:
        action: ``start``, ``stop``, ``restart``, ``reload``, ``enable``, ``drain`` (wait until its requests have
            ended), or ``retire`` (stop it for good).
        host: where.
        name: the process, or the service.
        unit: its systemd unit.
        reason: why.
        drain: nginx sends it nothing any more, so its requests are waited for first.
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
    """What happens at the same time; the next wave waits for it.

    Attributes:
        proxy: what nginx does first: ``hold`` (send nothing to ``held``, all else as it is), ``apply`` (the new
            configuration, with nothing for ``held``), or None.
        held: processes that get no requests, but those that no other process could serve.
        steps: then these.
    """

    proxy: str | None = None
    held: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run does.

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
