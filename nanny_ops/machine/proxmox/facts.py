"""From the API's answers to the bodies of the Proxmox reports: pure functions."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from nanny_ops.machine.proxmox.guest import tags

Entry = Mapping[str, Any]

#: Keys of a VM's configuration that are disks or network cards; nothing else of it may carry secrets away.
_DEVICE = re.compile(r"(scsi|virtio|sata|ide|efidisk|tpmstate|unused|net)\d+")
_DISK = re.compile(r"(scsi|virtio|sata|ide)\d+")
_MIB = 1024 * 1024
_LXC_TEXTS = ("rootfs", "net0", "ostype", "arch", "hostname", "searchdomain", "nameserver", "features", "timezone")
_QEMU_TEXTS = ("agent", "boot", "cpu", "machine", "ostype")
_BOTH = {"cores", "memory", "tags", "protection", "onboot", "description"}
_LXC = frozenset({*_LXC_TEXTS, *_BOTH, "swap", "unprivileged"})
_QEMU = frozenset({*_QEMU_TEXTS, *_BOTH, "name", "sockets", "bootdisk"})
#: Characters of a description that are told.
_DESCRIPTION = 16_384


def local_node(status: Sequence[Entry]) -> Entry | None:
    """Return the node that answers, from /cluster/status."""
    return next((entry for entry in status if entry.get("type") == "node" and entry.get("local") == 1), None)


def node_by_certificate(nodes: Sequence[Entry], fingerprint: str) -> str:
    """Return the node whose certificate has this SHA-256 (hex), from /nodes; empty where none or several have it."""
    same = [
        str(entry["node"])
        for entry in nodes
        if fingerprint and str(entry.get("ssl_fingerprint") or "").replace(":", "").lower() == fingerprint
    ]
    return same[0] if len(same) == 1 else ""


def cluster_entry(status: Sequence[Entry]) -> Entry | None:
    """Return the row of the cluster, None outside one."""
    return next((entry for entry in status if entry.get("type") == "cluster"), None)


def cluster_id(certificates: Sequence[Entry]) -> str:
    """Return the cluster's stable name ``pve-<16 hex>``, from its root CA; empty if that is not among these."""
    for entry in certificates:
        if entry.get("file") == "pve-root-ca.pem" and entry.get("fingerprint"):
            return "pve-" + str(entry["fingerprint"]).replace(":", "").lower()[:16]
    return ""


def relevant(kind: str, config: Entry) -> dict[str, Any]:
    """Return what is told of a guest's configuration; nothing else of it may carry secrets away."""
    words = _LXC if kind == "lxc" else _QEMU
    return {key: value for key, value in config.items() if key in words or (kind == "qemu" and _DEVICE.fullmatch(key))}


def cluster_body(entry: Entry, identity: str, vmids: list[int] | None) -> dict[str, Any]:
    """Return the body of a cluster's report; ``vmids`` None means that the list is not known to be complete."""
    body = {
        "cluster_name": str(entry["name"]),
        "cluster_id": identity,
        "nodes": int(entry.get("nodes", 0)),
        "quorate": int(entry.get("quorate", 0)),
        "version": int(entry.get("version", 0)),
    }
    return body if vmids is None else {**body, "guests": vmids}


def node_body(entry: Entry, pve_version: str, vmids: list[int] | None) -> dict[str, Any]:
    """Return the body of a node's report; ``vmids`` only for a node outside a cluster."""
    body = {
        "name": str(entry["name"]),
        "node_id": int(entry.get("nodeid", 0)),
        "ip": str(entry.get("ip", "")),
        "online": int(entry.get("online", 0)),
        "local": int(entry.get("local", 0)),
        "level": str(entry.get("level") or ""),
        "pve_version": pve_version,
    }
    return body if vmids is None else {**body, "guests": vmids}


def vmids(resources: Sequence[Entry]) -> list[int]:
    """Return all guests' numbers, sorted."""
    return sorted(int(entry["vmid"]) for entry in resources if "vmid" in entry)


def lxc_body(resource: Entry, config: Entry | None) -> dict[str, Any]:
    """Return the body of a container's report; without its configuration, what the list of resources tells."""
    body = {**_common(resource, "CT"), "lxc_id": f"lxc/{resource['vmid']}"}
    if config is None:
        return body
    return {
        **body,
        **_configured(config),
        **{word: str(config.get(word, "")) for word in _LXC_TEXTS},
        "name": str(config.get("hostname") or body["name"]),
        "cpu_cores": _number(config.get("cores"), body["cpu_cores"]),
        "memory_mb": _number(config.get("memory"), body["memory_mb"]),
        "swap_mb": _number(config.get("swap"), None),
        "unprivileged": bool(_number(config.get("unprivileged"), 0)),
        "protection": bool(_number(config.get("protection"), 0)),
    }


def qemu_body(resource: Entry, config: Entry | None) -> dict[str, Any]:
    """Return the body of a virtual machine's report, its disks and network cards as further keys."""
    body = {**_common(resource, "VM"), "qemu_id": f"qemu/{resource['vmid']}"}
    if config is None:
        return body
    cores, sockets = _number(config.get("cores"), 1), _number(config.get("sockets"), 1)
    return {
        **body,
        **_configured(config),
        **{word: str(config.get(word, "")) for word in _QEMU_TEXTS},
        **{key: str(value) for key, value in sorted(config.items()) if _DEVICE.fullmatch(key)},
        "name": str(config.get("name") or body["name"]),
        "cpu_cores": (cores or 1) * (sockets or 1),
        "cores": cores,
        "sockets": sockets,
        "memory_mb": _number(config.get("memory"), body["memory_mb"]),
        "bootdisk": str(config.get("bootdisk") or boot_disk(str(config.get("boot", "")), config)),
    }


def boot_disk(boot: str, config: Entry) -> str:
    """Return the first disk of a boot order such as ``order=scsi0;ide2;net0``; a CD-ROM is none."""
    order = boot.partition("order=")[2].split(",")[0].split(";")
    disks = (name for name in order if _DISK.fullmatch(name))
    return next((name for name in disks if "media=cdrom" not in str(config.get(name, ""))), "")


def _common(resource: Entry, prefix: str) -> dict[str, Any]:
    return {
        "name": str(resource.get("name") or f"{prefix}{resource['vmid']}"),
        "status": str(resource.get("status") or "unknown"),
        "vmid": int(resource["vmid"]),
        "node": str(resource["node"]),
        "uptime": int(resource.get("uptime") or 0),
        "cpu_cores": resource.get("maxcpu"),
        "memory_mb": resource["maxmem"] // _MIB if "maxmem" in resource else None,
        "tags": tags(str(resource.get("tags") or "")),
        "pool": str(resource.get("pool") or ""),
        "lock": str(resource.get("lock") or ""),
        "template": bool(resource.get("template")),
        "ha_state": str(resource.get("hastate") or ""),
    }


def _configured(config: Entry) -> dict[str, Any]:
    """Return what both kinds of configurations tell alike."""
    return {
        "tags": tags(str(config.get("tags") or "")),
        "onboot": bool(_number(config.get("onboot"), 0)),
        "description": str(config.get("description") or "")[:_DESCRIPTION],
    }


def _number(value: Any, otherwise: int | None) -> int | None:
    """Read a whole number that the API may write as one, as text, or as ``current=2048``."""
    digits = re.match(r"(?:current=)?(\d+)", str(value)) if value is not None else None
    return int(digits.group(1)) if digits else otherwise
