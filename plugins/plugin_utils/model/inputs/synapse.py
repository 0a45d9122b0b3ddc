# SPDX-License-Identifier: GPL-3.0-or-later
"""The inputs of Synapse and of the topology as a whole."""

from __future__ import annotations

from functools import partial
from typing import Any

from .. import values
from ..addresses import host_address, networks, server_name, url
from ..database_args import database_args
from ..duties import BACKGROUND, GENERIC, MEDIA
from ..errors import TopologyError
from ..kinds import (
    Kind,
    boolean,
    entries,
    environment,
    list_of,
    mapping,
    matching,
    number,
    one_of,
    text,
    texts_by_name,
    to_mapping,
)
from ..layout import MEDIA_DIR, USER
from ..paths import media_store
from ..presets import DEFAULT_PRESET, PRESETS
from ..releases import NEWEST, parse_release
from ..schema import Input
from ..server_secrets import FILES, VARIABLE, server_secrets
from ..texts import loggers, upload_size
from ..values import Problem
from ..well_known import VARIABLE as WELL_KNOWN
from ..well_known import added_answers

HOST_LABEL = r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?"
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


def _release(value: Any) -> Problem | None:
    try:
        parse_release(value)
    except TopologyError as error:
        return error.reason, error.fix
    return None


_synapse = partial(Input, role="synapse", per_host=True)

_TOPOLOGY = (
    Input(
        name="synapse_server_name",
        about="The name in every Matrix id; cannot be changed later.",
        kind=Kind(type="str", convert=lambda value: value, check=server_name),
        required=True,
    ),
    Input(
        name="synapse_version",
        about="The Synapse release to run.",
        kind=text(_release),
        default=str(NEWEST),
    ),
    Input(
        name="synapse_preset",
        about="Fills the worker variables that the inventory does not set.",
        kind=one_of(PRESETS),
        default=DEFAULT_PRESET,
    ),
    Input(
        name="synapse_transport",
        about="How processes reach each other; V(auto) is V(unix) where all is on one host, else V(tcp).",
        kind=one_of(["auto", "unix", "tcp"]),
        default="auto",
    ),
    Input(
        name="synapse_address",
        about="The private address at which the other hosts reach this one; needed with V(tcp) on several hosts.",
        kind=text(host_address),
        per_host=True,
    ),
    Input(
        name="synapse_host_label",
        about="The host's part in the names of its workers; the inventory name if not set.",
        kind=matching(
            HOST_LABEL,
            "it becomes part of worker names and of the URLs between processes",
            "Use letters, digits, '-', '_' and '.' only.",
        ),
        per_host=True,
    ),
    Input(
        name=GENERIC,
        about="Pools of generic workers on each host of the group.",
        more=("Their settings are listed in C(docs/topology.md), section Pools.",),
        kind=mapping,
        per_host=True,
        secret=True,
    ),
    Input(
        name=MEDIA,
        about="Pools of media workers on each host of the group.",
        kind=mapping,
        per_host=True,
        secret=True,
    ),
    Input(
        name=BACKGROUND,
        about="Pools of background workers on each host of the group.",
        kind=mapping,
        per_host=True,
        secret=True,
    ),
    Input(
        name="synapse_main_settings",
        about="Settings of the main process, as of a pool.",
        kind=mapping,
        default={},
        secret=True,
    ),
    Input(
        name="synapse_cp_max",
        about="Database connections that one process may hold (C(database.args.cp_max)).",
        kind=number(1, 1000, "connections"),
        default=5,
    ),
    Input(
        name="synapse_database_args",
        about="Further arguments of the connections to PostgreSQL (C(database.args)), such as C(keepalives_idle).",
        more=(
            "Those that the topology computes are refused, with the variable that sets them.",
            "Names of libpq reach PostgreSQL's client library, those that begin with C(cp_) the pool of connections.",
        ),
        kind=mapping.limited(database_args),
        default={},
        secret=True,
        since="0.2.0",
    ),
    Input(
        name=VARIABLE,
        about=f"Secrets that exist already, as from a vault: {', '.join(f'C({name})' for name in FILES)}.",
        more=(
            "The first run takes them, and makes those that are left out. A later difference is a rotation, which is"
            " refused until C(plan_confirmed) has the name of the secret.",
            "C(docs/operations.md), section Secrets, says what a rotation costs.",
        ),
        kind=texts_by_name.limited(server_secrets),
        default={},
        secret=True,
        since="0.2.0",
    ),
    Input(
        name="synapse_public_baseurl",
        about="The URL that clients use; C(https://<server name>/) if not set.",
        kind=text(url),
    ),
    Input(
        name="synapse_max_upload_size",
        about="The largest upload, for Synapse and nginx alike.",
        kind=text(upload_size),
        default="50M",
    ),
    Input(
        name="synapse_report_stats",
        about="Whether Synapse reports anonymised statistics to its makers.",
        kind=boolean,
        default=False,
    ),
    Input(
        name="synapse_media_store_path",
        about="Where media are kept.",
        kind=text(media_store(MEDIA_DIR, USER), type="path"),
        default=MEDIA_DIR,
    ),
    Input(
        name="synapse_media_store_shared",
        about="That O(synapse_media_store_path) is one store that all hosts with media workers mount.",
        kind=boolean,
        default=False,
    ),
    Input(
        name="synapse_trusted_key_servers",
        about="Synapse's C(trusted_key_servers).",
        kind=entries,
        default=[{"server_name": "matrix.org"}],
    ),
    Input(
        name="synapse_extra_config",
        about="Any other options of C(homeserver.yaml); shown in diffs unless C(synapse_hide_config) is set.",
        kind=mapping,
        default={},
        secret=True,
    ),
    Input(
        name=WELL_KNOWN,
        about="What nginx adds to the answers below C(/.well-known/matrix/): C(server) and C(support).",
        more=(
            "C(support) has C(contacts), C(support_page) or both; without it there is no such answer.",
            "Keys for clients are C(extra_well_known_client_content) in C(synapse_extra_config).",
        ),
        kind=mapping.limited(added_answers),
        default={},
        since="0.2.0",
    ),
    Input(
        name="synapse_jemalloc",
        about="Whether the processes use jemalloc.",
        kind=boolean,
        default=True,
    ),
    Input(
        name="synapse_metrics_allowed",
        about="Networks from which metrics may be read, on several hosts with V(tcp); none if it is empty.",
        kind=list_of(networks("the firewall")),
        default=[],
    ),
    Input(
        name="synapse_no_log",
        about="Whether results that may have secrets in them are hidden; V(false) shows them, to find an error.",
        kind=boolean,
        default=True,
        per_host=True,
    ),
)

