"""The state of one pretended cluster: its nodes and guests, quorum, and what changes them."""

import threading
from dataclasses import dataclass, field

from nanny_ops.lab.pve.refusal import Refusal
from nanny_ops.lab.pve.state.availability import HaGroup, HaResource
from nanny_ops.lab.pve.state.ceph import Ceph
from nanny_ops.lab.pve.state.guest import CONF_DIRECTORY, WORD, Guest, Kind, Power, Records
from nanny_ops.lab.pve.state.job import BackupJob, Replication
from nanny_ops.lab.pve.state.node import Node
from nanny_ops.lab.pve.state.pool import Pool
from nanny_ops.lab.pve.state.storage import Storage, local


@dataclass
class Cluster:
    """The whole state; every method may be called from any thread."""

    name: str
    release: str
    nodes: dict[str, Node]
    power: Power
    records: Records
    quorate: bool = True
    #: What /cluster/status tells of the quorum where that differs from the truth: for a moment after a crash, and after
    #: an operator has set the expected votes.
    told_quorate: bool | None = None
    guests: dict[int, Guest] = field(default_factory=dict)
    storages: dict[str, Storage] = field(default_factory=lambda: {"local": local()})
    pools: dict[str, Pool] = field(default_factory=dict)
    backup_jobs: dict[str, BackupJob] = field(default_factory=dict)
    replications: dict[str, Replication] = field(default_factory=dict)
    ha: dict[str, HaResource] = field(default_factory=dict)
    ha_groups: dict[str, HaGroup] = field(default_factory=dict)
    ceph: Ceph | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    @property
    def standalone(self) -> bool:
        """Return whether this is one node outside a cluster."""
        return len(self.nodes) == 1

    def pool_of(self) -> dict[int, str]:
        """Return guest id -> pool for the guests that are in one."""
        with self._lock:
            return {vmid: pool.poolid for pool in self.pools.values() for vmid in pool.vmids}

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
                raise Refusal(500, f"{WORD[taken.kind]} {guest.vmid} already exists on node '{taken.node}'")
            self.guests[guest.vmid] = guest
            self.records.write(guest)

    def update(self, vmid: int, **settings: str | int | None) -> None:
        """Change settings of a guest, such as ``lock`` or ``tags``; None removes one."""
        with self._lock:
            guest = self.guests[vmid]
            for name, value in settings.items():
                if value is None:
                    guest.conf.pop(name, None)
                else:
                    guest.conf[name] = value
            self.records.write(guest)

    def save(self, guest: Guest, pid: int) -> None:
        """Write a guest's file on behalf of a process. Raises Refusal without quorum."""
        with self._lock:
            if not self.quorate:
                path = f"/etc/pve/nodes/{guest.node}/{CONF_DIRECTORY[guest.kind]}/{guest.vmid}.conf"
                raise Refusal(500, f"unable to open file '{path}.tmp.{pid}' - Permission denied")
            self.records.write(guest)

    def migrate(self, vmid: int, node: str) -> None:
        """Let a guest live on another node from now on; it goes on running."""
        with self._lock:
            guest = self.guests[vmid]
            self.records.remove(guest)
            guest.node = self.nodes[node].name
            self.records.write(guest)

    def forget(self, vmid: int) -> None:
        """Remove a guest of which nothing but the configuration was made."""
        with self._lock:
            self.records.remove(self.guests.pop(vmid))

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
            self.nodes[node].crashed = False
            self.told_quorate = None
            self.quorate = sum(n.online for n in self.nodes.values()) * 2 > len(self.nodes)

    def crash(self, node: str) -> None:
        """Let a node lose its power this moment: it cannot be asked, but is still told to be online."""
        with self._lock:
            told = self.quorate
            self.set_online(node, online=False)
            self.nodes[node].online, self.nodes[node].crashed = True, True
            self.told_quorate = told

    def expect_one(self) -> None:
        """Do what ``pvecm expected 1`` does: the cluster works again, though /cluster/status does not say so."""
        with self._lock:
            self.quorate, self.told_quorate = True, self.quorate

    def need_quorum(self) -> None:
        """Raise Refusal when the cluster has none."""
        if not self.quorate:
            raise Refusal(500, "cluster not ready - no quorum?")
