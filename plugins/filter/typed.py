# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``typed``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: typed
short_description: The value of a variable with its type
version_added: 0.2.0
author: The baremetal.synapse developers (@baremetal-synapse)
description:
  - A variable from the command line, from an INI file or from the environment is a text. This filter returns the
    number, the boolean, the list or the mapping that it stands for, as the schema of the inputs says.
  - It refuses a value that the schema does not admit. The roles of this collection read their variables through it.
options:
  _input:
    description: The value of the variable.
    type: raw
    required: true
  variable:
    description: The name of the variable, one of this collection.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Listen on IPv6 too, unless nginx_ipv6 is false, also as a text
  ansible.builtin.debug:
    msg: "{{ nginx_ipv6 | baremetal.synapse.typed('nginx_ipv6') }}"
"""

RETURN = r"""
_value:
  description: The value with its type.
  type: raw
"""

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.baremetal.synapse.plugins.plugin_utils.adapter import with_clear_errors
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.inputs import INPUTS
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.values import plain


def _typed(value: Any, variable: str) -> Any:
    entry = INPUTS.get(str(variable))
    if entry is None:
        raise AnsibleFilterError(f"typed: {variable} is no variable of this collection. Correct its name.")
    return entry.read(plain(value))


class FilterModule:
    """The filter typed."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"typed": with_clear_errors(_typed)}
