"""From the API's answers about a node to the wire's words: software, disks, certificates, services, updates."""

from collections.abc import Mapping, Sequence
from typing import Any

from nanny_ops.machine.proxmox.guest import whole

Entry = Mapping[str, Any]
Body = dict[str, Any]

#: Packages whose versions say what a node is; all of them would be sixty.
PACKAGES = frozenset(
    {
        "proxmox-ve",
        "pve-manager",
        "pve-kernel-helper",
        "qemu-server",
        "pve-qemu-kvm",
        "pve-container",
        "lxc-pve",
        "ceph",
    }
    | {"corosync", "pve-cluster", "pve-ha-manager", "libpve-storage-perl", "proxmox-backup-client", "zfsutils-linux"}
)
#: Seconds by which clocks may differ before that is told; an answer's own way takes some of them.
CLOCK = 2.0


def status(entry: Entry) -> Body:
    """Return what every cycle tells of a node's software and hardware."""
    kernel = entry.get("current-kernel")
    return {
        "kernel": str(kernel["release"] if isinstance(kernel, Mapping) else entry.get("kversion") or "")[:255],
        "cpu_model": str((entry.get("cpuinfo") or {}).get("model") or "")[:255],
        "boot_mode": str((entry.get("boot-info") or {}).get("mode") or ""),
    }


def usage(node: str, entry: Entry) -> Body:
    """Return a node's usage; loads come as texts."""
    memory, root, swap = (entry.get(part) or {} for part in ("memory", "rootfs", "swap"))
    return {
        "node": node,
        "status": "online",
        "uptime": whole(entry.get("uptime")),
        "cpu": entry.get("cpu"),
        "cpus": (entry.get("cpuinfo") or {}).get("cpus"),
        "mem": memory.get("used"),
        "maxmem": memory.get("total"),
        "disk": root.get("used"),
        "maxdisk": root.get("total"),
        "swap": swap.get("used"),
        "maxswap": swap.get("total"),
        "iowait": entry.get("wait"),
        "load": [float(one) for one in entry.get("loadavg") or []][:3],
    }


def subscription(entry: Entry) -> Body:
    """Return the state of a node's subscription."""
    return {
        "subscription": str(entry.get("status") or "").lower(),
        "subscription_due": str(entry.get("nextduedate") or ""),
    }


def versions(entries: Sequence[Entry]) -> Body:
    """Return the versions of the packages that matter, and nothing of those that are not installed."""
    found = {str(one["Package"]): str(one.get("OldVersion") or "") for one in entries if one.get("OldVersion")}
    return {"versions": {name: found[name] for name in sorted(found) if name in PACKAGES}}


def updates(entries: Sequence[Entry]) -> Body:
    """Return how many packages have a newer version, as of the node's last look at its mirrors."""
    return {"pending_updates": len(entries)}


def disks(entries: Sequence[Entry]) -> Body:
    """Return a node's disks with what SMART says."""
    found = [
        {
            "path": str(one.get("devpath") or ""),
            "model": _known(one.get("model")),
            "serial": _known(one.get("serial")),
            "type": _known(one.get("type")),
            "size": whole(one.get("size")),
            "used_for": str(one.get("used") or ""),
            "health": str(one.get("health") or "").upper(),
            "wearout": _percent(one.get("wearout")),
        }
        for one in entries
        if one.get("devpath")
    ]
    return {"disks": sorted(found, key=lambda one: str(one["path"]))[:1024]}


def zfs(entries: Sequence[Entry]) -> Body:
    """Return a node's ZFS pools."""
    found = [
        {
            "name": str(one["name"]),
            "health": str(one.get("health") or ""),
            "size": whole(one.get("size")),
            "allocated": whole(one.get("alloc")),
            "fragmentation": _percent(one.get("frag")),
        }
        for one in entries
    ]
    return {"zfs": sorted(found, key=lambda one: str(one["name"]))[:256]}


def certificates(entries: Sequence[Entry]) -> Body:
    """Return a node's certificates and when they expire."""
    found = [
        {
            "file": str(one["filename"]),
            "subject": str(one.get("subject") or "")[:4096],
            "fingerprint": str(one.get("fingerprint") or ""),
            "expires": whole(one.get("notafter")),
        }
        for one in entries
        if one.get("filename")
    ]
    return {"certificates": sorted(found, key=lambda one: str(one["file"]))[:64]}


def services(entries: Sequence[Entry]) -> Body:
    """Return the services that Proxmox VE watches, without those that are not installed."""
    found = [
        {
            "name": str(one["service"]),
            "state": str(one.get("state") or ""),
            "enabled": str(one.get("unit-state") or ""),
        }
        for one in entries
        if one.get("unit-state") != "not-found"
    ]
    return {"services": sorted(found, key=lambda one: one["name"])[:256]}


def clock(entry: Entry, ours: float) -> Body:
    """Return a node's time zone, and by how many seconds its clock is ahead of ours; 0 while that is not telling."""
    offset = whole(entry.get("time")) - ours
    return {"timezone": str(entry.get("timezone") or ""), "clock_offset": round(offset) if abs(offset) > CLOCK else 0.0}


def _known(value: Any) -> str:
    text = str(value or "").strip()
    return "" if text == "unknown" else text[:255]


def _percent(value: Any) -> float | None:
    try:
        return max(0.0, float(value))
    except (TypeError, ValueError):
        return None
