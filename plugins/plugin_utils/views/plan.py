# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan as plain data, for the role that carries it out, and as lines, for the operator."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..lifecycle.observed import Observed, ServiceNeed
from ..lifecycle.steps import Plan, Step, Wave
from ..model import layout
from ..model.releases import release_in
from ..model.topology import Topology

_PROXY = {
    "hold": "nginx sends nothing to {held}",
    "apply": "nginx gets its new configuration",
}
_LONG = 100
"""A reason with more characters is written once."""

# The order of the lines of a wave: processes are drained, then stopped, then started.
_ACTIONS = ("drain", "retire", "stop", "reload", "enable", "restart", "start")


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
            release=release_in(entry["links"].get(layout.CURRENT, "")),
        )
        for host, entries in surveys.items()
        for entry in entries
    ]


def read_needs(needs: Iterable[Mapping[str, Any]]) -> list[ServiceNeed]:
    """Reads the needs of services, mappings with the attributes of ``ServiceNeed``."""
    return [ServiceNeed(**{str(key): str(value) for key, value in need.items()}) for need in needs]


def plan_view(topology: Topology, plan: Plan) -> dict[str, Any]:
    """Returns ``waves`` (``proxy``, ``held``, ``steps`` by host), ``lines``, ``effects``, and ``why``, the reasons.

    Args:
        topology: the wanted fleet.
        plan: the steps for the processes of Synapse and for the services that they need.
    """
    return {
        "waves": list(_carried_out(plan.waves)),
        "lines": [f"{number}. {text}" for number, text in enumerate(_texts(topology, plan), 1)],
        "effects": list(plan.effects),
        "why": list(plan.order),
    }


def _carried_out(waves: Sequence[Wave]) -> Iterator[dict[str, Any]]:
    """Returns the waves as a run carries them out: consecutive waves of one host are combined, as stages."""
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
        "service": bool(step.title),
        "stage": 0,
    }


def _texts(topology: Topology, plan: Plan) -> Iterator[str]:
    """Returns the lines; processes with the same action and reason in a wave share one.

    A long reason is written once; later lines refer to it.
    """
    first: dict[str, int] = {}
    number = 0
    for wave in plan.waves:
        for text, reason in (*((line, "") for line in _proxy_lines(wave)), *_step_lines(topology, wave.steps)):
            number += 1
            if first.setdefault(reason, number) < number and len(reason) > _LONG:
                yield f"{text}: as in {first[reason]}"
            else:
                yield f"{text}: {reason}" if reason else text


def _proxy_lines(wave: Wave) -> Iterator[str]:
    if wave.proxy is not None:
        text = _PROXY[wave.proxy].format(held=", ".join(wave.held))
        yield f"{text}, and sends nothing to {', '.join(wave.held)}" if wave.proxy == "apply" and wave.held else text


def _step_lines(topology: Topology, steps: Sequence[Step]) -> Iterator[tuple[str, str]]:
    """Returns the lines of a wave, each with its reason."""
    for action in _ACTIONS:
        groups: dict[tuple[str, str], list[Step]] = {}
        for step in steps:
            if step.action == action:
                groups.setdefault((step.title, step.reason), []).append(step)
        for (title, reason), group in groups.items():
            hosts = dict.fromkeys(step.host for step in group)
            yield f"{action} {title or _names(topology, group)} on {', '.join(hosts)}", reason


def _names(topology: Topology, steps: Sequence[Step]) -> str:
    names = [step.name for step in steps]
    return "all" if len(names) > 1 and set(names) == {p.name for p in topology.processes} else ", ".join(names)
