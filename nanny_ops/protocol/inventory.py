"""What our own agents say of Proxmox VE, all at once: POST /api/proxmox/inventory.

One report per cycle. A large one is split; each part is a report that stands by itself. Objects whose body has not
changed since the last report that was answered are left out, so a list of bodies says nothing about what is missing
from it; ``guests`` does. Times are RFC 3339 texts where we make them and seconds since 1970 where Proxmox VE does.

In a cluster each agent tells of its own node and that node's guests. What is cluster-wide is told by one agent alone,
which the control plane names by ``reports_cluster`` in its answer: the cluster with the list of all guests, jobs, high
availability, Ceph, and the nodes that have no agent of their own (``speaks_for``) or are offline, with their guests. A
node that is offline for the others may only be cut off: the word of its own agent, while that is heard, counts.
"""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import MaxLen, MinLen

from nanny_ops.protocol.cluster import BackupJob, Ceph, HaEntry
from nanny_ops.protocol.measure import Amount, Count, Moment, Name, Real, Text, Word
from nanny_ops.protocol.proxmox import ClusterReport, GuestKind, LxcReport, NodeReport, QemuReport, Vmid, Vmids

FactState = Literal["ok", "absent", "forbidden", "failed", "stale"]
Source = Literal["api", "pmxcfs"]
#: The node of a report whose agent could not learn which node answers; no node can be called so.
UNNAMED = "?"
#: Guests of one kind in one report, at most.
BODIES = 500


@dataclass(frozen=True, kw_only=True)
class Fact:
    """How well a part of a report is known.

    ``section`` names the part (``guests``, ``guest.config``, ``node.disks`` ...), ``object`` the thing, such as
    ``lxc/101`` or ``pve1``; an empty object stands for all things of the section that have no line of their own. A
    section without any line was not asked for: unknown. ``at`` is when the oldest of what is told was read.

    - ``ok``: read, and it is as told; an empty list is empty.
    - ``absent``: there is no such thing here (no Ceph, no subscription key, no guest agent configured).
    - ``forbidden``: the token may not see it, at least not all of it; ``privilege`` is what it lacks.
    - ``failed``: asked for and not answered; nothing is known.
    - ``stale``: asked for and not answered; what is told was read at ``at``.
    """

    section: Name
    object: Word = ""
    state: FactState
    source: Source = "api"
    at: Annotated[str, MaxLen(64)] = ""
    privilege: Word = ""
    reason: Text = ""


@dataclass(frozen=True, kw_only=True)
class UsageHour:
    """A guest's last hour as Proxmox VE itself has kept it, minute by minute; for questions of size.

    ``until`` is the last minute of it, ``points`` how many minutes were known. ``cpu_*`` as in :class:`GuestUsage`,
    ``mem_*`` in bytes, the others in bytes per second.
    """

    until: Moment
    points: Count
    cpu_mean: Real | None = None
    cpu_max: Real | None = None
    mem_mean: Real | None = None
    mem_max: Real | None = None
    netin: Real | None = None
    netout: Real | None = None
    diskread: Real | None = None
    diskwrite: Real | None = None


@dataclass(frozen=True, kw_only=True)
class GuestUsage:
    """One reading of a guest's usage; None is unknown.

    ``cpu`` is the used part of ``cpus``, from 0 to 1; sizes in bytes; ``net*`` and ``disk*`` counters are bytes since
    the guest's start. A running VM tells no ``disk``, and a container in a subvolume that of its whole storage.
    """

    vmid: Vmid
    kind: GuestKind
    node: Name
    #: ``unknown`` where the node is offline, whatever it said last.
    status: Annotated[str, MinLen(1), MaxLen(64)]
    uptime: Count = 0
    cpu: Real | None = None
    cpus: Real | None = None
    mem: Amount | None = None
    maxmem: Amount | None = None
    disk: Amount | None = None
    maxdisk: Amount | None = None
    netin: Amount | None = None
    netout: Amount | None = None
    diskread: Amount | None = None
    diskwrite: Amount | None = None
    #: Read once an hour and told until it is read again.
    hour: UsageHour | None = None


