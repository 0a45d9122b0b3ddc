# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``quoted``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: quoted
short_description: A value as it is written into the file of another program
version_added: 0.2.0
author: The baremetal.synapse developers (@baremetal-synapse)
description:
  - Quotes a value, so that the program which reads the file gets the same value back, whatever is in it.
  - Fails for a value that the grammar cannot express, such as a line break.
options:
  _input:
    description: The value.
    type: raw
    required: true
  grammar:
    description:
      - V(nginx) is one parameter of a directive of nginx, V(nginx_name) a name for C(server_name), V(nginx_network) a
        network for C(allow) and C(set_real_ip_from).
      - V(systemd) is one word of a directive of systemd.
      - V(postgresql) is a value of C(postgresql.conf), V(sql) a literal of SQL.
      - V(redis) is an argument of C(redis.conf).
    type: str
    choices: [nginx, nginx_name, nginx_network, postgresql, redis, sql, systemd]
    required: true
"""

EXAMPLES = r"""
- name: Show how nginx reads a path with a space
  ansible.builtin.debug:
    msg: "root {{ '/srv/my site' | baremetal.synapse.quoted('nginx') }};"
"""

RETURN = r"""
_value:
  description: The value with its quotes.
  type: str
"""

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.baremetal.synapse.plugins.plugin_utils.rendering.quoting import quoted


def _quoted(value: object, grammar: str) -> str:
    try:
        return quoted(value, str(grammar))
    except ValueError as error:
        raise AnsibleFilterError(f"A value cannot be written into a file: {error}.") from error


class FilterModule:
    """The filter quoted."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"quoted": _quoted}
