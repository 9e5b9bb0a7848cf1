"""Removal of snapshots that our orders made: ordered for one guest, each by its name and the order that made it."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge, Le, MaxLen, MinLen

from nanny_ops.protocol.operation import Claim

#: Seconds for all removals of one order: the usual time, and the bounds. A removal may have to merge gigabytes.
DEFAULT_TIMEOUT, SHORTEST_TIMEOUT, LONGEST_TIMEOUT = 3600, 60, 24 * 3600
#: Snapshots of one order, and characters of an agent's reasons.
MOST_SNAPSHOTS, REASON_CAP = 64, 2000

SnapshotName = Annotated[str, MinLen(2), MaxLen(40)]
#: ``removed``; ``gone``: it was not there any more; ``refused``: it is not ours by what it says of itself; ``failed``:
#: Proxmox VE did not remove it; ``left``: it was not tried.
RemovalOutcome = Literal["removed", "gone", "refused", "failed", "left"]


@dataclass(frozen=True, kw_only=True)
class Doomed:
    """One snapshot to remove, and the operation before which it was made, as its description says too."""

    name: SnapshotName
    operation_id: Annotated[str, MinLen(1), MaxLen(64)]


@dataclass(frozen=True, kw_only=True)
class PruneRequest:
    """A person wants old snapshots of ours removed: of one guest, an agent's, a cluster's, or of the whole team.

    Of each guest those go that are older than ``older_than_hours`` and those beyond the newest ``keep``; without either
    word both are as the control plane's settings say. With ``dry`` nothing is ordered.
    """

    guest_id: Annotated[str, MaxLen(64)] = ""
    agent_id: Annotated[str, MaxLen(64)] = ""
    cluster: Annotated[str, MaxLen(255)] = ""
    older_than_hours: Annotated[int, Ge(0), Le(87_600)] | None = None
    keep: Annotated[int, Ge(0), Le(1000)] | None = None
    dry: bool = False
    expires_at: Annotated[str, MaxLen(64)] = ""


@dataclass(frozen=True, kw_only=True)
class PruneRecord:
    """The order as it travels to the agent."""

    id: str
    agent_id: str
    lxc_id: str
    vmid: str
    #: ``lxc:<vmid>`` or ``qemu:<vmid>``.
    target: str
    snapshots: list[Doomed]
    status: str
    timeout_seconds: int = DEFAULT_TIMEOUT
    expires_at: str = ""
    created_at: str = ""


@dataclass(frozen=True, kw_only=True)
class Removal:
    """What became of one snapshot; ``upid`` is the task that removed it, or failed to."""

    name: SnapshotName
    outcome: RemovalOutcome
    reason: Annotated[str, MaxLen(REASON_CAP)] = ""
    upid: Annotated[str, MaxLen(255)] = ""


@dataclass(frozen=True, kw_only=True)
class PruneResult:
    """What an order came to, with each of its snapshots."""

    outcome: Annotated[str, MinLen(1), MaxLen(32)]
    reason: Annotated[str, MaxLen(REASON_CAP)] = ""
    removals: Annotated[list[Removal], MaxLen(MOST_SNAPSHOTS)] = field(default_factory=list)
    lease: Annotated[int, Ge(0), Le(2**31 - 1)] = 0
    claim: Claim = ""


@dataclass(frozen=True, kw_only=True)
class PruneAnswer:
    """The answer to a result; False in ``new`` says that an earlier one stands."""

    success: bool
    new: bool


@dataclass(frozen=True, kw_only=True)
class Prune:
    """An order as people see it; ``removals`` is empty until its agent has told. Of a preview ``id`` is empty."""

    id: str
    agent_id: str
    target: str
    vmid: str
    guest: str
    status: str
    outcome: str | None
    reason: str
    snapshots: list[str]
    removals: list[Removal]
    created_by: str
    created_at: str
    updated_at: str
    expires_at: str
    started_at: str | None
    finished_at: str | None


@dataclass(frozen=True, kw_only=True)
class Spared:
    """A snapshot that should go by its age or number and stays; ``why`` is a word, ``reason`` a sentence."""

    snapshot_id: str
    name: str
    vmid: str
    why: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Pruning:
    """The answer to a request: one order for each guest, and what stays although it should go."""

    dry: bool
    keep: int | None
    older_than_hours: int | None
    orders: list[Prune]
    spared: list[Spared]
