"""What an agent says of Proxmox VE: its cluster, its node, its guests.

Proxmox writes 0 and 1 where others write false and true; these records keep its habit where the guide does.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Le, MaxLen, MinLen

from nanny_ops.protocol.guest import GuestFacts
from nanny_ops.protocol.measure import Count, Name, Text
from nanny_ops.protocol.node import NodeFacts

Flag = Annotated[int, Ge(0), Le(1)]
Vmid = Annotated[int, Ge(1), Le(999_999_999)]
Vmids = Annotated[list[Vmid], MaxLen(100_000)]


@dataclass(frozen=True, kw_only=True)
class ClusterReport:
    """One cluster. ``guests``, where given, is the complete list of vmids: whatever is missing from it is gone."""

    cluster_name: Name
    cluster_id: Name
    nodes: Count
    quorate: Flag
    version: Count
    guests: Vmids | None = None


@dataclass(frozen=True, kw_only=True)
class NodeReport(NodeFacts):
    """One node. ``guests`` is for a node outside a cluster, with the meaning it has in :class:`ClusterReport`."""

    name: Name
    node_id: Count
    ip: Annotated[str, MaxLen(64)]
    online: Flag
    local: Flag
    level: Annotated[str, MaxLen(64)] = ""
    pve_version: Annotated[str, MaxLen(255)]
    guests: Vmids | None = None


@dataclass(frozen=True, kw_only=True)
class LxcReport(GuestFacts):
    """One container; uptime in seconds."""

    name: Name
    lxc_id: Annotated[str, MaxLen(64)]
    status: Annotated[str, MinLen(1), MaxLen(64)]
    vmid: Vmid
    node: Name
    uptime: Count = 0
    cpu_cores: Annotated[float, Ge(0)] | None = None
    memory_mb: Count | None = None
    rootfs: Text = ""
    swap_mb: Count | None = None
    net0: Text = ""
    ostype: Annotated[str, MaxLen(64)] = ""
    arch: Annotated[str, MaxLen(64)] = ""
    hostname: Annotated[str, MaxLen(255)] = ""
    searchdomain: Text = ""
    nameserver: Text = ""
    features: Text = ""
    unprivileged: bool = False
    protection: bool = False
    tags: Text = ""
    timezone: Annotated[str, MaxLen(128)] = ""


@dataclass(frozen=True, kw_only=True)
class QemuReport(GuestFacts):
    """One virtual machine; uptime in seconds. Disks and nets (``scsi0``, ``net1`` ...) arrive as further keys."""

    name: Name
    qemu_id: Annotated[str, MaxLen(64)]
    status: Annotated[str, MinLen(1), MaxLen(64)]
    vmid: Vmid
    node: Name
    uptime: Count = 0
    cpu_cores: Annotated[float, Ge(0)] | None = None
    memory_mb: Count | None = None
    agent: Text = ""
    boot: Text = ""
    bootdisk: Text = ""
    cores: Count | None = None
    cpu: Text = ""
    machine: Text = ""
    ostype: Annotated[str, MaxLen(64)] = ""
    sockets: Count | None = None
    tags: Text = ""


GuestKind = Literal["lxc", "qemu"]
