# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible filter ``postgres_state``; the work is in plugin_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: postgres_state
short_description: What is left to do with PostgreSQL on a host
version_added: "0.2.0"
author: The baremetal.synapse developers (@baremetal-synapse)
description:
  - Reads the answers to the queries of P(baremetal.synapse.postgres_server#filter).
options:
  _input:
    description: The server, as P(baremetal.synapse.postgres_server#filter) returns it.
    type: dict
    required: true
  answers:
    description: The result of the server's command C(ask); empty if the server was not asked.
    type: dict
    required: true
  passfile:
    description: The result of M(ansible.builtin.slurp) for the passfile of Synapse; empty if there is none.
    type: dict
  changed:
    description: Whether the run has written files of the server, or would.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Refuse what cannot work
  ansible.builtin.fail:
    msg: "{{ (server | baremetal.synapse.postgres_state(answers)).problems | join('\n') }}"
"""

RETURN = r"""
_value:
  description:
    - C(problems), a sentence each, C(step) for the plan, C(reload), C(unread), C(statements) (SQL for the database and
      its owner), and C(work), which is whether any of these is left to do.
    - C(unfinished) has the problems of a server that has restarted.
  type: dict
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from ansible_collections.baremetal.synapse.plugins.plugin_utils.adapter import decoded, with_clear_errors
from ansible_collections.baremetal.synapse.plugins.plugin_utils.model.values import plain
from ansible_collections.baremetal.synapse.plugins.plugin_utils.servers.postgres import PostgresServer
from ansible_collections.baremetal.synapse.plugins.plugin_utils.servers.postgres_state import (
    postgres_state,
    read_answers,
    restarted_problems,
)


def _postgres_state(
    server: Mapping[str, Any],
    answers: Mapping[str, Any],
    passfile: Mapping[str, Any] | None = None,
    changed: bool = False,
) -> dict[str, Any]:
    known = PostgresServer(**plain(server))
    unread, rows = read_answers(str(answers.get("stdout", "")))
    state = postgres_state(known, rows, passfile=decoded(passfile or {}), files_changed=bool(changed), unread=unread)
    return dict(plain({**asdict(state), "work": state.work, "unfinished": restarted_problems(known, rows)}))


class FilterModule:
    """The filter postgres_state."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Returns the filter by its name."""
        return {"postgres_state": with_clear_errors(_postgres_state)}
