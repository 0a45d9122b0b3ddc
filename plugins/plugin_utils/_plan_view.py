# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan as plain data, for those who carry it out, and as lines, for those who read it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ._plan import Observed, Plan, Step, Wave
from ._topology import Topology

_PROXY = {
    "hold": "nginx sends nothing to {held}",
    "apply": "nginx gets its new configuration",
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


def plan_view(topology: Topology, plan: Plan) -> dict[str, Any]:
    """Returns ``waves`` (``proxy``, ``held``, ``steps`` by host), ``lines`` and ``effects``."""
    return {
        "waves": [_wave(wave) for wave in plan.waves],
        "lines": list(_lines(topology, plan)),
        "effects": list(plan.effects),
    }


def _wave(wave: Wave) -> dict[str, Any]:
    steps: dict[str, list[dict[str, Any]]] = {}
    for step in wave.steps:
        entry = {
            "action": step.action,
            "name": step.name,
            "unit": step.unit,
            "reason": step.reason,
            "drain": step.drain,
        }
        steps.setdefault(step.host, []).append(entry)
    return {"proxy": wave.proxy, "held": list(wave.held), "steps": steps}


def _lines(topology: Topology, plan: Plan) -> Iterator[str]:
    """One line for what happens to several processes at the same time for the same reason."""
    number = 0
    for wave in plan.waves:
        for text in (*_proxy_lines(wave), *_step_lines(topology, wave.steps)):
            number += 1
            yield f"{number}. {text}"


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
