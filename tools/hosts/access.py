# SPDX-License-Identifier: GPL-3.0-or-later
"""SSH keys of the disposable hosts. The host key is prepared too, so host key checking can stay on."""

from __future__ import annotations

from pathlib import Path

from tools.hosts.process import locked, run
from tools.hosts.settings import PROJECT, SSH

IDENTITY = SSH / "id_ed25519"
HOST_KEY = SSH / "ssh_host_ed25519_key"
KNOWN_HOSTS = SSH / "known_hosts"
CONFIG = SSH / "config"
# Where ansible.cfg puts the sockets of its lasting connections.
CONTROL_SOCKETS = PROJECT / ".ansible" / "cp"


def prepare() -> None:
    """Make the keys once per checkout."""
    if CONFIG.exists():
        return
    with locked("ssh"):
        SSH.mkdir(mode=0o700, parents=True, exist_ok=True)
        for key, comment in ((IDENTITY, "disposable hosts"), (HOST_KEY, "disposable host")):
            if not key.exists():
                run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(key)])
        algorithm, blob = public(HOST_KEY).split()[:2]
        KNOWN_HOSTS.write_text(f"10.88.* {algorithm} {blob}\n")
        CONFIG.write_text(
            "Host 10.88.*\n"
            "  User root\n"
            f'  IdentityFile "{IDENTITY}"\n'
            "  IdentitiesOnly yes\n"
            f'  UserKnownHostsFile "{KNOWN_HOSTS}"\n'
            "  GlobalKnownHostsFile none\n"
            "  StrictHostKeyChecking yes\n"
        )


def public(key: Path) -> str:
    """The public half of a key."""
    return Path(f"{key}.pub").read_text()


def close_lasting_connection(address: str) -> None:
    """End Ansible's lasting connection to a host that goes away; its socket would lead the next run astray."""
    for socket in CONTROL_SOCKETS.glob(f"{address}-*"):
        run(["ssh", "-o", f"ControlPath={socket}", "-O", "exit", address], check=False)
        socket.unlink(missing_ok=True)