@dataclass(frozen=True, kw_only=True)
class NodeUsage:
    """One reading of a node's usage, as :class:`GuestUsage`; ``disk`` is its root file system, ``load`` three means."""

    node: Name
    status: Literal["online", "offline", "unknown"]
    uptime: Count = 0
    cpu: Real | None = None
    cpus: Real | None = None
    mem: Amount | None = None
    maxmem: Amount | None = None
    disk: Amount | None = None
    maxdisk: Amount | None = None
    swap: Amount | None = None
    maxswap: Amount | None = None
    iowait: Real | None = None
    load: Annotated[list[Real], MaxLen(3)] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class StorageReport:
    """One storage as one node sees it; sizes in bytes, None where it is not active or not to be seen."""

    storage: Name
    node: Name
    type: Word = ""
    status: Annotated[str, MinLen(1), MaxLen(64)]
    shared: bool = False
    content: Text = ""
    used: Amount | None = None
    total: Amount | None = None


@dataclass(frozen=True, kw_only=True)
class TaskReport:
    """One failed task; ``status`` is the error in Proxmox VE's words, ``id`` the guest or whatever it was about."""

    upid: Annotated[str, MinLen(1), MaxLen(255)]
    node: Name
    kind: Word
    id: Word = ""
    user: Word = ""
    start: Moment
    end: Moment = 0
    status: Text = ""


@dataclass(frozen=True, kw_only=True)
class InventoryReport:
    """One reading of Proxmox VE by one agent, or a part of one.

    A report older than the newest that was taken adds its usage to the history and changes nothing else.
    """

    #: When the reading began.
    at: Annotated[str, MinLen(1), MaxLen(64)]
    #: The node whose API answered; the agent speaks for it.
    node: Name
    #: Outside a cluster, and from an agent that does not report it, None.
    cluster: ClusterReport | None = None
    #: The names of all nodes of the cluster, with ``cluster``; one of which nothing else is told is online.
    members: Annotated[list[Name], MaxLen(1024)] | None = None
    nodes: Annotated[list[NodeReport], MaxLen(256)] = field(default_factory=list)
    lxc: Annotated[list[LxcReport], MaxLen(BODIES)] = field(default_factory=list)
    qemu: Annotated[list[QemuReport], MaxLen(BODIES)] = field(default_factory=list)
    #: All guests on ``node``, None where that cannot be known: one that the control plane has there and this list not,
    #: is gone or has moved. The complete list of the whole cluster is ``cluster.guests``.
    guests: Vmids | None = None
    usage: Annotated[list[GuestUsage], MaxLen(100_000)] = field(default_factory=list)
    node_usage: Annotated[list[NodeUsage], MaxLen(256)] = field(default_factory=list)
    storages: Annotated[list[StorageReport], MaxLen(4096)] = field(default_factory=list)
    #: None: not known, or told by another agent.
    jobs: Annotated[list[BackupJob], MaxLen(1024)] | None = None
    ha: Annotated[list[HaEntry], MaxLen(10_000)] | None = None
    ceph: Ceph | None = None
    #: Failed tasks not told before.
    tasks: Annotated[list[TaskReport], MaxLen(500)] = field(default_factory=list)
    facts: Annotated[list[Fact], MaxLen(10_000)] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class InventoryAnswer:
    """The answer to a report; an agent that has not been told yet offers the cluster's part, and only its own node.

    ``speaks_for`` names the other nodes of which no agent of their own is heard; only for the agent that reports the
    cluster. ``resend`` asks for every body again, as after a restored database.
    """

    reports_cluster: bool
    speaks_for: Annotated[list[Name], MaxLen(1024)] = field(default_factory=list)
    resend: bool = False
