"""Snapshots and backups that our orders made, and snapshots named as ours that none is known to have made."""

import re
from dataclasses import dataclass
from typing import Literal

#: What the names of our snapshots begin with.
PREFIX = "nanny-"
_MAKER = re.compile(r"Made before operation ([A-Za-z0-9][A-Za-z0-9._-]{0,127});")

SnapshotKind = Literal["snapshot", "backup"]
#: ``made``: its order has not told its end, or nobody saw it made; ``kept``: its order left it there; ``rolled_back``:
#: its guest was set back to it; ``removed``: by an order of ours; ``gone``: by somebody else; ``foreign``: it has our
#: prefix and no order of ours is known to have made it.
SnapshotState = Literal["made", "kept", "rolled_back", "removed", "gone", "foreign"]


def description(operation_id: str) -> str:
    """Return what a snapshot says of itself in Proxmox VE."""
    return f"Made before operation {operation_id}; removed by age and count."


def maker_of(text: str) -> str:
    """Return the operation by which a description says it was made, empty where it says nothing of that."""
    found = _MAKER.match(text.strip())
    return found[1] if found else ""


@dataclass(frozen=True, kw_only=True)
class SnapshotRow:
    """One of them as people see it.

    ``there`` is None where nobody can say; ``checked_at`` is when Proxmox VE was last asked, ``why`` what stands in the
    way or what became of it.
    """

    id: str
    kind: SnapshotKind
    name: str
    storage: str
    state: SnapshotState
    there: bool | None
    why: str
    checked_at: str | None
    age_seconds: int | None
    guest_id: str | None
    guest: str
    vmid: int
    target: str
    node: str
    cluster: str | None
    cluster_name: str | None
    agent_id: str
    operation_id: str | None
    #: Whether that operation has not ended, so that it may still be set back to.
    in_use: bool
    upid: str
    made_at: str | None
    state_at: str
    removed_by: str | None
    #: When it is removed by itself; None where that is left to people.
    expires_at: str | None