_ROLE = (
    _synapse(
        name="synapse_log_level",
        about="Severity from which on Synapse logs to the journal.",
        kind=one_of(_LEVELS),
        default="INFO",
    ),
    _synapse(
        name="synapse_loggers",
        about="Severity of single loggers, by their name, such as V({synapse.http: WARNING}).",
        more=("C(synapse.storage.SQL) at DEBUG logs secrets.",),
        kind=Kind(type="dict", convert=to_mapping, check=loggers),
        default={},
    ),
    _synapse(
        name="synapse_limit_nofile",
        about="Maximum of open files and sockets of each process.",
        kind=number(1024, 1 << 30, "open files"),
        default=65536,
    ),
    _synapse(
        name="synapse_install_environment",
        about=(
            "Environment of the installer: a proxy (C(https_proxy)), or a package index of your own (C(PIP_INDEX_URL),"
            " C(UV_DEFAULT_INDEX))."
        ),
        more=("The installer trusts the certificates that the host trusts.",),
        kind=environment,
        default={},
        secret=True,
    ),
    _synapse(
        name="synapse_hide_config",
        about="Whether the contents of configuration files are kept out of diffs.",
        more=("Set it when C(synapse_extra_config) or the C(extra_config) of a pool contain secrets.",),
        kind=boolean,
        default=False,
    ),
    Input(
        name="synapse_main_hide_config",
        about=(
            "Whether the contents of C(main.yaml) and of its drop-in are kept out of diffs; as"
            " C(synapse_hide_config) if not set."
        ),
        more=("Set it when C(synapse_main_settings) contains secrets.",),
        kind=boolean,
        per_host=True,
        role="synapse_main",
    ),
    Input(
        name="worker_hide_config",
        about="Whether the contents of the workers' files are kept out of diffs; as C(synapse_hide_config) if not set.",
        more=("Set it when the C(extra_config) of a pool contains secrets.",),
        kind=boolean,
        per_host=True,
        role="worker",
        on="synapse",
    ),
    Input(
        name="worker_instances",
        about="Entries of the filter P(baremetal.synapse.worker_files#filter), which may be none.",
        kind=list_of(values.list_of_entries, elements="dict"),
        required=True,
        per_host=True,
        role="worker",
        internal=True,
    ),
)

INPUTS = (*_TOPOLOGY, *_ROLE)

__all__ = ("HOST_LABEL", "INPUTS")
