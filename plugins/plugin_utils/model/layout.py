# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things are on a host: paths, users, sockets and ports. Nothing else spells them out."""

from __future__ import annotations

from typing import Any
from zlib import crc32

from .errors import TopologyError

USER = "matrix-synapse"
GROUP = "matrix-synapse"
PROXY_GROUP = "www-data"
DATABASE = "synapse"
INSTANCE = "synapse"
"""The name of the cluster of PostgreSQL and of the instance of Redis that serve Synapse alone."""

CONFIG_DIR = "/etc/matrix-synapse"
SHARED_CONFIG = f"{CONFIG_DIR}/homeserver.yaml"
MAIN_CONFIG = f"{CONFIG_DIR}/main.yaml"
WORKERS_DIR = f"{CONFIG_DIR}/workers"
LOG_CONFIG = f"{CONFIG_DIR}/log.yaml"
FLEET_RECORD = f"{CONFIG_DIR}/fleet.json"
SECRETS_DIR = f"{CONFIG_DIR}/secrets"
DATA_DIR = "/var/lib/matrix-synapse"
MEDIA_DIR = f"{DATA_DIR}/media"
INSTALL_DIR = "/opt/matrix-synapse"
CURRENT = f"{INSTALL_DIR}/current"
RELEASES_DIR = f"{INSTALL_DIR}/releases"
REQUIREMENTS_DIR = f"{INSTALL_DIR}/requirements"
UNIT_DIR = "/etc/systemd/system"
MAIN_UNIT = "matrix-synapse.service"
# Debian's package and that of matrix.org have the unit at this place (/lib is a link to /usr/lib).
PACKAGED_UNIT = f"/usr/lib/systemd/system/{MAIN_UNIT}"
WORKER_UNIT = "matrix-synapse-worker@.service"
POOL_DROP_IN = "{unit}.d/pool.conf"
"""What a pool adds to a unit, relative to the directory of units."""

WATCHDOG_UNIT = "synapse-watchdog.service"
LIBEXEC_DIR = "/usr/local/lib/matrix-synapse"
PROCESS_PROGRAM = f"{LIBEXEC_DIR}/synapse-process"
NGINX_ETC = "/etc/nginx"
# Drafts: nginx-config tests them in a copy of /etc/nginx, and only then puts them into their places.
NGINX_DRAFT_DIR = f"{NGINX_ETC}/matrix-synapse"
NGINX_PROGRAM = f"{LIBEXEC_DIR}/nginx-config"
# Their places: Debian's nginx.conf includes the first at its top level, the second in its http block.
NGINX_MAIN_CONF = f"{NGINX_ETC}/modules-enabled/99-matrix-synapse.conf"
NGINX_HTTP_CONF = f"{NGINX_ETC}/conf.d/matrix-synapse.conf"
NGINX_SITE = f"{NGINX_ETC}/sites-available/matrix-synapse"
# The last one of its folder: where nobody claims the requests for unknown names, nginx gives them to the first site.
NGINX_SITE_LINK = {
    "path": f"{NGINX_ETC}/sites-enabled/zz-matrix-synapse",
    "target": "../sites-available/matrix-synapse",
}
NGINX_OLD_SITE_LINK = f"{NGINX_ETC}/sites-enabled/matrix-synapse"
NGINX_DEFAULT_SITE = f"{NGINX_ETC}/sites-enabled/default"
# For the server block of a website of the base domain, which includes it.
NGINX_WELL_KNOWN = f"{NGINX_ETC}/snippets/matrix-synapse-well-known.conf"
NGINX_WELL_KNOWN_INCLUDE = "include snippets/matrix-synapse-well-known*.conf;"
NGINX_ACCESS_LOG = "/var/log/nginx/matrix-synapse.access.log"
NGINX_ERROR_LOG = "/var/log/nginx/matrix-synapse.error.log"
RUN_DIR = "/run/matrix-synapse"
RUN_LOCK = "/run/matrix-synapse-run.lock"
FINGERPRINT_DIR = f"{RUN_DIR}/fingerprint"
HTTP_SOCKET_DIR = f"{RUN_DIR}/http"
REPLICATION_SOCKET_DIR = f"{RUN_DIR}/replication"
POSTGRES_SOCKET_DIR = "/run/postgresql"
POSTGRES_DATA_DIR = "/var/lib/postgresql"

# The ports of services whose own configuration does not come from here, and the defaults of those that have a variable.
SSH_PORT = 22
HTTP_PORT = 80
HTTPS_PORT = 443
FEDERATION_PORT = 8448
POSTGRES_PORT = 5432
REDIS_PORT = 6379

# Three bands of ports below the kernel's ephemeral range (32768): a process has one port of each. A pool has a slot in
# every band, so its ports depend only on its own name and index.
SLOT_SIZE = 40
HTTP_BASE = 10000
REPLICATION_BASE = 17200
METRICS_BASE = 24400
SLOTS = (REPLICATION_BASE - HTTP_BASE) // SLOT_SIZE
MAIN_SLOT = 0
FIRST_FREE_SLOT = 40
# Pools named after a duty have fixed slots, in the order of this list: append only, a change would move ports.
DUTY_SLOTS = (
    "typing",
    "to_device",
    "account_data",
    "presence",
    "push_rules",
    "receipts",
    "device_lists",
    "thread_subscriptions",
    "quarantined_media_changes",
    "events",
    "media",
    "media_background",
    "room",
    "sync",
    "initial_sync",
    "sliding_sync",
    "federation_reader",
    "federation_inbound",
    "client_reader",
    "login",
    "sso",
    "user_directory",
    "appservices",
    "background_tasks",
    "pusher",
    "federation_sender",
)

