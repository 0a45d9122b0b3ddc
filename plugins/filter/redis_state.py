# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``redis_state``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: redis_state
short_description: What is left to do with Redis on a host
version_added: "0.2.0"
author: The baremetal.synapse developers (@baremetal-synapse)
description:
  - Reads the answer to the question of P(baremetal.synapse.redis_server#filter).
options:
  _input:
    description: The server, as P(baremetal.synapse.redis_server#filter) returns it.
    type: dict
    required: true
  answer:
    description: The result of the command; empty if the server was not asked.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show why Redis restarts
  ansible.builtin.debug:
    msg: "{{ (server | baremetal.synapse.redis_state(answer)).step }}"
"""

RETURN = r"""
_value:
  description:
    - C(start), whether the server must be started at once, C(unread), whether systemd has to read its unit
      again, C(step) for the plan, and C(unfinished), the problems of a
      server that has restarted.
  type: dict
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.adapter import with_clear_errors
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.values import plain
from ansible_collections.baremetal.synapse.plugins.plugin_utils.servers.redis import (
    RedisServer,
    redis_state,
    restarted_problems,
)


def _redis_state(server: Mapping[str, Any], answer: Mapping[str, Any]) -> dict[str, Any]:
    known, text = RedisServer(**plain(server)), str(answer.get("stdout", ""))
    state = redis_state(known, code=int(answer.get("rc", 0)), answer=text)
    return {**asdict(state), "unfinished": restarted_problems(known, text)}


class FilterModule:
    """The filter redis_state."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"redis_state": with_clear_errors(_redis_state)}
