# SPDX-License-Identifier: GPL-3.0-or-later
"""Booting and ending hosts."""

from __future__ import annotations

import contextlib
import dataclasses
import ipaddress
import json
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

from tools.hosts import access, cgroup, image, layer, network
from tools.hosts.process import locked, mounts_below, remove_tree, run, unmount_below
from tools.hosts.settings import GATEWAY, NETWORK, PIP_CACHE, PREFIX, STATE, TRASH, TREES, UV_CACHE, HostsError

BOOT_SECONDS = 90.0
POWER_OFF_SECONDS = 120.0
# With --keep-unit nspawn ends with 133 when the guest reboots, and leaves starting it again to its caller.
REBOOT_LOOP = 'while :; do "$@"; [ $? = 133 ] || exit; done'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Host:
    """What is known about a host from its start on.

    Attributes:
        name: its name on this machine.
        suite: its Debian.
        address: its address on the bridge.
        hostname: its name inside.
        forward: what it may reach outside.
        tree: where its own disk is.
        image: what is below its own disk: the image, after a layer and a colon if it was booted from one.
    """

    name: str
    suite: str
    address: str
    hostname: str
    forward: str
    tree: str
    image: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z]([a-z0-9-]{0,48}[a-z0-9])?", self.name):
            raise HostsError(f"Host name {self.name!r} is unusable: letters, digits and dashes, at most 50.")
        if not re.fullmatch(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?", self.hostname):
            raise HostsError(f"Hostname {self.hostname!r} is unusable: letters, digits and dashes, at most 63.")
        try:
            address = ipaddress.IPv4Address(self.address)
        except ValueError as exc:
            raise HostsError(f"{self.address!r} is no IPv4 address.") from exc
        reserved = (NETWORK.network_address, NETWORK.broadcast_address, GATEWAY)
        if address not in NETWORK or address in reserved:
            raise HostsError(f"Address {address} cannot be used: hosts live in {NETWORK}, without {GATEWAY}.")
        if self.forward not in network.FORWARD_POLICIES:
            raise HostsError(f"Unknown forward policy {self.forward!r}: {' or '.join(network.FORWARD_POLICIES)}.")


def directory(name: str) -> Path:
    """Where the machine keeps what is known about a host."""
    return STATE / name


def known(name: str) -> Host | None:
    """The host of that name, alive or not."""
    try:
        return Host(**json.loads((directory(name) / "state.json").read_text()))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, TypeError) as exc:
        raise HostsError(f"The record of host {name} in {directory(name)} cannot be read: {exc}") from exc


def all_hosts() -> list[Host]:
    """All hosts of the machine."""
    if not STATE.is_dir():
        return []
    found = (known(entry.name) for entry in sorted(STATE.iterdir()) if entry.is_dir())
    return [host for host in found if host is not None]


def alive(name: str) -> bool:
    """Whether the host has been started and has not ended."""
    return known(name) is not None and cgroup.populated(name)


def _claim(host: Host) -> None:
    """Write the host down before anything of it exists, so that `down` finds whatever a broken start left."""
    with locked("hosts"):
        for other in all_hosts():
            if other.address == host.address and other.name != host.name:
                raise HostsError(f"Address {host.address} is in use by host {other.name}; end it or choose another.")
        directory(host.name).mkdir(mode=0o755, parents=True, exist_ok=True)
        (directory(host.name) / "state.json").write_text(json.dumps(dataclasses.asdict(host)) + "\n")


def up(
    name: str,
    suite: str,
    address: str,
    *,
    forward: str = "web",
    hostname: str | None = None,
    from_layer: str | None = None,
) -> Host:
    """Boot a host and return when SSH answers; a host that is already up as wanted is left alone."""
    access.prepare()
    below = layer.lower_directories(image.ensure(suite), suite, from_layer)
    tree = TREES / name
    host = Host(
        name=name,
        suite=suite,
        address=address,
        hostname=hostname or name,
        forward=forward,
        tree=str(tree),
        image=below,
    )
    present = known(name)
    if present is not None and alive(name):
        if not as_wanted(present, host):
            raise HostsError(
                f"Host {name} is already up, but not as wanted: Debian {present.suite}, {present.address}, "
                f"in {present.tree} on {present.image}; end it first."
            )
        # The image it was booted from may be outdated by now, which is no reason to take it away from its user.
        host = dataclasses.replace(host, image=present.image)
        _claim(host)
        network.set_forward(address, forward)
        _wait_for_ssh(host, time.monotonic() + BOOT_SECONDS)
        return host
    if present is not None:
        down(name)
    _claim(host)
    try:
        _boot(host)
    except BaseException:
        down(name)
        raise
    return host


