"""A Debian root file system that systemd boots, made once by debootstrap and kept in the cache."""

import hashlib
import shutil
from pathlib import Path

from nanny_ops.lab.image import DEAD_WEIGHT, debootstrapped, made_once

#: What a machine has that the smallest Debian lacks: what nodes of Proxmox VE have, and what its guests have.
PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "iproute2", "openssh-server", "python3", "python3-venv", "lxc"),
    "qemu-guest-agent",
)
#: Started at boot; the machine's address stands in a file for it.
NETWORK = "usr/lib/systemd/system/systemd-networkd.service"
#: lxc's bridge needs more packages, and its autostart waits 30 s for it; apt's timers would disturb measurements.
OFF = ("lxc.service", "lxc-net.service", "apt-daily.timer", "apt-daily-upgrade.timer")


def machine_image(cache: Path, suite: str, *, mirror: str = "", more: tuple[str, ...] = ()) -> Path:
    """Return the directory of a Debian with systemd, building it on first use: half a minute to three, 360 MB.

    ``mirror`` is by default the one that apt is configured with, ``more`` are further packages. Raises SettingsError,
    MachineError.
    """
    packages = PACKAGES + more
    recipe = hashlib.sha256(f"{suite}\n{packages}\n{DEAD_WEIGHT}\n{NETWORK}\n{OFF}\n1".encode()).hexdigest()[:12]
    return made_once(cache / f"machine-{suite}-{recipe}", lambda root: _build(root, suite, packages, mirror))


def _build(root: Path, suite: str, packages: tuple[str, ...], mirror: str) -> None:
    debootstrapped(root, suite, mirror, packages)
    for relative in (*DEAD_WEIGHT, "var/lib/apt/lists"):
        shutil.rmtree(root / relative, ignore_errors=True)
        (root / relative).mkdir(parents=True)
    for relative in ("var/cache/apt/archives/partial", "var/lib/apt/lists/partial"):
        (root / relative).mkdir(parents=True)
    (root / "etc/apt/sources.list").unlink(missing_ok=True)
    (root / "etc/resolv.conf").unlink(missing_ok=True)
    (root / "etc/resolv.conf").write_text("")
    units = root / "etc/systemd/system"
    (units / "multi-user.target.wants").mkdir(parents=True, exist_ok=True)
    (units / "multi-user.target.wants/systemd-networkd.service").symlink_to(f"/{NETWORK}")
    for unit in OFF:
        (units / unit).unlink(missing_ok=True)
        (units / unit).symlink_to("/dev/null")
