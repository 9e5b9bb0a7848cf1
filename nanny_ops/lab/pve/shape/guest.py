"""Guests as the API shows them."""

from typing import Any

from nanny_ops.lab.pve.state.guest import Guest, Reading
from nanny_ops.lab.pve.state.node import GIB, MIB

PRESSURES = tuple(f"pressure{what}{how}" for what in ("cpu", "io", "memory") for how in ("some", "full"))

Row = dict[str, Any]


def guest_row(guest: Guest, reading: Reading, release: str) -> Row:
    """Return a guest's line in /nodes/NODE/lxc or /qemu."""
    row = _guest_figures(guest, reading) | {"vmid": guest.vmid, "name": guest.name, "cpus": guest.cores}
    row |= {"pid": reading.pid} if reading.running else {}
    row |= {"tags": ";".join(sorted(guest.tags))} if guest.tags else {}
    row |= {"lock": guest.lock} if guest.lock else {}
    row |= {"template": 1} if guest.template else {}
    if guest.kind == "lxc":
        row |= {"type": "lxc", "swap": 0, "maxswap": guest.swap * MIB}
        figure = None
    else:
        del row["diskread"], row["diskwrite"]
        figure = 0
        row |= {"memhost": reading.memory} if release != "8.4" else {}
    if release != "8.4" and reading.running:
        row |= dict.fromkeys(PRESSURES, figure)
    return row


def guest_current(guest: Guest, reading: Reading, release: str) -> Row:
    """Return /nodes/NODE/KIND/VMID/status/current."""
    row = guest_row(guest, reading, release) | {"ha": {"managed": 0}}
    if guest.kind == "qemu":
        row |= {"qmpstatus": row["status"]} | ({"agent": 1} if guest.agent else {})
        if reading.running:
            row |= {"nics": {f"tap{guest.vmid}i0": {"netin": row["netin"], "netout": row["netout"]}}, "clipboard": None}
    return row


def guest_resource(guest: Guest, reading: Reading, release: str) -> Row:
    """Return a guest's line in /cluster/resources; there ``template`` is always told."""
    row = _guest_figures(guest, reading) | {"vmid": guest.vmid, "name": guest.name, "type": guest.kind}
    row |= {"id": f"{guest.kind}/{guest.vmid}", "node": guest.node, "maxcpu": guest.cores}
    row["template"] = int(guest.template)
    row |= {"tags": ";".join(sorted(guest.tags))} if guest.tags else {}
    row |= {"lock": guest.lock} if guest.lock else {}
    return row | ({"memhost": 0} if release != "8.4" else {})


def _guest_figures(guest: Guest, reading: Reading) -> Row:
    traffic = reading.uptime * 37
    return {
        "status": "running" if reading.running else "stopped",
        "cpu": 0.002 if reading.running else 0,
        "mem": reading.memory,
        "maxmem": guest.memory * MIB,
        "disk": guest.disk * GIB // 4 if reading.running and guest.kind == "lxc" else 0,
        "maxdisk": guest.disk * GIB,
        "diskread": 0,
        "diskwrite": 0,
        "netin": traffic,
        "netout": traffic // 3,
        "uptime": reading.uptime,
    }