BAND = SLOTS * SLOT_SIZE
"""The number of ports in a band."""

SOCKET_PATH_MAXIMUM = 100  # sun_path holds 108 bytes; Twisted puts a ".lock" beside each socket


def pool_slot(pool: str) -> int:
    """Returns the slot of ports of a pool: fixed for the name of a duty, else derived from the name."""
    if pool in DUTY_SLOTS:
        return DUTY_SLOTS.index(pool) + 1
    return FIRST_FREE_SLOT + crc32(pool.encode()) % (SLOTS - FIRST_FREE_SLOT)


def secret(name: str) -> str:
    """Returns the path of a secret."""
    return f"{SECRETS_DIR}/{name}"


def worker_config(worker: str) -> str:
    """Returns the path of a worker's own configuration."""
    return f"{WORKERS_DIR}/{worker}.yaml"


def http_socket(process: str) -> str:
    """Returns the path of the socket on which a process serves nginx."""
    return f"{HTTP_SOCKET_DIR}/{process}.sock"


def replication_socket(process: str) -> str:
    """Returns the path of the socket on which a process serves its siblings; nginx cannot open it."""
    return f"{REPLICATION_SOCKET_DIR}/{process}.sock"


def in_address(host: str, port: int) -> str:
    """Returns host and port as one address, with brackets around IPv6."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def check_socket_length(process: str, host: str) -> None:
    """Refuses a name that would not fit into the path of a UNIX socket."""
    if len(replication_socket(process)) > SOCKET_PATH_MAXIMUM:
        raise TopologyError(
            "synapse_host_label",
            process,
            f"the path of its socket would be longer than {SOCKET_PATH_MAXIMUM} characters",
            "Set a shorter synapse_host_label for this host, or a shorter name of the pool.",
            host,
        )


def layout() -> dict[str, Any]:
    """Returns every path, user and unit name that roles and templates use, and whose the directories are."""
    run_directories = [
        {"path": RUN_DIR},
        {"path": HTTP_SOCKET_DIR, "owner": USER, "group": PROXY_GROUP, "mode": "2750"},
        {"path": REPLICATION_SOCKET_DIR, "owner": USER, "group": GROUP, "mode": "0700"},
        {"path": FINGERPRINT_DIR, "owner": USER, "group": GROUP},
    ]
    first_directories = [
        {"path": CONFIG_DIR, "group": GROUP, "mode": "0750"},
        {"path": SECRETS_DIR, "group": GROUP, "mode": "0750"},
        {"path": INSTALL_DIR},
        {"path": RELEASES_DIR},
        {"path": REQUIREMENTS_DIR},
    ]
    return {
        "user": USER,
        "group": GROUP,
        "proxy_group": PROXY_GROUP,
        "config_dir": CONFIG_DIR,
        "shared_config": SHARED_CONFIG,
        "main_config": MAIN_CONFIG,
        "workers_dir": WORKERS_DIR,
        "log_config": LOG_CONFIG,
        "secrets_dir": SECRETS_DIR,
        "data_dir": DATA_DIR,
        "install_dir": INSTALL_DIR,
        "releases_dir": RELEASES_DIR,
        "requirements_dir": REQUIREMENTS_DIR,
        "current": CURRENT,
        "uv_dir": f"{INSTALL_DIR}/uv",
        "libexec_dir": LIBEXEC_DIR,
        "process_program": PROCESS_PROGRAM,
        "fleet_record": FLEET_RECORD,
        "nginx_etc": NGINX_ETC,
        "nginx_draft_dir": NGINX_DRAFT_DIR,
        "nginx_program": NGINX_PROGRAM,
        "nginx_main_conf": NGINX_MAIN_CONF,
        "nginx_http_conf": NGINX_HTTP_CONF,
        "nginx_site": NGINX_SITE,
        "nginx_links": [NGINX_SITE_LINK],
        "nginx_well_known": NGINX_WELL_KNOWN,
        "nginx_access_log": NGINX_ACCESS_LOG,
        "nginx_error_log": NGINX_ERROR_LOG,
        "watchdog_program": f"{LIBEXEC_DIR}/watchdog.py",
        "watchdog_config": f"{CONFIG_DIR}/watchdog.json",
        "watchdog_unit": WATCHDOG_UNIT,
        "watchdog_unit_path": f"{UNIT_DIR}/{WATCHDOG_UNIT}",
        "run_dir": RUN_DIR,
        "run_lock": RUN_LOCK,
        "http_socket_dir": HTTP_SOCKET_DIR,
        "replication_socket_dir": REPLICATION_SOCKET_DIR,
        "fingerprint_dir": FINGERPRINT_DIR,
        "unit_dir": UNIT_DIR,
        "main_unit": MAIN_UNIT,
        "worker_unit": WORKER_UNIT,
        "pool_drop_in": POOL_DROP_IN,
        "target": "matrix-synapse.target",
        "tmpfiles": "/etc/tmpfiles.d/matrix-synapse.conf",
        # What is needed before a release can be installed and the secrets be written.
        "first_directories": first_directories,
        "directories": [
            *first_directories,
            {"path": WORKERS_DIR, "group": GROUP, "mode": "0750"},
            {"path": LIBEXEC_DIR},
            {"path": DATA_DIR, "owner": USER, "group": GROUP, "mode": "0750"},
            *run_directories,
        ],
        # After a boot, tmpfiles.d makes these.
        "run_directories": run_directories,
    }
