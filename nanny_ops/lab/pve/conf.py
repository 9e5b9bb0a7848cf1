"""A guest's configuration: as the API shows it, as the file below ``nodes/`` holds it."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nanny_ops.lab.pve.state.guest import CONF_DIRECTORY, Guest


def settings(guest: Guest) -> dict[str, Any]:
    """Return the settings with the API's names and types, without ``digest``."""
    found = _lxc(guest) if guest.kind == "lxc" else _qemu(guest)
    if guest.tags:
        found["tags"] = ";".join(sorted(guest.tags))
    for key, present in (("onboot", guest.onboot), ("template", guest.template)):
        if present:
            found[key] = 1
    for key, text in (("lock", guest.lock), ("description", guest.description)):
        if text:
            found[key] = text
    return found


def with_digest(guest: Guest) -> dict[str, Any]:
    """Return the settings and the SHA-1 of the file."""
    return {**settings(guest), "digest": hashlib.sha1(render(guest).encode()).hexdigest()}


def render(guest: Guest) -> str:
    """Return the text of the configuration file; the description stands first, as comment lines."""
    found = settings(guest)
    comment = "".join(f"#{line}\n" for line in str(found.pop("description", "")).splitlines())
    return comment + "".join(f"{key}: {found[key]}\n" for key in sorted(found))


@dataclass(frozen=True)
class ConfTree:
    """The configuration files below ``directory``, laid out as Proxmox VE's cluster file system lays them out."""

    directory: Path

    def path(self, guest: Guest) -> Path:
        """Return where a guest's file lies."""
        return self.directory / "nodes" / guest.node / CONF_DIRECTORY[guest.kind] / f"{guest.vmid}.conf"

    def write(self, guest: Guest) -> None:
        """Write a guest's file, whole or not at all."""
        path = self.path(guest)
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(f".tmp.{os.getpid()}")
        fresh.write_text(render(guest))
        fresh.replace(path)

    def remove(self, guest: Guest) -> None:
        """Remove a guest's file."""
        self.path(guest).unlink(missing_ok=True)


def _lxc(guest: Guest) -> dict[str, Any]:
    address = (
        f"gw=10.88.0.1,hwaddr={guest.mac},ip={guest.address}/24" if guest.address else f"hwaddr={guest.mac},ip=dhcp"
    )
    return {
        "arch": "amd64",
        "cores": guest.cores,
        "features": "nesting=1",
        "hostname": guest.name,
        "memory": guest.memory,
        "net0": f"name=eth0,bridge=vmbr0,{address},type=veth",
        "ostype": "debian",
        "rootfs": f"local:{guest.vmid}/vm-{guest.vmid}-disk-0.raw,size={guest.disk}G",
        "swap": guest.swap,
        "unprivileged": 1,
    }


def _qemu(guest: Guest) -> dict[str, Any]:
    return {
        "agent": "1" if guest.agent else "0",
        "boot": "order=scsi0",
        "cores": guest.cores,
        "memory": str(guest.memory),
        "name": guest.name,
        "net0": f"virtio={guest.mac},bridge=vmbr0",
        "ostype": "l26",
        "scsi0": f"local:{guest.vmid}/vm-{guest.vmid}-disk-0.qcow2,size={guest.disk}G",
        "scsihw": "virtio-scsi-pci",
        "sockets": 1,
    }
