# SPDX-License-Identifier: GPL-3.0-or-later
"""Between the filters and the model: the one module here that knows of Ansible."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from ansible.errors import AnsibleFilterError

from .model.errors import TopologyError
from .model.topology import Topology, parse_topology

P = ParamSpec("P")
R = TypeVar("R")


def with_clear_errors(function: Callable[P, R]) -> Callable[P, R]:
    """Turns the model's errors into errors of Ansible, with the same words."""

    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except TopologyError as error:
            raise AnsibleFilterError(str(error)) from error

    return wrapper


def read_topology(value: object) -> Topology:
    """Returns the topology of the fact ``topology_json``."""
    if not isinstance(value, str):
        raise AnsibleFilterError(
            f"topology_json is {type(value).__name__}: this filter takes the fact that the role topology sets. "
            "Import the role baremetal.synapse.topology first."
        )
    return parse_topology(str(value))


def decoded(result: Mapping[str, Any]) -> str:
    """Returns the text of a file that the module slurp has read; empty if it has read none."""
    return base64.b64decode(str(result.get("content", ""))).decode()
