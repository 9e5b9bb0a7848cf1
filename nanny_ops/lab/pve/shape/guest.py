"""Guests as the API shows them."""

import ipaddress
import re
from typing import Any

from nanny_ops.lab.pve.state.guest import Guest, Reading
from nanny_ops.lab.pve.state.node import MIB, Node
from nanny_ops.lab.pve.state.volume import split

PRESSURES = tuple(f"pressure{what}{how}" for what in ("cpu", "io", "memory") for how in ("some", "full"))

Row = dict[str, Any]


def guest_row(guest: Guest, reading: Reading, release: str, node: Node) -> Row:
    """Return a guest's line in /nodes/NODE/lxc or /qemu."""
    row = _figures(guest, reading, node) | {"vmid": guest.vmid, "name": guest.name, "cpus": _cpus(guest, node)}
    row |= {"pid": reading.pid} if reading.running else {}
    row |= _marks(guest) | ({"template": 1} if guest.template else {})
    if guest.kind == "lxc":
        row |= {"type": "lxc", "swap": 0, "maxswap": guest.swap * MIB}
        figure = None
    else:
        del row["diskread"], row["diskwrite"]
        figure = 0
        row |= {"serial": 1} if any(key.startswith("serial") for key in guest.conf) else {}
        row |= {"memhost": reading.memory} if release != "8.4" else {}
    if release != "8.4" and reading.running:
        row |= dict.fromkeys(PRESSURES, figure)
    return row


def guest_current(guest: Guest, reading: Reading, release: str, node: Node) -> Row:
    """Return /nodes/NODE/KIND/VMID/status/current."""
    row = guest_row(guest, reading, release, node) | {"ha": {"managed": 0}}
    if guest.kind == "lxc":
        return row
    row |= {"qmpstatus": "paused" if reading.running and guest.paused else row["status"]} | (
        {"agent": 1} if guest.agent else {}
    )
    if reading.running:
        traffic = {"netin": row["netin"], "netout": row["netout"]}
        nets = sorted(key for key in guest.conf if re.fullmatch(r"net\d+", key))
        row |= {"nics": {f"tap{guest.vmid}i{key[3:]}": traffic for key in nets}}
        row |= {"clipboard": None} if "vga" in guest.conf else {}
    return row


def guest_resource(guest: Guest, reading: Reading, release: str, node: Node) -> Row:
    """Return a guest's line in /cluster/resources; there ``template`` is always told."""
    row = _figures(guest, reading, node) | {"vmid": guest.vmid, "name": guest.name, "type": guest.kind}
    row |= {"id": f"{guest.kind}/{guest.vmid}", "node": guest.node, "maxcpu": _cpus(guest, node)}
    row |= {"template": int(guest.template)} | _marks(guest)
    return row | ({"memhost": 0} if release != "8.4" else {})


def interfaces(guest: Guest) -> list[Row]:
    """Return the network interfaces of a running container, by its configuration; dhcp gives none an address."""
    rows = [_interface("lo", "00:00:00:00:00:00", ["127.0.0.1/8", "::1/128"])]
    for key in sorted(key for key in guest.conf if re.fullmatch(r"net\d+", key)):
        _, options = split(f",{guest.conf[key]}")
        mac = options.get("hwaddr", "00:00:00:00:00:00").lower()
        fixed = [options[name] for name in ("ip", "ip6") if "/" in options.get(name, "")]
        rows.append(_interface(options.get("name", "eth0"), mac, [*fixed, f"{link_local(mac)}/64"]))
    return rows


def link_local(mac: str) -> str:
    """Return the IPv6 address that an interface gives itself."""
    octets = [int(part, 16) for part in mac.split(":")]
    octets[0] ^= 2
    packed = bytes([0xFE, 0x80, *[0] * 6, *octets[:3], 0xFF, 0xFE, *octets[3:]])
    return str(ipaddress.IPv6Address(packed))


def _interface(name: str, mac: str, addresses: list[str]) -> Row:
    row: Row = {"name": name, "hwaddr": mac, "hardware-address": mac, "ip-addresses": []}
    for text in addresses:
        address, _, prefix = text.partition("/")
        family = "inet6" if ":" in address else "inet"
        row[family] = text
        row["ip-addresses"].append({"ip-address": address, "prefix": prefix, "ip-address-type": family})
    return row


def _marks(guest: Guest) -> Row:
    return ({"tags": ";".join(guest.tags)} if guest.tags else {}) | ({"lock": guest.lock} if guest.lock else {})


def _cpus(guest: Guest, node: Node) -> int:
    return guest.cores or node.cpus


def _disk(guest: Guest, reading: Reading, node: Node) -> tuple[int, int]:
    """Return used and possible bytes; a container in a directory has its node's file system, a stopped one uses 0."""
    if guest.kind == "qemu":
        return 0, guest.disk
    first = next(iter(guest.volumes), None)
    shares = first is not None and first.form == "subvol" and not first.size
    if guest.habits.filesystem is not None:
        used, total = guest.habits.filesystem
    elif shares:
        used, total = node.disk_used, node.disk
    else:
        used, total = guest.disk // 4, guest.disk
    return (used, total) if reading.running else (0, node.disk if shares else guest.disk)


def _figures(guest: Guest, reading: Reading, node: Node) -> Row:
    traffic = reading.uptime * 37
    used, total = _disk(guest, reading, node)
    return {
        "status": "running" if reading.running else "stopped",
        "cpu": 0.002 if reading.running else 0,
        "mem": reading.memory,
        "maxmem": guest.memory * MIB,
        "disk": used,
        "maxdisk": total,
        "diskread": 0,
        "diskwrite": 0,
        "netin": traffic,
        "netout": traffic // 3,
        "uptime": reading.uptime,
    }
