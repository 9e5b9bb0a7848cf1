"""From the rows of /cluster/resources to usage: guests, nodes, storages. What a row does not hold is unknown."""

from collections.abc import Mapping, Sequence
from math import fsum
from typing import Any

from nanny_ops.machine.proxmox.guest import whole

Entry = Mapping[str, Any]
Body = dict[str, Any]

_COUNTS = ("mem", "maxmem", "disk", "maxdisk", "netin", "netout", "diskread", "diskwrite")
#: The status of a guest whose node is offline: the row still says what it was (PVE-36).
UNKNOWN = "unknown"


def guest(row: Entry, online: bool) -> Body:
    """Return one guest's usage; of one whose node is offline nothing is known but where it was."""
    body: Body = {
        "vmid": int(row["vmid"]),
        "kind": str(row["type"]),
        "node": str(row["node"]),
        "status": guest_status(row, online),
    }
    if not online:
        return body
    body["uptime"] = whole(row.get("uptime"))
    body.update({"cpu": row.get("cpu"), "cpus": row.get("maxcpu")})
    body.update({name: row.get(name) for name in _COUNTS})
    if row.get("type") == "qemu" and not row.get("disk"):
        body["disk"] = None  # Proxmox VE cannot look into a VM's disks; 0 would be a lie
    return body


def hour(entries: Sequence[Entry]) -> Body | None:
    """Return an hour of rrddata in short, None where no minute is known; those without data have a time only."""
    known = [one for one in entries if one.get("cpu") is not None]
    if not known:
        return None
    body: Body = {"until": max(whole(one.get("time")) for one in known), "points": len(known)}
    for name in ("cpu", "mem"):
        values = _numbers(known, name)
        body[f"{name}_mean"], body[f"{name}_max"] = _mean(values), max(values, default=None)
    return body | {name: _mean(_numbers(known, name)) for name in ("netin", "netout", "diskread", "diskwrite")}


def guest_status(row: Entry, online: bool) -> str:
    """Return a guest's status as far as it is known."""
    return str(row.get("status") or UNKNOWN) if online else UNKNOWN


def node(row: Entry, online: bool | None) -> Body:
    """Return the usage of a node that another one tells of; None: nobody knows whether it is there."""
    body: Body = {"node": str(row["node"]), "status": UNKNOWN if online is None else "online" if online else "offline"}
    if not online:
        return body
    return {
        **body,
        "uptime": whole(row.get("uptime")),
        "cpu": row.get("cpu"),
        "cpus": row.get("maxcpu"),
        **{name: row.get(name) for name in ("mem", "maxmem", "disk", "maxdisk")},
    }


def storage(row: Entry, online: bool) -> Body:
    """Return one storage as one node sees it."""
    active = online and row.get("status") == "available"
    return {
        "storage": str(row["storage"]),
        "node": str(row["node"]),
        "type": str(row.get("plugintype") or ""),
        "status": str(row.get("status") or UNKNOWN) if online else UNKNOWN,
        "shared": bool(row.get("shared")),
        "content": ",".join(sorted(str(row.get("content") or "").split(","))),
        "used": row.get("disk") if active else None,
        "total": row.get("maxdisk") if active else None,
    }


def of_type(rows: Sequence[Entry], *kinds: str) -> list[Entry]:
    """Return the rows of some types, sorted: the API's order is random for each call."""
    return sorted((row for row in rows if row.get("type") in kinds), key=lambda row: str(row.get("id")))


def _numbers(entries: Sequence[Entry], name: str) -> list[float]:
    return [float(one[name]) for one in entries if one.get(name) is not None]


def _mean(values: Sequence[float]) -> float | None:
    return fsum(values) / len(values) if values else None
