"""Guests, who runs them, and who keeps their configuration files."""

import re
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from nanny_ops.lab.pve.state.clock import Clock
from nanny_ops.lab.pve.state.node import MIB
from nanny_ops.lab.pve.state.volume import Volume, volumes_of

Kind = Literal["lxc", "qemu"]
#: Settings as the API shows them: text, and whole numbers where the schema has numbers or booleans.
Conf = dict[str, Any]
#: Kind -> directory of its configuration files below ``nodes/NAME``.
CONF_DIRECTORY: dict[str, str] = {"lxc": "lxc", "qemu": "qemu-server"}
#: Kind -> the word that Proxmox VE's sentences use.
WORD: dict[str, str] = {"lxc": "CT", "qemu": "VM"}
#: What separates tags; they are kept sorted, with semicolons between them.
_TAGS = re.compile(r"[;,\s]+")


@dataclass
class Habits:
    """How a pretended guest behaves, which its configuration does not tell."""

    #: It ends when asked to.
    heeds_shutdown: bool = True
    #: The guest agent runs in it.
    agent_answers: bool = True
    #: QEMU can write its running state down.
    saves_state: bool = True
    #: Bytes that its file system holds and can hold; None: a container's is as large as its volume, a quarter full.
    filesystem: tuple[int, int] | None = None
    #: The address of a machine, which only its agent knows.
    address: str = ""
    #: What the agent of a machine says of its operating system, where it differs from the lab's usual one.
    system: dict[str, str] = field(default_factory=dict)


@dataclass
class Guest:
    """One container or virtual machine: its configuration, its snapshots, and what waits for its next start."""

    vmid: int
    kind: Kind
    node: str
    conf: Conf = field(default_factory=dict)
    #: Name -> the configuration as it was, with ``snaptime`` in seconds of the epoch.
    snapshots: dict[str, Conf] = field(default_factory=dict)
    #: Setting -> its value from the next start on; None: it will be gone.
    pending: Conf = field(default_factory=dict)
    habits: Habits = field(default_factory=Habits)
    #: True for a container that LXC runs on this host.
    real: bool = False
    #: The processors of a machine stand still, though it runs.
    paused: bool = False
    #: Until when (seconds of the epoch) the lock is held that migrations and snapshots need.
    busy_until: float = 0.0
    #: Since when (seconds of the epoch) it exists.
    born: float = 0.0

    @property
    def name(self) -> str:
        """Return the host name of a container, the name of a virtual machine."""
        default = f"{WORD[self.kind]}{self.vmid}" if self.kind == "lxc" else f"VM {self.vmid}"
        return str(self.conf.get("hostname" if self.kind == "lxc" else "name", default))

    @property
    def cores(self) -> int:
        """Return the number of processors, 0 for a container that may use all of its node's."""
        if self.kind == "lxc":
            return int(self.conf.get("cores", 0))
        return int(self.conf.get("cores", 1)) * int(self.conf.get("sockets", 1))

    @property
    def memory(self) -> int:
        """Return the memory in MiB."""
        return int(str(self.conf.get("memory", 512)).removeprefix("current="))

    @property
    def swap(self) -> int:
        """Return the swap space in MiB."""
        return int(self.conf.get("swap", 512))

    @property
    def lock(self) -> str:
        """Return the lock, empty without one."""
        return str(self.conf.get("lock", ""))

    @property
    def template(self) -> bool:
        """Return whether it is a template."""
        return bool(self.conf.get("template"))

    @property
    def onboot(self) -> bool:
        """Return whether it starts with its node."""
        return bool(self.conf.get("onboot"))

    @property
    def protected(self) -> bool:
        """Return whether it must not be removed."""
        return bool(self.conf.get("protection"))

    @property
    def agent(self) -> bool:
        """Return whether its configuration has a guest agent."""
        first = str(self.conf.get("agent", "0")).split(",")[0]
        return first in {"1", "enabled=1"}

    @property
    def tags(self) -> tuple[str, ...]:
        """Return the tags."""
        return tuple(filter(None, str(self.conf.get("tags", "")).split(";")))

    @property
    def volumes(self) -> list[Volume]:
        """Return its disks."""
        return volumes_of(self.conf)

    @property
    def disk(self) -> int:
        """Return the size in bytes of its root file system or first disk, 0 without one."""
        return next((volume.size for volume in self.volumes), 0)

    def effective(self) -> Conf:
        """Return the settings as they will be after the next start."""
        kept = {key: value for key, value in self.conf.items() if key not in self.pending}
        return kept | {key: value for key, value in self.pending.items() if value is not None}

    def apply_pending(self) -> None:
        """Let what waited hold from now on."""
        self.conf = self.effective()
        self.pending.clear()


def sorted_tags(text: str) -> str:
    """Return tags as Proxmox VE keeps them: sorted, each once, with semicolons between them."""
    return ";".join(sorted(set(filter(None, _TAGS.split(text)))))


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

    def create(self, guest: Guest) -> None:
        """Make what stands behind a new guest. Raises MachineError."""

    def start(self, guest: Guest) -> None:
        """Start it. Raises MachineError."""

    def stop(self, guest: Guest) -> None:
        """Stop it at once."""

    def shutdown(self, guest: Guest, timeout: float) -> bool:
        """Ask it to end within ``timeout`` seconds; return whether it did."""

    def destroy(self, guest: Guest) -> None:
        """Remove it with its disk."""

    def freeze(self, guest: Guest) -> bool:
        """Hold everything in it still; return whether that was possible."""

    def thaw(self, guest: Guest) -> None:
        """Let it go on."""

    def keep(self, guest: Guest, name: str) -> None:
        """Keep a copy of its disk under a snapshot's name. Raises MachineError."""

    def bring_back(self, guest: Guest, name: str) -> None:
        """Let the disk of a guest that does not run be what was kept. Raises MachineError."""

    def drop(self, guest: Guest, name: str) -> None:
        """Forget what was kept under a name."""


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

    def create(self, guest: Guest) -> None:
        """Note that it does not run."""
        self.since.pop(guest.vmid, None)

    def start(self, guest: Guest) -> None:
        """Note that it runs."""
        self.since[guest.vmid] = self.clock()

    def stop(self, guest: Guest) -> None:
        """Note that it does not."""
        self.since.pop(guest.vmid, None)

    def shutdown(self, guest: Guest, timeout: float) -> bool:
        """Stop it if it heeds that, whatever the ``timeout``."""
        if guest.habits.heeds_shutdown:
            self.stop(guest)
        return guest.habits.heeds_shutdown and timeout >= 0

    def destroy(self, guest: Guest) -> None:
        """Forget it."""
        self.stop(guest)

    def freeze(self, guest: Guest) -> bool:
        """Return whether it runs: there is nothing to hold still."""
        return guest.vmid in self.since

    def thaw(self, guest: Guest) -> None:
        """Do nothing."""

    def keep(self, guest: Guest, name: str) -> None:
        """Do nothing: there is no disk."""

    def bring_back(self, guest: Guest, name: str) -> None:
        """Do nothing."""

    def drop(self, guest: Guest, name: str) -> None:
        """Do nothing."""
