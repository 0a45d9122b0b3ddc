# SPDX-License-Identifier: GPL-3.0-or-later
"""The base image of a Debian suite: a directory tree, built once and stamped with the hash of its recipe."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path

from tools.hosts.process import locked, mounted_from, mounts_below, remove_tree, run_logged, say
from tools.hosts.settings import IMAGES, LOGS, SUITES, HostsError

LOCAL_CERTIFICATES = Path("/usr/local/share/ca-certificates")

# What a freshly installed server has; what the roles need beyond that they have to install themselves.
INSTALLED = (
    "systemd systemd-sysv dbus libpam-systemd python3 python3-apt openssh-server sudo ca-certificates openssl "
    "iproute2 nftables iputils-ping procps curl less gnupg"
).split()

# Packages that lie downloaded in the image's apt archive, in sets that may be installed together.
DOWNLOADED = [
    (
        "postgresql redis-server nginx libjemalloc2 python3-psycopg2 python3-venv python3-cryptography acl rsync "
        "logrotate"
    ).split(),
]
DOWNLOADED_ONLY = {"trixie": [["valkey-server"]], "bookworm": []}

MASKED = (
    "apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer fstrim.timer dpkg-db-backup.timer "
    "systemd-networkd.service systemd-resolved.service systemd-timesyncd.service"
).split()

# sshd's PAM session reads /etc/environment, services do not: the roles need no variable that only tests have.
ENVIRONMENT = {
    "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt",
    "REQUESTS_CA_BUNDLE": "/etc/ssl/certs/ca-certificates.crt",
    "UV_LINK_MODE": "copy",
}

HOOK = """
set -eu
root=$1
if ls {certificates}/*.crt >/dev/null 2>&1; then
  cp {certificates}/*.crt "$root{certificates}/"
fi
chroot "$root" update-ca-certificates
printf '%s\\n' {environment} >>"$root/etc/environment"
: >"$root/etc/machine-id"
rm -f "$root"/etc/ssh/ssh_host_*
mkdir -p -m 0700 "$root/root/.ssh" "$root/root/.cache/uv" "$root/root/.cache/pip"
for unit in {masked}; do
  ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
chroot "$root" apt-get clean
{downloads}
"""


def recipe(suite: str) -> list[str]:
    """The command that builds the image, without its target; everything the image depends on is in it."""
    downloads = "\n".join(
        f'chroot "$root" apt-get -y --no-install-recommends --download-only install {" ".join(packages)}'
        for packages in DOWNLOADED + DOWNLOADED_ONLY[suite]
    )
    hook = HOOK.format(
        certificates=LOCAL_CERTIFICATES,
        environment=" ".join(f"{name}={value}" for name, value in ENVIRONMENT.items()),
        masked=" ".join(MASKED),
        downloads=downloads,
    )
    return [
        *["mmdebstrap", "--variant=minbase", "--mode=root"],
        # The package lists stay, so that a role's update_cache with cache_valid_time costs nothing.
        *["--skip=cleanup/apt/lists", "--skip=cleanup/apt/cache"],
        '--aptopt=Acquire::Languages "none"',
        f"--include={','.join(INSTALLED)}",
        f"--customize-hook={hook}",
        suite,
    ]


def fingerprint(suite: str) -> str:
    """Hash of the recipe and of the local certificates that go into the image."""
    certificates = [path.read_text() for path in sorted(LOCAL_CERTIFICATES.glob("*.crt"))]
    return hashlib.sha256(json.dumps([recipe(suite), certificates]).encode()).hexdigest()[:12]


def ensure(suite: str) -> Path:
    """Return the image of a suite, building it if it is missing or its recipe has changed."""
    if suite not in SUITES:
        raise HostsError(f"Unknown suite {suite}: choose {' or '.join(SUITES)}.")
    image = IMAGES / f"{suite}-{fingerprint(suite)}"
    if image.is_dir():
        return image
    with locked(f"image-{suite}"):
        if not image.is_dir():
            _build(suite, image)
    return image


def _build(suite: str, image: Path) -> None:
    say(f"Building the base image of Debian {suite}, once; this takes one to three minutes.")
    started = time.monotonic()
    partial = image.with_name(f"partial-{image.name}")
    IMAGES.mkdir(parents=True, exist_ok=True)
    for leftover in IMAGES.glob(f"partial-{suite}-*"):
        remove_tree(leftover)
    try:
        run_logged([*recipe(suite), str(partial)], LOGS / f"image-{suite}.log", f"image {suite}")
    except BaseException:
        remove_tree(partial)
        raise
    # Only a complete image ever gets its final name.
    partial.rename(image)
    say(f"The base image of Debian {suite} is ready after {time.monotonic() - started:.0f} s.")
    _remove_outdated(suite, image)


def _remove_outdated(suite: str, current: Path) -> None:
    for image in IMAGES.glob(f"{suite}-*"):
        if image != current and not mounted_from(image) and not mounts_below(image):
            remove_tree(image)
