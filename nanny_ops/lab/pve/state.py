"""The state of one pretended cluster: nodes, guests, storages, locks; what changes them; nothing about HTTP."""

import threading
from dataclasses import dataclass, field
from typing import Literal, Protocol

from nanny_ops.lab.pve.refusal import Refusal

Kind = Literal["lxc", "qemu"]
GIB = 1 << 30
MIB = 1 << 20
#: Kind -> directory of its configuration files below ``nodes/NAME``.
CONF_DIRECTORY: dict[str, str] = {"lxc": "lxc", "qemu": "qemu-server"}
#: Kind -> the word that Proxmox VE's sentences use.
WORD: dict[str, str] = {"lxc": "CT", "qemu": "VM"}


class Clock(Protocol):
    """Tells the time."""

    def __call__(self) -> float:
        """Return seconds of the epoch."""


@dataclass
class Node:
    """One node; ``memory`` and ``disk`` in bytes, ``booted`` in seconds of the epoch."""

    name: str
    nodeid: int
    ip: str
    cpus: int = 8
    memory: int = 32 * GIB
    disk: int = 200 * GIB
    memory_used: int = 9 * GIB
    disk_used: int = 40 * GIB
    load: float = 0.4
    booted: float = 0.0
    online: bool = True
    fingerprint: str = ""


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
class Cluster:
    """The whole state; every method may be called from any thread."""

    name: str
    release: str
    nodes: dict[str, Node]
    power: Power
    records: Records
    quorate: bool = True
    guests: dict[int, Guest] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    @property
    def standalone(self) -> bool:
        """Return whether this is one node outside a cluster."""
        return len(self.nodes) == 1

    def list_guests(self, *, node: str | None = None, kind: Kind | None = None) -> list[Guest]:
        """Return the guests of a node and kind, or all."""
        with self._lock:
            return [g for g in self.guests.values() if node in (None, g.node) and kind in (None, g.kind)]

    def find(self, node: str, kind: Kind, vmid: int) -> Guest:
        """Return the guest of that kind on that node. Raises Refusal with Proxmox VE's sentence."""
        with self._lock:
            guest = self.guests.get(vmid)
        if guest is None or guest.node != node or guest.kind != kind:
            raise Refusal(500, f"Configuration file 'nodes/{node}/{CONF_DIRECTORY[kind]}/{vmid}.conf' does not exist")
        return guest

    def create(self, guest: Guest) -> None:
        """Add a guest. Raises Refusal when its id is taken."""
        with self._lock:
            if taken := self.guests.get(guest.vmid):
                raise Refusal(500, f"{WORD[guest.kind]} {guest.vmid} already exists on node '{taken.node}'")
            self.guests[guest.vmid] = guest
            self.records.write(guest)

    def update(self, vmid: int, **changes: object) -> None:
        """Change fields of a guest, such as ``lock`` or ``tags``."""
        with self._lock:
            guest = self.guests[vmid]
            for name, value in changes.items():
                if not hasattr(guest, name):
                    raise AttributeError(name)
                setattr(guest, name, value)
            self.records.write(guest)

    def migrate(self, vmid: int, node: str) -> None:
        """Let a guest live on another node from now on; it goes on running."""
        with self._lock:
            guest = self.guests[vmid]
            self.records.remove(guest)
            guest.node = self.nodes[node].name
            self.records.write(guest)

    def destroy(self, vmid: int) -> None:
        """Remove a guest with its configuration and its disk."""
        with self._lock:
            guest = self.guests.pop(vmid)
            self.records.remove(guest)
        self.power.destroy(guest)

    def set_online(self, node: str, *, online: bool) -> None:
        """Let a node fail or come back; a cluster with half of its nodes or fewer has no quorum."""
        with self._lock:
            self.nodes[node].online = online
            self.quorate = sum(n.online for n in self.nodes.values()) * 2 > len(self.nodes)

    def need_quorum(self) -> None:
        """Raise Refusal when the cluster has none."""
        if not self.quorate:
            raise Refusal(500, "cluster not ready - no quorum?")


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
