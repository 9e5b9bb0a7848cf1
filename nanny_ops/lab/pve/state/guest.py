"""Guests, who runs them, and who keeps their configuration files."""

from dataclasses import dataclass, field
from typing import Literal, Protocol

from nanny_ops.lab.pve.state.clock import Clock
from nanny_ops.lab.pve.state.node import MIB

Kind = Literal["lxc", "qemu"]
#: Kind -> directory of its configuration files below ``nodes/NAME``.
CONF_DIRECTORY: dict[str, str] = {"lxc": "lxc", "qemu": "qemu-server"}
#: Kind -> the word that Proxmox VE's sentences use.
WORD: dict[str, str] = {"lxc": "CT", "qemu": "VM"}


@dataclass
class Guest:
    """One container or virtual machine; ``memory`` and ``swap`` in MiB, ``disk`` in GiB."""

    vmid: int
    kind: Kind
    node: str
    name: str
    cores: int = 1
    memory: int = 512
    swap: int = 512
    disk: int = 4
    tags: tuple[str, ...] = ()
    address: str = ""
    mac: str = "BC:24:11:00:00:01"
    description: str = ""
    onboot: bool = False
    template: bool = False
    lock: str = ""
    agent: bool = True
    #: True for a container that LXC runs on this host.
    real: bool = False


@dataclass(frozen=True)
class Reading:
    """What a guest does now: ``uptime`` in seconds, ``memory`` in bytes."""

    running: bool = False
    pid: int = 0
    uptime: int = 0
    memory: int = 0


class Power(Protocol):
    """Who runs the guests."""

    def read(self, guest: Guest) -> Reading:
        """Return what a guest does now."""

    def start(self, guest: Guest) -> None:
        """Start it. Raises MachineError."""

    def stop(self, guest: Guest) -> None:
        """Stop it at once."""

    def shutdown(self, guest: Guest, timeout: float) -> bool:
        """Ask it to end within ``timeout`` seconds; return whether it did."""

    def destroy(self, guest: Guest) -> None:
        """Remove it with its disk."""


class Records(Protocol):
    """Who keeps the configuration files."""

    def write(self, guest: Guest) -> None:
        """Write a guest's file."""

    def remove(self, guest: Guest) -> None:
        """Remove a guest's file."""


@dataclass
class Figures:
    """A power that only pretends, for virtual machines and for tests; ``clock`` gives seconds of the epoch."""

    clock: Clock
    since: dict[int, float] = field(default_factory=dict)

    def read(self, guest: Guest) -> Reading:
        """Return what was noted."""
        since = self.since.get(guest.vmid)
        if since is None:
            return Reading()
        return Reading(True, 100_000 + guest.vmid, max(0, int(self.clock() - since)), guest.memory * MIB * 2 // 5)

    def start(self, guest: Guest) -> None:
        """Note that it runs."""
        self.since[guest.vmid] = self.clock()

    def stop(self, guest: Guest) -> None:
        """Note that it does not."""
        self.since.pop(guest.vmid, None)

    def shutdown(self, guest: Guest, timeout: float) -> bool:
        """Stop it, whatever the ``timeout``."""
        self.stop(guest)
        return timeout >= 0

    def destroy(self, guest: Guest) -> None:
        """Forget it."""
        self.stop(guest)
