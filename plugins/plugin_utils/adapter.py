# SPDX-License-Identifier: GPL-3.0-or-later
"""Between the filters and the model: the one module here that knows of Ansible."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from ansible.errors import AnsibleError, AnsibleFilterError
from jinja2.exceptions import TemplateError

from .model.duties import WORKER_GROUPS
from .model.errors import TopologyError
from .model.inputs import INPUTS
from .model.inventory import Unreadable
from .model.schema import read_all
from .model.topology import Topology, parse_topology
from .model.values import plain

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


def typed_variables(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Returns variables of a host with their types; one that cannot be, which the checks refuse, has its default."""
    return read_all(INPUTS, plain(variables))


def decoded(result: Mapping[str, Any]) -> str:
    """Returns the text of a file that the module slurp has read; empty if it has read none."""
    return base64.b64decode(str(result.get("content", ""))).decode()


_NAMED = re.compile(r"'[\w ]+' is undefined|'[\w ]+' has no attribute '\w+'|.*? is undefined", re.ASCII)
_TEMPLATE_ERRORS = (AnsibleError, TemplateError)
# They end in files of Synapse, which has templates of its own.
_OF_SYNAPSE = ("synapse_extra_config", "synapse_main_settings", *WORKER_GROUPS)


class ReadableHost(Mapping[str, Any]):
    """The variables of one host as plain data; one whose template fails is an ``Unreadable``.

    Args:
        variables: what Ansible's ``hostvars`` has for the host.
    """

    def __init__(self, variables: Mapping[str, Any]) -> None:
        self._variables = variables

    def __iter__(self) -> Iterator[str]:
        return iter(self._variables)

    def __len__(self) -> int:
        return len(self._variables)

    def __contains__(self, name: object) -> bool:
        return name in self._variables

    def __getitem__(self, name: str) -> Any:
        try:
            return plain(self._variables[name])
        except _TEMPLATE_ERRORS:
            return Unreadable(tuple(_failures(self._variables, name)), _fix(name))


class ReadableHosts(Mapping[str, Any]):
    """Ansible's ``hostvars``, with variables that can be read without an error.

    Args:
        hostvars: Ansible's ``hostvars``.
    """

    def __init__(self, hostvars: Mapping[str, Any]) -> None:
        self._hostvars = hostvars

    def __iter__(self) -> Iterator[str]:
        return iter(self._hostvars)

    def __len__(self) -> int:
        return len(self._hostvars)

    def __getitem__(self, host: str) -> ReadableHost:
        return ReadableHost(self._hostvars[host])


def _failures(container: Any, key: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Returns where templates fail, as the name of the variable and the way inside of it, and why."""
    here = f"{path}.{key}" if path else str(key)
    try:
        value = container[key]
        if not isinstance(value, Mapping | list | tuple):
            plain(value)
            return
    except _TEMPLATE_ERRORS as error:
        yield here, _reason(error)
        return
    for one in list(value) if isinstance(value, Mapping) else range(len(value)):
        yield from _failures(value, one, here)


def _reason(error: Exception) -> str:
    """Returns why a template fails; the text of the template, which may hold a secret, is left out."""
    message = str(error)
    undefined = _NAMED.fullmatch(message)
    if undefined is not None and len(message) < 100:
        return f"Ansible evaluates the template in it, and {message}"
    kind = "has a syntax error" if "yntax error" in message else "fails"
    return f"Ansible evaluates the template in it, which {kind}"


def _fix(name: str) -> str:
    if name in _OF_SYNAPSE:
        return (
            'If the template is for Synapse, write !unsafe before it: localpart_template: !unsafe "{{ user.name }}".'
            " Otherwise set what it names."
        )
    return "Set what the template names, or write !unsafe before the text if it is no template."
