"""What Proxmox VE knows of each setting of a guest: its type, who may change it, and when a change takes effect."""

import re
from typing import Any

from nanny_ops.lab.pve.state.guest import sorted_tags
from nanny_ops.lab.pve.state.snapshot import lines

#: Settings that the API shows as whole numbers; ``memory`` only of containers.
_NUMBERS = frozenset(
    {
        *("cores", "cpuunits", "swap", "onboot", "unprivileged", "template", "protection", "console", "tty", "debug"),
        *("snaptime", "sockets", "vcpus", "numa", "balloon", "shares", "kvm", "acpi", "tablet", "freeze", "localtime"),
        *("reboot", "autostart", "ciupgrade", "migrate_downtime"),
    }
)
#: Settings that a guest cannot be without.
REQUIRED: dict[str, frozenset[str]] = {"lxc": frozenset({"rootfs"}), "qemu": frozenset()}
#: Settings of a machine that a token, even of root@pam, may not change.
ROOT_ONLY = frozenset({"args", "lock", "hookscript", "affinity"})
#: Of each kind: pattern of a setting's name -> the privilege to change it.
_PRIVILEGES: dict[str, tuple[tuple[str, str], ...]] = {
    "lxc": (
        (r"cores|cpulimit|cpuunits", "VM.Config.CPU"),
        (r"rootfs|mp\d+|unused\d+", "VM.Config.Disk"),
        (r"memory|swap", "VM.Config.Memory"),
        (r"net\d+|nameserver|searchdomain|hostname", "VM.Config.Network"),
    ),
    "qemu": (
        (r"cores|sockets|vcpus|cpulimit|cpuunits|cpu|affinity|numa\d*", "VM.Config.CPU"),
        (r"(scsi|virtio|sata|ide|unused|efidisk|tpmstate)\d+", "VM.Config.Disk"),
        (r"memory|balloon|shares|hugepages", "VM.Config.Memory"),
        (r"net\d+|ipconfig\d+|nameserver|searchdomain", "VM.Config.Network"),
        (r"ciuser|cipassword|citype|cicustom|sshkeys", "VM.Config.Cloudinit"),
        (r"bios|machine|scsihw|vga|serial\d+|audio\d+|rng\d+|watchdog|kvm|acpi|tablet|arch", "VM.Config.HWType"),
    ),
}
#: Of each kind: settings (as a pattern) whose change a running guest notices at once.
_AT_ONCE: dict[str, str] = {
    "lxc": r"memory|swap|cores|cpulimit|cpuunits|net\d+|mp\d+|unused\d+|lock|onboot|protection|description"
    r"|startup|tags|hookscript|parent|snaptime",
    "qemu": r"lock|name|onboot|protection|description|startup|tags|hookscript|boot|bootdisk|shares|parent|snaptime"
    r"|vmstatestorage|net\d+|balloon|cpulimit|cpuunits|(scsi|virtio|sata|unused)\d+",
}


def typed(kind: str, name: str, text: str) -> Any:
    """Return a value as the configuration holds it."""
    if name in _NUMBERS or (name == "memory" and kind == "lxc"):
        return int(text)
    if name == "description":
        return lines(text)
    return sorted_tags(text) if name == "tags" else text


def privilege(kind: str, name: str) -> str:
    """Return the privilege that changing a setting needs."""
    needed = (privilege for pattern, privilege in _PRIVILEGES[kind] if re.fullmatch(pattern, name))
    return next(needed, "VM.Config.Options")


def takes_effect_at_once(kind: str, name: str) -> bool:
    """Return whether a running guest notices a change of this setting; others wait for its next start."""
    return re.fullmatch(_AT_ONCE[kind], name) is not None
