# SPDX-License-Identifier: GPL-3.0-or-later
"""A private bridge, one network namespace per host, and a packet filter that decides who may reach the outside."""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path

from tools.hosts.process import locked, run
from tools.hosts.settings import GATEWAY, NETWORK, PREFIX

BRIDGE = f"{PREFIX}0"
TABLE = PREFIX
NAMESPACES = Path("/run/netns")
FORWARD_POLICIES = ("web", "none")


def namespace(name: str) -> str:
    """Name of a host's network namespace."""
    return f"{PREFIX}-{name}"


def veth(address: str) -> str:
    """Name of a host's link on the bridge; made from the address, because 15 characters hold no host name."""
    third, fourth = address.split(".")[2:]
    return f"{PREFIX}-{third}-{fourth}"


def mac(address: str) -> str:
    """A hardware address that follows from the IP, so that a re-created host does not meet a stale neighbour entry."""
    return "02:88:" + ":".join(f"{octet:02x}" for octet in ipaddress.IPv4Address(address).packed)


def uplink_mtu() -> int:
    """MTU of the way out; bigger packets of the hosts would vanish silently."""
    routes = json.loads(run(["ip", "-json", "-4", "route", "show", "default"]) or "[]")
    if not routes:
        return 1500
    links = json.loads(run(["ip", "-json", "link", "show", "dev", routes[0]["dev"]]))
    return int(links[0]["mtu"])


def name_servers() -> list[str]:
    """Name servers that a host can reach: those of this machine, without its own loopback ones."""
    for source in (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf")):
        if not source.exists():
            continue
        found = []
        for line in source.read_text().splitlines():
            words = line.split()
            if len(words) >= 2 and words[0] == "nameserver" and ":" not in words[1] and not words[1].startswith("127."):
                found.append(words[1])
        if found:
            return found
    return []


def _ruleset() -> str:
    resolvers = name_servers()
    names = f"ip daddr {{ {', '.join(resolvers)} }} meta l4proto {{ tcp, udp }} th dport 53 accept" if resolvers else ""
    # Rejecting instead of dropping: a dropped query makes every lookup in a closed host hang.
    return f"""
table ip {TABLE} {{
  set web {{
    type ipv4_addr
  }}
  chain hosts_out {{
    ct state established,related accept
    ip saddr != @web reject
    {names}
    tcp dport {{ 80, 443 }} accept
    reject
  }}
  chain filter_forward {{
    type filter hook forward priority filter; policy accept;
    iifname "{BRIDGE}" oifname "{BRIDGE}" accept
    iifname "{BRIDGE}" jump hosts_out
    oifname "{BRIDGE}" ct state established,related accept
    oifname "{BRIDGE}" reject
  }}
  chain source_nat {{
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr {NETWORK} oifname != "{BRIDGE}" masquerade
  }}
}}
"""


def prepare() -> None:
    """Make the bridge and the packet filter, once per machine."""
    if not Path(f"/sys/class/net/{BRIDGE}").exists():
        # Without a hardware address of its own a bridge changes it with its members, and the hosts lose their gateway.
        own = ["address", mac(str(GATEWAY))]
        run(["ip", "link", "add", BRIDGE, *own, "mtu", str(uplink_mtu()), "type", "bridge"])
        run(["ip", "address", "add", f"{GATEWAY}/{NETWORK.prefixlen}", "dev", BRIDGE])
        run(["ip", "link", "set", BRIDGE, "up"])
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    if f"table ip {TABLE}" not in run(["nft", "list", "tables"]).splitlines():
        run(["nft", "-f", "-"], stdin=_ruleset())


def remove() -> None:
    """Take the bridge and the packet filter away, after the last host."""
    run(["nft", "delete", "table", "ip", TABLE], check=False)
    run(["ip", "link", "delete", BRIDGE], check=False)


def attach(name: str, address: str, forward: str) -> Path:
    """Give a host its namespace with a configured eth0 on the bridge; returns the namespace's path."""
    space, link, mtu = namespace(name), veth(address), str(uplink_mtu())
    with locked("network"):
        prepare()
        run(["ip", "netns", "add", space])
        peer = ["peer", "name", "eth0", "mtu", mtu, "address", mac(address), "netns", space]
        run(["ip", "link", "add", link, "mtu", mtu, "type", "veth", *peer])
        run(["ip", "link", "set", link, "master", BRIDGE, "up"])
        inside = ["ip", "-netns", space]
        run([*inside, "link", "set", "lo", "up"])
        run([*inside, "address", "add", f"{address}/{NETWORK.prefixlen}", "dev", "eth0"])
        run([*inside, "link", "set", "eth0", "up"])
        run([*inside, "route", "add", "default", "via", str(GATEWAY)])
        set_forward(address, forward)
    return NAMESPACES / space


def set_forward(address: str, forward: str) -> None:
    """Open (`web`: names, HTTP and HTTPS) or close (`none`) a host's way to the outside."""
    verb = "add" if forward == "web" else "delete"
    run(["nft", verb, "element", "ip", TABLE, "web", f"{{ {address} }}"], check=verb == "add")


def detach(name: str, address: str | None) -> None:
    """Remove a host's namespace, link and permission; nothing to do for a host that does not exist."""
    if (NAMESPACES / namespace(name)).exists():
        run(["ip", "netns", "delete", namespace(name)])
    if address is None:
        return
    # The namespace may live on until its last socket is closed; its link must be free for the next host now.
    if Path(f"/sys/class/net/{veth(address)}").exists():
        run(["ip", "link", "delete", veth(address)], check=False)
    set_forward(address, "none")