def as_wanted(present: Host, wanted: Host) -> bool:
    """Whether a host differs at most in its way to the outside, and in the age of its image."""
    same_layer = _layer_disk(present) == _layer_disk(wanted)
    return same_layer and dataclasses.replace(present, forward=wanted.forward, image=wanted.image) == wanted


def _layer_disk(host: Host) -> str:
    """The layer that a host was booted from, or an empty text."""
    return host.image.rpartition(":")[0]


def _boot(host: Host) -> None:
    deadline = time.monotonic() + BOOT_SECONDS
    tree = Path(host.tree)
    if tree.exists():
        remove_tree(tree)
    root, upper, work = tree / "root", tree / "upper", tree / "work"
    for path in (root, upper, work, UV_CACHE, PIP_CACHE):
        path.mkdir(parents=True, exist_ok=True)
    upper.chmod(0o755)
    options = f"lowerdir={host.image},upperdir={upper},workdir={work},volatile"
    # From here on a layer is in use; until here it may be deleted, and then the mount fails.
    with locked("layers"):
        run(["mount", "-t", "overlay", f"{PREFIX}-{host.name}", "-o", options, str(root)])
    _personalise(host, root)
    space = network.attach(host.name, host.address, host.forward)
    groups = cgroup.create(host.name)

    notify = directory(host.name) / "notify"
    notify.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready, (tree / "console.log").open("wb") as console:
        ready.bind(str(notify))
        ready.settimeout(0.25)
        child = subprocess.Popen(
            ["/bin/sh", "-c", REBOOT_LOOP, "sh", *_nspawn(host, root, space)],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # Before exec, so that nspawn never runs in the control group of the caller.
            preexec_fn=lambda: cgroup.enter(groups),  # noqa: PLW1509
            env={
                "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                "NOTIFY_SOCKET": str(notify),
                "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
                "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network",
            },
        )
        while True:
            with contextlib.suppress(TimeoutError):
                if "READY=1" in ready.recv(4096).decode(errors="replace").splitlines():
                    break
            if child.poll() is not None or time.monotonic() > deadline:
                words = (tree / "console.log").read_text(errors="replace").strip().splitlines()
                raise HostsError(f"Host {host.name} did not boot: {words[-1] if words else 'no output'}")
    _wait_for_ssh(host, deadline)


def _nspawn(host: Host, root: Path, space: Path) -> list[str]:
    return [
        *["systemd-nspawn", "--quiet", "--boot", f"--directory={root}"],
        *[f"--machine={PREFIX}-{host.name}", f"--hostname={host.hostname}"],
        # No machined is needed, and the control group is the one this tool has made.
        *["--register=no", "--keep-unit", "--notify-ready=yes", "--console=pipe"],
        # Joining a ready-made namespace does not keep the capability that nftables and ip need inside.
        *[f"--network-namespace-path={space}", "--capability=CAP_NET_ADMIN"],
        *["--private-users=no", "--resolv-conf=off", "--timezone=off", "--link-journal=no", "--suppress-sync=yes"],
        *[f"--bind={UV_CACHE}:/root/.cache/uv", f"--bind={PIP_CACHE}:/root/.cache/pip"],
    ]


def _personalise(host: Host, root: Path) -> None:
    """Give the tree its name, its name servers and its keys."""
    files = {
        "etc/hostname": (f"{host.hostname}\n", 0o644),
        "etc/hosts": (
            f"127.0.0.1 localhost\n{host.address} {host.hostname}\n::1 localhost ip6-localhost ip6-loopback\n",
            0o644,
        ),
        "etc/resolv.conf": ("".join(f"nameserver {server}\n" for server in network.name_servers()), 0o644),
        "etc/ssh/ssh_host_ed25519_key": (access.HOST_KEY.read_text(), 0o600),
        "etc/ssh/ssh_host_ed25519_key.pub": (access.public(access.HOST_KEY), 0o644),
        "root/.ssh/authorized_keys": (access.public(access.IDENTITY), 0o600),
    }
    for name, (text, mode) in files.items():
        path = root / name
        path.unlink(missing_ok=True)
        path.write_text(text)
        path.chmod(mode)


