"""What Proxmox VE knows of each setting of a guest: its type, who may change it, and when a change takes effect."""

import random
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
#: An interface's address, with the name or the sign before it.
_MAC = re.compile(r"(?:,hwaddr)?=[0-9A-F]{2}(?::[0-9A-F]{2}){5}", re.IGNORECASE)
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
    r"|startup|tags|hookscript|parent|snaptime|hostname",
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


def is_network(name: str) -> bool:
    """Return whether a setting is a network interface."""
    return re.fullmatch(r"net\d+", name) is not None


def fresh_mac(dice: random.Random) -> str:
    """Return an address with the prefix that Proxmox VE gives its guests."""
    return "BC:24:11:" + ":".join(f"{dice.randrange(256):02X}" for _ in range(3))


def with_mac(kind: str, text: str, mac: str) -> str:
    """Return an interface with an address: its own where it has one, else ``mac``."""
    if _MAC.search(text):
        return text
    if kind == "lxc":
        return f"{text},hwaddr={mac}" + ("" if "type=" in text else ",type=veth")
    model, comma, rest = text.removeprefix("model=").partition(",")
    return f"{model}={mac}{comma}{rest}"


def without_mac(text: str) -> str:
    """Return an interface without its address."""
    return _MAC.sub("", text)
