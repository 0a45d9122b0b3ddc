# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of platforms: what differs between the distributions that hosts run. One more of them is one more column.

Paths that all of them share are in ``layout``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .errors import TopologyError


@dataclass(frozen=True, kw_only=True)
class RedisInstance:
    """One server that a package for Redis runs: Debian names everything of it alike.

    Attributes:
        name: ``default`` for the server that the package itself starts, else the name after the @ of its unit.
        unit: its systemd unit.
        path: its socket, which is below RuntimeDirectory= of the unit.
        group: its user and its group, from User= of the unit.
        config_file: the file that it starts with.
        data_dir: its data directory; None for the default instance, whose file is Debian's.
        include: Debian's file, which the file includes; None for an instance of its own.
        program: the server.
        client: the program that sends it commands.
    """

    name: str
    unit: str
    path: str
    group: str
    config_file: str
    data_dir: str | None
    include: str | None
    program: str
    client: str


REDIS_PACKAGES = ("redis-server", "valkey-server")
"""The values of ``redis_package``; a platform need not have all of them."""

DEFAULT_INSTANCE = "default"
"""The value of ``redis_instance`` for the server that the package itself starts."""


def redis_instance(package: str, name: str) -> RedisInstance:
    """Returns an instance of a package for Redis.

    Args:
        package: one of ``REDIS_PACKAGES``.
        name: ``default``, or a name for an instance beside it: the package has a template unit.
    """
    word = package.removesuffix("-server")
    default = name == DEFAULT_INSTANCE
    return RedisInstance(
        name=name,
        unit=f"{package}.service" if default else f"{package}@{name}.service",
        path=f"/run/{word if default else f'{word}-{name}'}/{package}.sock",
        group=word,
        config_file=f"/etc/{word}/{'matrix-synapse' if default else f'{word}-{name}'}.conf",
        data_dir=None if default else f"/var/lib/{word}-{name}",
        include=f"/etc/{word}/{word}.conf" if default else None,
        program=f"/usr/bin/{package}",
        client=f"{word}-cli",
    )


@dataclass(frozen=True, kw_only=True)
class Platform:
    """One release of a distribution.

    Attributes:
        distribution: as Ansible's fact of that name has it.
        major_version: as Ansible's fact ``distribution_major_version`` has it.
        codename: the name of the release in its archive.
        python: the version of Python.
        postgres: the major version of PostgreSQL.
        nginx_http2_directive: nginx takes HTTP/2 as a directive of its own (1.25.1 and newer), not as an option of
            ``listen``.
        redis_packages: which of ``REDIS_PACKAGES`` it has.
        packages: the packages that each role installs, by the name of the service. ``{postgres}`` stands for the major
            version of PostgreSQL.
        jemalloc: the package of jemalloc.
        jemalloc_library: its library. ``{architecture}`` stands for the machine's.
        self_signed_packages: what makes a self-signed certificate.
        postgres_config_dir: where a cluster is configured. ``{postgres}`` stands for its major version, ``{cluster}``
            for its name, as below.
        postgres_data_dir: where its data are.
        postgres_programs: the directory of the server and of psql.
        postgres_unit: its systemd unit.
        certificate: the certificate that each host has, and its key.
    """

    distribution: str
    major_version: str
    codename: str
    python: str
    postgres: int
    nginx_http2_directive: bool
    redis_packages: tuple[str, ...]
    packages: Mapping[str, tuple[str, ...]]
    jemalloc: str
    jemalloc_library: str
    self_signed_packages: tuple[str, ...]
    postgres_config_dir: str
    postgres_data_dir: str
    postgres_programs: str
    postgres_unit: str
    certificate: tuple[str, str]

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{self.distribution} {self.major_version}"

    def packages_of(self, service: str, postgres: str | None = None) -> tuple[str, ...]:
        """Returns the packages that the role of a service installs, for a version of PostgreSQL or the platform's."""
        version = postgres or str(self.postgres)
        return tuple(package.format(postgres=version) for package in self.packages[service])


_DEBIAN: dict[str, Any] = {
    "distribution": "Debian",
    "packages": {
        "firewall": ("nftables",),
        # PostgreSQL's log files have to be rotated. ssl-cert has the certificate of a server without one.
        "postgres": ("postgresql-{postgres}", "logrotate", "ssl-cert"),
        "synapse": ("python3-venv", "python3-psycopg2"),
        "nginx": ("nginx", "logrotate"),
    },
    "jemalloc": "libjemalloc2",
    "jemalloc_library": "/usr/lib/{architecture}-linux-gnu/libjemalloc.so.2",
    "self_signed_packages": ("openssl", "python3-cryptography"),
    "postgres_config_dir": "/etc/postgresql/{postgres}/{cluster}",
    "postgres_data_dir": "/var/lib/postgresql/{postgres}/{cluster}",
    "postgres_programs": "/usr/lib/postgresql/{postgres}/bin",
    "postgres_unit": "postgresql@{postgres}-{cluster}.service",
    "certificate": ("/etc/ssl/certs/ssl-cert-snakeoil.pem", "/etc/ssl/private/ssl-cert-snakeoil.key"),
}

PLATFORMS: tuple[Platform, ...] = (
    Platform(
        major_version="12",
        codename="bookworm",
        python="3.11.2",
        postgres=15,
        nginx_http2_directive=False,
        redis_packages=("redis-server",),
        **_DEBIAN,
    ),
    Platform(
        major_version="13",
        codename="trixie",
        python="3.13.5",
        postgres=17,
        nginx_http2_directive=True,
        redis_packages=("redis-server", "valkey-server"),
        **_DEBIAN,
    ),
)


def supported() -> str:
    """Returns the names of all platforms, for messages: ``Debian 12 and 13``."""
    versions: dict[str, list[str]] = {}
    for platform in PLATFORMS:
        versions.setdefault(platform.distribution, []).append(platform.major_version)
    return ", ".join(f"{distribution} {' and '.join(numbers)}" for distribution, numbers in versions.items())


def find_platform(distribution: str, major_version: str) -> Platform | None:
    """Returns the platform of that name; None if it is not supported."""
    wanted = (distribution, major_version)
    return next((known for known in PLATFORMS if (known.distribution, known.major_version) == wanted), None)


def platform_of(host: str, found: Mapping[str, Any]) -> Platform:
    """Returns the platform of a host.

    Args:
        host: the inventory name of the host.
        found: what the module host_survey has found on it.

    Raises:
        TopologyError: it is not supported.
    """
    distribution, version = str(found["distribution"]), str(found["distribution_major_version"])
    platform = find_platform(distribution, version)
    if platform is None:
        raise TopologyError(
            "The operating system",
            f"{distribution} {version}",
            f"this collection supports {supported()}",
            "Install one of them, or take the host out of the inventory.",
            host,
        )
    return platform