def _wait_for_ssh(host: Host, deadline: float) -> None:
    while time.monotonic() < deadline:
        with (
            contextlib.suppress(OSError),
            socket.create_connection((host.address, 22), timeout=2) as connection,
        ):
            if connection.recv(4) == b"SSH-":
                return
        time.sleep(0.1)
    raise HostsError(f"Host {host.name} booted, but SSH at {host.address} does not answer.")


def save(name: str, layer_name: str) -> layer.Layer:
    """Stop a host in good order, keep its disk as a layer, and remove what else there is of it."""
    host = known(name)
    if host is None or not alive(name):
        raise HostsError(f"Host {name} is not up: only a host that runs can be stopped in good order and saved.")
    tree = Path(host.tree)
    if tree.parent != TREES:
        raise HostsError(f"Host {name} belongs to another checkout, in {tree}: save it from there.")
    if _layer_disk(host):
        raise HostsError(f"Host {name} was booted from a layer itself, {_layer_disk(host)}: save one that was not.")
    made = layer.Layer(name=layer_name, suite=host.suite, image=host.image)
    layer.refuse_second(layer_name)
    access.close_lasting_connection(host.address)
    _power_off(name)
    unmount_below(tree)
    layer.keep(made, tree / "upper")
    down(name)
    return made


def _power_off(name: str) -> None:
    """Let a host stop its services, as `systemctl poweroff` does."""
    leader = cgroup.leader(name)
    if leader is None:
        raise HostsError(f"Host {name} has no PID 1 that could stop it; end it with `down`.")
    os.kill(leader, signal.SIGRTMIN + 4)
    deadline = time.monotonic() + POWER_OFF_SECONDS
    while cgroup.populated(name):
        if time.monotonic() > deadline:
            raise HostsError(f"Host {name} did not stop within {POWER_OFF_SECONDS:.0f} s; it is left as it is.")
        time.sleep(0.05)


def down(name: str) -> bool:
    """End a host and remove all its traces; returns whether there was anything. Succeeds for absent hosts."""
    host = known(name)
    address = host.address if host else None
    if address is not None:
        access.close_lasting_connection(address)
    cgroup.destroy(name)
    tree = Path(host.tree) if host else TREES / name
    if mounts_below(tree):
        unmount_below(tree)
    with locked("network"):
        network.detach(name, address)
    # nspawn leaves this behind where /run is no tmpfs of its own.
    with contextlib.suppress(OSError):
        Path(f"/run/systemd/nspawn/propagate/{PREFIX}-{name}").rmdir()
    existed = host is not None or tree.exists()
    if tree.exists():
        _discard(tree)
    with locked("hosts"):
        remove_tree(directory(name))
    return existed


def _discard(tree: Path) -> None:
    """Move a tree out of the way and delete it in the background: a virtual environment in it costs seconds."""
    trash = TRASH if tree.parent == TREES else tree.parent.parent / TRASH.name
    trash.mkdir(parents=True, exist_ok=True)
    goal = trash / f"{tree.name}-{os.getpid()}-{time.monotonic_ns()}"
    tree.rename(goal)
    subprocess.Popen(
        ["nice", "rm", "-rf", "--one-file-system", str(goal)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def down_all() -> list[str]:
    """End all hosts that this checkout has started; the bridge goes with the machine's last host."""
    ended = []
    for host in all_hosts():
        if Path(host.tree).parent == TREES:
            down(host.name)
            ended.append(host.name)
    with locked("hosts"), locked("network"):
        if not all_hosts():
            network.remove()
    return ended


def shell(name: str, command: list[str]) -> None:
    """Replace this process by an SSH session in the host."""
    host = known(name)
    if host is None or not alive(name):
        raise HostsError(f"Host {name} is not up.")
    os.execvp("ssh", ["ssh", "-F", str(access.CONFIG), host.address, *command])  # noqa: S606 - no shell wanted
