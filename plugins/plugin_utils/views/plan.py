# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan as plain data, for those who carry it out, and as lines, for those who read it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..lifecycle.plan import Observed, Plan, Step, Wave
from ..model.topology import Topology

_PROXY = {
    "hold": "nginx sends nothing to {held}",
    "apply": "nginx gets its new configuration",
}
_SERVERS = {
    "PostgreSQL": "While PostgreSQL restarts, all that needs the database fails or waits for some seconds.",
    "Redis": "While Redis restarts, news between processes wait for some seconds.",
}


def read_surveys(surveys: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Observed]:
    """Reads what module unit_survey returned as ``processes``, for each host."""
    return [
        Observed(
            host=host,
            name=entry["name"],
            unit=entry["unit"],
            active=entry["active"],
            enabled=entry["enabled"],
            unread=entry["unread"],
            known=entry["known"],
            duties=tuple(entry["duties"]),
            changed=tuple(entry["changed"]),
            reloadable=tuple(entry["reloadable"]),
        )
        for host, entries in surveys.items()
        for entry in entries
    ]


@dataclass(frozen=True)
class ServerRestart:
    """A restart of a server below Synapse, which its own role does before the plan is carried out.

    Attributes:
        server: ``PostgreSQL`` or ``Redis``.
        host: where.
        reason: why.
    """

    server: str
    host: str
    reason: str


def plan_view(topology: Topology, plan: Plan, restarts: Sequence[ServerRestart] = ()) -> dict[str, Any]:
    """Returns ``waves`` (``proxy``, ``held``, ``steps`` by host), ``lines`` and ``effects``.

    Args:
        topology: what is wanted.
        plan: what is done to the processes of Synapse.
        restarts: what happens before, to the servers that they need.
    """
    texts = [f"restart {restart.server} on {restart.host}: {restart.reason}" for restart in restarts]
    texts += _texts(topology, plan)
    return {
        "waves": list(_carried_out(plan.waves)),
        "lines": [f"{number}. {text}" for number, text in enumerate(texts, 1)],
        "effects": [*dict.fromkeys(_SERVERS[restart.server] for restart in restarts), *plan.effects],
    }


def _carried_out(waves: Sequence[Wave]) -> Iterator[dict[str, Any]]:
    """Waves as a run carries them out: those of one host that follow each other go there at once, as stages."""
    pending: dict[str, Any] | None = None
    for wave in waves:
        steps: dict[str, list[dict[str, Any]]] = {}
        for step in wave.steps:
            steps.setdefault(step.host, []).append(_step(step))
        goes_along = (
            pending is not None and wave.proxy is None and len(steps) == 1 and steps.keys() == pending["steps"].keys()
        )
        if pending is not None and goes_along:
            (host,) = steps
            stage = pending["steps"][host][-1]["stage"] + 1
            pending["steps"][host] += [{**entry, "stage": stage} for entry in steps[host]]
            continue
        if pending is not None:
            yield pending
        pending = {"proxy": wave.proxy, "held": list(wave.held), "steps": steps}
    if pending is not None:
        yield pending


def _step(step: Step) -> dict[str, Any]:
    return {
        "action": step.action,
        "name": step.name,
        "unit": step.unit,
        "reason": step.reason,
        "drain": step.drain,
        "stage": 0,
    }


def _texts(topology: Topology, plan: Plan) -> Iterator[str]:
    """One line for what happens to several processes at the same time for the same reason."""
    for wave in plan.waves:
        yield from _proxy_lines(wave)
        yield from _step_lines(topology, wave.steps)


def _proxy_lines(wave: Wave) -> Iterator[str]:
    if wave.proxy is not None:
        text = _PROXY[wave.proxy].format(held=", ".join(wave.held))
        yield f"{text}, and sends nothing to {', '.join(wave.held)}" if wave.proxy == "apply" and wave.held else text


def _step_lines(topology: Topology, steps: Sequence[Step]) -> Iterator[str]:
    for action in ("drain", "retire", "stop", "reload", "enable", "restart", "start"):
        reasons = dict.fromkeys(step.reason for step in steps if step.action == action)
        for reason in reasons:
            names = [step.name for step in steps if (step.action, step.reason) == (action, reason)]
            hosts = list(dict.fromkeys(step.host for step in steps if (step.action, step.reason) == (action, reason)))
            yield f"{action} {_who(topology, names)} on {', '.join(hosts)}: {reason}"


def _who(topology: Topology, names: Iterable[str]) -> str:
    listed = list(names)
    return "all" if len(listed) > 1 and set(listed) == {p.name for p in topology.processes} else ", ".join(listed)
