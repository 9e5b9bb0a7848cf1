"""Nodes: what they are made of, and what is wrong with them."""

from dataclasses import dataclass, field

from nanny_ops.lab.pve.state.hardware import Disk, ZfsPool
from nanny_ops.lab.pve.state.software import Update

GIB = 1 << 30
MIB = 1 << 20


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
    #: What the cluster knows of it: a node that has just crashed is still told to be online.
    online: bool = True
    crashed: bool = False
    fingerprint: str = ""
    disks: tuple[Disk, ...] = (Disk(),)
    zfs: tuple[ZfsPool, ...] = ()
    #: What it waits for; None: what a node of its release usually does.
    updates: tuple[Update, ...] | None = None
    subscription: str = "notfound"
    timezone: str = "Etc/UTC"
    #: Daemons that do not run, such as ``pvedaemon`` and ``pveproxy``.
    stopped: set[str] = field(default_factory=set)
    #: Packets to it vanish: who asks it waits until the time is out.
    dropped: bool = False

    def trouble(self) -> tuple[str, float]:
        """Return why another node cannot ask this one, and after how many seconds it knows; nothing when it can."""
        if self.dropped:
            return "Connection timed out", 30.0
        if self.crashed or not self.online:
            return "No route to host", 3.0
        if "pveproxy" in self.stopped:
            return "Connection refused", 0.0
        return "", 0.0
