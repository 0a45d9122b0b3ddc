# SPDX-License-Identifier: GPL-3.0-or-later
"""The inputs of playbooks: what a run does, shows and waits for. They are mostly set on the command line."""

from __future__ import annotations

from functools import partial
from typing import Any, get_args

from ..kinds import boolean, list_of_texts, matching, number, one_of, text
from ..platform import PLATFORMS
from ..schema import Input
from ..service import Stage, Verb
from ..values import Problem


def _file(value: Any) -> Problem | None:
    good = isinstance(value, str) and value.strip() != "" and value.isprintable()
    return None if good else ("it is a path on the machine that runs Ansible", "Write ./fleet, or an absolute path.")


_plan = partial(Input, role="plan", per_host=True)
_rollout = partial(Input, role="rollout", per_host=True)
_run = partial(Input, role="run", per_host=True)

_PLAN = (
    _plan(
        name="plan_confirmed",
        about="Names of processes whose loss or new name is confirmed.",
        more=(
            "A host that leaves the inventory while it runs a process that no other one may replace (the writer"
            " of a stream,"
            " or a duty for one worker) is refused, unless the process is named here; so is a running writer"
            " that would get"
            " another name, and V(main) on another host, because the secrets would stay behind.",
            "The number of a release, such as V(1.152.1), confirms that it replaces a newer one; the name of a secret"
            " in C(synapse_secrets) confirms that it replaces another one of the host.",
        ),
        kind=list_of_texts(
            "names of processes, releases or secrets",
            "Write [synapse1-events-1], or [main].",
            pattern=r"[A-Za-z0-9_.-]+",
        ),
        default=[],
    ),
    _plan(
        name="plan_order",
        about="Whether to show why the steps have this order, a line C(A before B), with the reason, each.",
        kind=boolean,
        default=False,
    ),
    _plan(
        name="plan_picture",
        about="A file on the controller to which the fleet is drawn, as SVG; none is drawn if not set.",
        kind=text(_file),
    ),
)

_ROLLOUT = (
    _rollout(
        name="rollout_drain_timeout",
        about="Seconds to wait until the requests of a process have ended, before it stops.",
        more=("Clients poll for 30 seconds. A poll that is aborted is answered by another process of the pool.",),
        kind=number(0, 3600, "seconds"),
        default=35,
    ),
    _rollout(
        name="rollout_ready_timeout",
        about="Seconds to wait until a process that has started listens to the replication.",
        kind=number(1, 3600, "seconds"),
        default=60,
    ),
)

_RENDER = (
    Input(
        name="render_to",
        about=(
            "The directory to render to, required. It must be empty, not exist yet, or contain only what was"
            " rendered before."
        ),
        more=("A relative path is relative to the directory in which C(ansible-playbook) was called.",),
        kind=text(_file),
        per_host=True,
        role="render",
    ),
    Input(
        name="render_debian_version",
        about=(
            "For C(playbooks/render.yml), the Debian of the host. It determines PostgreSQL's version, the form"
            " of nginx's"
            " C(http2) and the Python of Synapse's release."
        ),
        kind=one_of(platform.major_version for platform in PLATFORMS),
        default="13",
        per_host=True,
    ),
    Input(
        name="render_architecture",
        about="For C(playbooks/render.yml), the architecture of the host, as C(uname -m) prints it.",
        kind=matching(r"[a-z0-9_]{1,32}", "it is what uname -m prints", "Write x86_64 or aarch64."),
        default="x86_64",
        per_host=True,
    ),
    Input(
        name="render_memory_mib",
        about="For C(playbooks/render.yml), the memory of the host in MiB, for PostgreSQL's settings.",
        kind=number(1, 1 << 30, "MiB"),
        default=8192,
        per_host=True,
    ),
    Input(
        name="render_cpus",
        about="For C(playbooks/render.yml), the processors of the host, for PostgreSQL's settings.",
        kind=number(1, 65536, "processors"),
        default=4,
        per_host=True,
    ),
)

_OTHERS = (
    Input(
        name="audit_fail",
        about="Whether the run fails if a request goes wrong. The tables are printed in any case.",
        kind=boolean,
        default=True,
        per_host=True,
        role="audit",
        since="0.2.0",
    ),
    _run(
        name="run_verb",
        about="The verb that the roles carry out.",
        kind=one_of(get_args(Verb)),
        required=True,
        internal=True,
    ),
    _run(
        name="run_stage",
        about="Visit only the services of this stage. All of them if it is empty.",
        kind=one_of(["", *get_args(Stage)]),
        default="",
        internal=True,
    ),
    _run(
        name="run_mode",
        about="What the playbook does.",
        kind=one_of(["deploy", "check", "render"]),
        default="deploy",
        entry="context",
        internal=True,
    ),
    _run(
        name="run_lock_state",
        about="Whether to take or to release the lock of the fleet.",
        kind=one_of(["taken", "released"]),
        required=True,
        entry="lock",
        internal=True,
        since="0.2.0",
    ),
)

INPUTS = (*_PLAN, *_ROLLOUT, *_RENDER, *_OTHERS)

__all__ = ("INPUTS",)
